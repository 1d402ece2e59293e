"""
Hubs' registries with an etcd in memory, for tests.
"""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from muxd.fleet.etcd.gateway import Gateway
from muxd.fleet.etcd.keys import Keys
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.terms import TERM, Times
from tests.fleet.contract import stepped
from tests.fleet.etcd.engine import FakeEtcd

NODES = ("http://a:2379", "http://b:2379")


class Names:
    """
    Makes names, each another one.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        """
        The next one.
        """
        self.count += 1
        return f"{self.count:016x}{self.count:016x}"


class EtcdCase(TestCase):
    """
    Hubs' registries with one etcd in memory.

    @ivar registry: The first one.
    @cvar hubTerm: Of hosts' leases, in seconds.
    """

    registry: EtcdRegistry
    hubTerm = TERM

    def setUp(self) -> None:
        """
        Start it.
        """
        self.clock = Clock()
        self.etcd = FakeEtcd(self.clock)
        self.names = Names()
        self.started: list[EtcdRegistry] = []
        self.registry = self.start()
        self.addCleanup(self.stop)

    def start(self) -> EtcdRegistry:
        """
        One more hub's.
        """
        times = Times(self.hubTerm)
        gateway = Gateway(self.clock, self.etcd, NODES, times=times)
        registry = EtcdRegistry(self.clock, gateway, Keys("/t"), makeName=self.names, times=times)
        self.started.append(registry)
        registry.start()
        return registry

    def stop(self) -> None:
        """
        Stop all: no timer is left, other than the leases' of etcd.
        """
        for registry in self.started:
            registry.stop()
        left = [one for one in self.clock.getDelayedCalls() if one not in self.etcd.timers]
        self.assertEqual(left, [])

    def passTime(self, seconds: float) -> Awaitable[None]:
        """
        In small steps.
        """
        return stepped(self.clock, seconds)

    def reopen(self) -> Awaitable[None]:
        """
        One hub is gone, and another one there.
        """
        self.registry.stop()
        self.registry = self.start()
        return succeed(None)
