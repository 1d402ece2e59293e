# -*- test-case-name: tests.fleet.etcd.test_leases -*-
"""
Tests of L{muxd.fleet.etcd.leases}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.etcd import leases as leasesModule
from muxd.fleet.etcd.answers import BadAnswer
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.leases import GATHER, SPARE, Leases
from tests.fleet.etcd.cases import NODES
from tests.fleet.etcd.engine import FakeEtcd

PATH = "/v3/lease/keepalive"


class LeasesTests(SynchronousTestCase):
    """
    Tests of renewing leases.
    """

    def setUp(self) -> None:
        """
        An etcd with some of ten seconds.
        """
        self.clock = Clock()
        # As a reactor's clock is, when something has been running for a while.
        self.clock.advance(1000)
        self.etcd = FakeEtcd(self.clock)
        self.gateway = Gateway(self.clock, self.etcd, NODES)
        self.leases = Leases(self.clock, self.gateway)
        grant: Callable[[FakeEtcd, Any], Any] = self.etcd._handlers["/v3/lease/grant"]
        self.numbers = [int(grant(self.etcd, {"TTL": "10"})["ID"]) for _ in range(20)]

    def asked(self) -> int:
        """
        How many requests there were.
        """
        return self.etcd.asked.count(PATH)

    def test_renewed(self) -> None:
        """
        A lease goes on, at once, and one that is over does not.
        """
        self.clock.advance(6)
        self.assertIs(self.successResultOf(self.leases.renew(self.numbers[0])), True)
        self.clock.advance(6)
        self.assertIs(self.successResultOf(self.leases.renew(self.numbers[0])), True)
        self.assertIs(self.successResultOf(self.leases.renew(self.numbers[1])), False)

    def test_gathered(self) -> None:
        """
        Many have one request, or a few; each is told what has become of its own.
        """
        self.leases.renew(self.numbers[0])
        renewing = [self.leases.renew(each) for each in (*self.numbers, 77)]
        for _ in range(SPARE + 1):
            self.clock.advance(GATHER)
        results = [self.successResultOf(each) for each in renewing]
        self.assertEqual(results, [True] * len(self.numbers) + [False])
        self.assertLessEqual(self.asked(), SPARE + 1)

    def test_slowAnswer(self) -> None:
        """
        While an answer is awaited, there is no other request, however many leases are renewed.
        """
        self.etcd.frozen.update(NODES)
        first = self.leases.renew(self.numbers[0])
        self.assertEqual(self.asked(), 1)
        others = [self.leases.renew(each) for each in self.numbers]
        twice = self.leases.renew(self.numbers[0])
        self.assertEqual(self.asked(), 1)
        self.etcd.frozen.clear()
        self.clock.advance(5)
        for each in (first, *others, twice):
            self.assertIs(self.successResultOf(each), True)
        self.assertEqual(self.asked(), 3)

    def test_parts(self) -> None:
        """
        Of one request there are not more than it may have.
        """
        self.patch(leasesModule, "AT_ONCE", 8)
        self.etcd.frozen.update(NODES)
        self.leases.renew(self.numbers[0])
        others = [self.leases.renew(each) for each in self.numbers]
        self.etcd.frozen.clear()
        self.clock.advance(5)
        for each in others:
            self.assertIs(self.successResultOf(each), True)
        self.assertEqual(self.asked(), 2 + 3)

    def test_refused(self) -> None:
        """
        What etcd refuses, or answers with nonsense, is told to all that are concerned; the next
        is asked for as ever.
        """
        for content, kind in (
            ((503, b"{}"), EtcdError),
            ((200, b'{"error": {"grpc_code": 14, "message": "no leader"}}'), EtcdError),
            ((200, b'{"result": {"ID": "1", "TTL": "5"}}'), BadAnswer),
            ((200, b"x"), BadAnswer),
            ((200, b""), BadAnswer),
        ):
            self.etcd.instead[PATH] = content
            renewing = [self.leases.renew(each) for each in self.numbers[:2]]
            self.clock.advance(GATHER)
            for each in renewing:
                self.failureResultOf(each, kind)
            self.clock.advance(1)
        self.etcd.instead.clear()
        self.assertIs(self.successResultOf(self.leases.renew(self.numbers[0])), True)

    def test_stopped(self) -> None:
        """
        When it is stopped, whatever waits is told so, and nothing is left.
        """
        self.etcd.frozen.update(NODES)
        renewing: list[Deferred[bool]] = [self.leases.renew(each) for each in self.numbers]
        left = len(self.clock.getDelayedCalls())
        self.leases.stop()
        self.leases.stop()
        for each in renewing:
            self.failureResultOf(each, EtcdError)
        self.assertEqual(len(self.clock.getDelayedCalls()), left - 1)

    def test_cancelled(self) -> None:
        """
        One that is not wanted any more harms no other.
        """
        self.etcd.frozen.update(NODES)
        first, other = (self.leases.renew(each) for each in self.numbers[:2])
        first.cancel()
        self.failureResultOf(first)
        self.etcd.frozen.clear()
        self.clock.advance(5)
        self.assertIs(self.successResultOf(other), True)
