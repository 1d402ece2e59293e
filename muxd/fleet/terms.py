# -*- test-case-name: tests.fleet.test_terms -*-
"""
All times that follow from the term of a host's lease.

Of a fleet with several hubs, the list is right again within two terms after one thing has failed:
a hub, what is between it and etcd, or what is between it and its hosts.  With a term M{T}, counted
from the fault::

    a hub is frozen, or nothing goes between it and its hosts
        it was heard last at 0, and it is left after        silence             1.00 T
    a hub reaches etcd no more
        its last canary was heard at 0, and it knows so     (MISSED + 1) canary 0.80 T
        it may be back at once, by another node             grace               0.20 T
        its hosts are told when they speak next             alive               0.25 T
    the later of both                                       noticed             1.25 T
    the host pauses, so that not all come at once           delay(0, 1)         0.10 T
    where a third hub is lost in silence as well, it has
    to be passed over                                       apart               0.10 T
    the host has connected to a hub that is well            returned            1.45 T

What is left, 0.55 M{T}, is for the network, the other hub and etcd to do what they do.  Until then
the list shows the host as it was, or from 1 M{T} on, when its lease is over, not at all.

A client that was connected to the frozen hub is with another one after C{silence} and C{apart},
before the list is right.  One that comes anew waits for C{apart}.  A host that has reached no hub
at all is back after L{CONNECT} and C{longestDelay}, 1.75 M{T} at most, from the end of that on.

What runs against a time that is no term's does not grow beyond what it is with the usual one: a
place in the queue is kept for L{muxd.fleet.values.KEPT}, a reservation has a term of its own, and
a hub's own lease of etcd has another.  With a longer term there is more patience with hosts and
hubs that say nothing, and nothing else is slower::

    etcd's answers    engineAnswer, engineConnect     leases are renewed by another node in time
    etcd's silence    canary, unsure, grace           jobs are at another hub while places are kept
    ways to hubs      apart, longestDelay, turn       hosts are back while reservations last
    signs of jobs     jobAlive, jobSilence            no hub takes a job for gone that is there

Etcd takes up to two seconds for a new leader, and is not to count as lost for that.  So canaries,
and what waits for etcd's answers, have no less time than with a term of 5 s: that is the least that
the bound holds for.

This imports nothing of Twisted.
"""

from __future__ import annotations

from dataclasses import dataclass

TERM = 10.0
"""Seconds that a host's lease lasts, unless an operator says otherwise."""

MISSED = 3
"""How many canaries may be late."""

LONE = 3
"""Terms for which the only hub may be silent: a busy one is none that is lost."""

BOUND = 2
"""Terms within which the list is right again."""

CONNECT = 6.0
"""Seconds for a connection to a hub, which may have a name: with a name server that does not
answer, the next one is asked after five.  What was lost on the way is sent again later and later,
and by a new attempt at once."""

JOB_PATIENCE = 60.0
"""Seconds that a job may be silent, until its hub takes it for gone."""

_FACTOR = 1.5


@dataclass(frozen=True, slots=True)
class Times:
    """
    The times, in seconds.

    @ivar term: Of a host's lease.
    """

    term: float = TERM

    @property
    def alive(self) -> float:
        """
        From one word of a host or a job to its hub to the next; each is answered.
        """
        return self.term / 4

    @property
    def jobAlive(self) -> float:
        """
        The same, of a job.
        """
        return min(self.alive, JOB_PATIENCE / 4)

    def silence(self, hubs: int) -> float:
        """
        Of a hub, after which it is left.

        @param hubs: How many there are.
        """
        return self.term * (1 if hubs > 1 else LONE)

    def jobSilence(self, hubs: int) -> float:
        """
        The same, of the hub of a job, which asks again before it counts as gone there.
        """
        return min(self.silence(hubs), JOB_PATIENCE * 3 / 4)

    @property
    def answer(self) -> float:
        """
        Until the first word of a hub, if there are others.
        """
        return self.term / 2

    @property
    def _usual(self) -> float:
        """
        What those times follow from that do not grow with the term beyond the usual one.
        """
        return min(self.term, TERM)

    @property
    def apart(self) -> float:
        """
        Until the next hub is tried beside one that does not answer.
        """
        return self._usual / 10

    @property
    def longestDelay(self) -> float:
        """
        Between two attempts to reach a hub.
        """
        return self._usual / 2 + self._usual / 20

    def delay(self, attempt: int, chance: float) -> float:
        """
        Until the next attempt to reach a hub.

        @param attempt: How many have failed.
        @param chance: From 0 to 1, so that not all come at once.
        """
        least = self._usual / 20
        return min(least * _FACTOR ** min(attempt, 100), self.longestDelay - least) + least * chance

    @property
    def turn(self) -> float:
        """
        For which a host that tells of its phones has others wait for it.
        """
        return self._usual

    @property
    def canary(self) -> float:
        """
        From one canary of a hub to the next.
        """
        return max(1.0, self._usual / 5)

    @property
    def unsure(self) -> float:
        """
        For which a hub hears nothing of its canaries, or waits for its registry.
        """
        return MISSED * self.canary

    @property
    def grace(self) -> float:
        """
        For which a hub that cannot rely on its registry keeps hosts, and jobs that wait, that know
        of others.
        """
        return self._usual / 5

    @property
    def engineAnswer(self) -> float:
        """
        Until etcd has answered: when a node does not, the next one renews a lease in time.
        """
        return max(2.5, self._usual / 2)

    @property
    def engineConnect(self) -> float:
        """
        Until a connection to a node of etcd is there.
        """
        return max(1.0, self._usual / 5)

    @property
    def noticed(self) -> float:
        """
        Until a host has noticed that its hub is of no use.
        """
        return max(self.silence(2), (MISSED + 1) * self.canary + self.grace + self.alive)

    @property
    def returned(self) -> float:
        """
        Until it has connected to another one.
        """
        return self.noticed + self.delay(0, 1.0) + self.apart


USUAL = Times()
"""Where nothing else is said."""
