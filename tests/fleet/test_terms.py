# -*- test-case-name: tests.fleet.test_terms -*-
"""
Tests of L{muxd.fleet.terms}.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.messages import LONGEST_TERM, SHORTEST_TERM
from muxd.fleet.terms import BOUND, LONE, Times

LEAST = 5.0
"""The term from which on the bound holds."""

TERMS = (LEAST, 5.1, 7.5, 10.0, 12.5, 60.0, LONGEST_TERM)
SHORT = (SHORTEST_TERM, 3.0, 4.9)

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
            self.assertLess(times.connect + times.longestDelay, 1.76 * times.term)

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
            self.assertEqual(delays[0], times.term / 20 * (1 + chance))
            self.assertAlmostEqual(delays[-1], times.longestDelay - (1 - chance) * times.term / 20)

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
