# -*- test-case-name: tests.fleet.test_terms -*-
"""
Tests of L{muxd.fleet.terms}.
"""

from __future__ import annotations

from itertools import product

from hypothesis import example, given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet import conversation
from muxd.fleet.conversation import ANSWER, signsOfLife
from muxd.fleet.etcd import following
from muxd.fleet.etcd.places import RENEWED
from muxd.fleet.messages import LONGEST_TERM, SHORTEST_TERM
from muxd.fleet.terms import BOUND, CONNECT, JOB_PATIENCE, LONE, MISSED, TERM, USUAL, Times
from muxd.fleet.values import KEPT

LEAST = 5.0
"""The term from which on the bound holds."""

TERMS = (LEAST, 5.1, 7.5, 10.0, 12.5, 60.0, LONGEST_TERM)
SHORT = (SHORTEST_TERM, 3.0, 4.9)

TERM_OF_ANY = some.floats(SHORTEST_TERM, LONGEST_TERM)

ENGINE = 2.0
"""Seconds that etcd takes for a new leader."""


class TimesTests(SynchronousTestCase):
    """
    Tests of the times.
    """

    def test_bound(self) -> None:
        """
        A host is with another hub in less than two terms, and a quarter of that is left for what
        others do meanwhile; so is a client, and a host that had reached none.
        """
        for times in map(Times, TERMS):
            most = BOUND * times.term * 3 / 4
            self.assertLessEqual(times.returned, most)
            self.assertLess(times.silence(2) + times.apart, times.returned)
            self.assertLess(CONNECT + times.longestDelay, 1.76 * times.term)

    def test_renewed(self) -> None:
        """
        A lease is renewed by another node of etcd before it is over, when the first one does not
        answer; and a host is not lost for one word that is late.
        """
        for times in map(Times, TERMS):
            self.assertLess(times.alive + times.engineAnswer, times.term)
            self.assertLess(2 * times.alive, times.silence(2))

    def test_leader(self) -> None:
        """
        While etcd has no leader for a moment, no hub says that it has lost it.
        """
        for times in map(Times, (*SHORT, *TERMS)):
            self.assertGreater(times.unsure, ENGINE)
            self.assertGreater(times.engineAnswer, ENGINE)

    def test_delay(self) -> None:
        """
        Pauses grow up to a limit.
        """
        for times, chance in product(map(Times, (*SHORT, *TERMS)), (0.0, 0.5, 1.0)):
            delays = [times.delay(attempt, chance) for attempt in (*range(12), 10**6)]
            self.assertEqual(delays, sorted(delays))
            least = min(times.term, TERM) / 20
            self.assertEqual(delays[0], least * (1 + chance))
            self.assertAlmostEqual(delays[-1], times.longestDelay - (1 - chance) * least)

    def test_alone(self) -> None:
        """
        The only hub may be silent for longer.
        """
        self.assertEqual((Times(10).silence(1), Times(10).silence(2)), (LONE * 10, 10))

    def test_usual(self) -> None:
        """
        What the documentation says of the usual term, and of five seconds.
        """
        usual, short = Times(), Times(5)
        self.assertEqual((usual.canary, usual.unsure, usual.engineAnswer), (2, 6, 5))
        self.assertEqual((short.canary, short.unsure, short.engineAnswer), (1, 3, 2.5))
        self.assertAlmostEqual(usual.returned, 14.5)
        self.assertAlmostEqual(short.returned, 7.25)


class AnyTermTests(SynchronousTestCase):
    """
    Tests of the times of whichever term an operator may choose, against those that are no term's.
    """

    @given(TERM_OF_ANY)
    @example(SHORTEST_TERM)
    @example(LONGEST_TERM)
    def test_ownLease(self, term: float) -> None:
        """
        A hub's own lease of etcd goes on when the node that is asked does not answer.
        """
        times = Times(term)
        self.assertLess(times.canary + times.engineAnswer, following.TERM)

    @given(TERM_OF_ANY)
    @example(SHORTEST_TERM)
    @example(LONGEST_TERM)
    def test_places(self, term: float) -> None:
        """
        A place in the queue is renewed in time, also when one node of etcd after the other does
        not answer; it is kept until its job has come from a hub that is frozen, or that reaches
        etcd no more.
        """
        times = Times(term)
        self.assertLess(times.engineConnect, times.engineAnswer)
        self.assertLessEqual(RENEWED + 2 * times.engineAnswer, KEPT)
        alive, silence = signsOfLife(times, 2)
        self.assertLess(silence + times.apart, KEPT)
        self.assertLess((MISSED + 1) * times.canary + times.grace + alive + times.apart, KEPT)

    @given(TERM_OF_ANY)
    @example(SHORTEST_TERM)
    @example(LONGEST_TERM)
    def test_reservations(self, term: float) -> None:
        """
        A reservation of the usual term is renewed while a node of etcd does not answer, or etcd
        has no leader, in the time that a job waits for that; and when a hub has been started
        again, its hosts are back before such a reservation is over.
        """
        times = Times(term)
        self.assertLess(times.engineAnswer, ANSWER)
        self.assertLess(times.unsure, ANSWER)
        left = conversation.TERM * (1 - conversation.RENEWED)
        self.assertLess(CONNECT + times.longestDelay, left)
        self.assertLess(times.delay(0, 1.0), conversation.RETRY + 0.01)

    @given(TERM_OF_ANY, some.integers(1, 3))
    @example(SHORTEST_TERM, 1)
    @example(LONGEST_TERM, 1)
    def test_jobs(self, term: float, hubs: int) -> None:
        """
        A hub does not take a job for gone that is there, with three of its words lost; and a job
        whose words do not reach its hub any more asks again before it counts as gone there.
        """
        alive, silence = signsOfLife(Times(term), hubs)
        self.assertLessEqual(4 * alive, JOB_PATIENCE)
        self.assertLessEqual(alive + silence, JOB_PATIENCE)
        self.assertLessEqual(2 * alive, silence)

    @given(TERM_OF_ANY)
    @example(TERM)
    def test_longer(self, term: float) -> None:
        """
        A longer term makes nothing shorter; and beyond the usual one, only what has to do with
        the silence of hosts and of hubs is longer.
        """
        times = Times(term)
        for name in ("canary", "unsure", "grace", "engineAnswer", "engineConnect", "apart"):
            usual, found = getattr(USUAL, name), getattr(times, name)
            (self.assertLessEqual if term < TERM else self.assertEqual)(found, usual)
        self.assertEqual((times.alive, times.silence(2)), (term / 4, term))
        self.assertEqual(times.turn, min(term, TERM))
