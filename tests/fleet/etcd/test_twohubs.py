# -*- test-case-name: tests.fleet.etcd.test_twohubs -*-
"""
Tests of two hubs with one etcd in memory: hosts, jobs and phones, each with whichever hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from muxd.fleet.client import FleetClient, FleetSession
from muxd.fleet.etcd.gateway import Gateway
from muxd.fleet.etcd.keys import Keys
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.hub import Hub
from muxd.fleet.peers import HubFactory
from muxd.fleet.values import FleetError, Why
from tests.fleet.etcd.cases import NODES, Names
from tests.fleet.etcd.engine import FakeEtcd
from tests.fleet.fleets import host, phone, udid
from tests.fleet.world import HUB, World, WorldCase

OTHER = "/hub2"


class TwoHubsWorld(World):
    """
    Hosts are connected to the hub at L{HUB}; there is another one at L{OTHER}.
    """

    def startHub(self) -> None:
        """
        Start both.
        """
        self.etcd = FakeEtcd(self.reactor)
        self.names = Names()
        self.hubs = {path: self.makeHub(path) for path in (HUB, OTHER)}
        self.hub = self.hubs[HUB]
        self.registry: Any = self.hub.registry

    def makeHub(self, path: str) -> Hub:
        """
        One of them.
        """
        gateway = Gateway(self.reactor, self.etcd, self.nodesOf(path))
        registry = EtcdRegistry(self.reactor, gateway, Keys("/t"), makeName=self.names)
        registry.start()
        hub = Hub(self.reactor, registry)
        hub.start()
        self.listeners[path] = HubFactory(hub)
        return hub

    def nodesOf(self, path: str) -> Sequence[str]:
        """
        By which addresses a hub reaches etcd.
        """
        return NODES

    def sessionAt(self, path: str, name: str = "ann") -> FleetSession:
        """
        A job's connection to one of them.
        """
        return self.result(FleetClient(self.reactor, f"unix:{path}", name).connect())


class TwoHubsTests(WorldCase):
    """
    Tests of both.
    """

    world: TwoHubsWorld

    def setUp(self) -> None:
        """
        Start them, and a host.
        """
        self.world = TwoHubsWorld(self.mktemp())
        self.addCleanup(self._end)
        self.host = self.world.addHost("a", 1)
        self.job = self.world.sessionAt(OTHER)

    def _end(self) -> None:
        super()._end()
        registry: Any = self.world.hubs[OTHER].registry
        registry.stop()

    def test_confirmedAcross(self) -> None:
        """
        A job has a phone by a hub that the phone's host is not connected to, once the host has
        confirmed it; and so it is with each renewal, which is the host's, too.
        """
        reserved = self.world.result(self.job.reserve(term=10))
        self.assertEqual(self.host.gate.tokens, [reserved.token])
        for _ in range(4):
            self.world.advance(4)
            self.world.result(self.job.renew(reserved))
        self.assertEqual(self.host.gate.tokens, [reserved.token])
        self.world.advance(11)
        self.assertEqual(self.host.gate.tokens, [])

    def test_silentHost(self) -> None:
        """
        A host that does not confirm leaves the job without its phone, whichever hub it asked.
        """
        self.world.split.add(HUB)
        wanted = self.job.reserve()
        failures: list[Any] = []
        wanted.addErrback(failures.append)
        self.world.advance(6)
        self.assertEqual([one.value.why for one in failures], [Why.HOST_SILENT])

    def test_oneKey(self) -> None:
        """
        Both hubs knock at a host's door with the same key, and another one at another's.
        """
        one, other = (self.world.hubs[path] for path in (HUB, OTHER))
        self.assertEqual(one.keyOf("a"), other.keyOf("a"))
        self.assertNotEqual(one.keyOf("a"), one.keyOf("b"))
        self.assertEqual(self.host.gate.shared, one.keyOf("a"))

    def test_renewedAtTheOther(self) -> None:
        """
        A job goes on with the other hub, at once after the first has granted its phone.
        """
        reserved = self.world.result(self.job.reserve())
        other = self.world.sessionAt(HUB)
        self.world.result(other.renew(reserved))
        self.world.result(other.release(reserved))
        self.assertEqual(self.host.gate.tokens, [])

    def test_drained(self) -> None:
        """
        A host that is drained at one hub is so at the other.
        """
        self.world.result(self.job.drain("a"))
        view = self.world.result(self.world.sessionAt(HUB).fleet())
        self.assertEqual([one.isDraining for one in view.hosts], [True])

    def test_lostWhileAway(self) -> None:
        """
        A reservation that has ended while a hub could not follow is over for its jobs and hosts
        when it can.
        """
        reserved = self.world.result(self.job.reserve(term=600))
        self.world.etcd.refusing.update(NODES)
        self.world.etcd.cutWatches()
        self.world.advance(1)
        self.world.etcd.revoke(
            self.world.etcd.entries[Keys("/t").prefix + b"held/" + _keyOf(1)].lease
        )
        self.world.etcd.compact(self.world.etcd.revision + 1)
        self.assertEqual(self.host.gate.tokens, [reserved.token])
        self.world.etcd.refusing.clear()
        self.world.advance(5)
        self.assertEqual(self.host.gate.tokens, [])
        self.assertEqual(self.world.hubs[OTHER].holders, {})

    def test_oldLease(self) -> None:
        """
        A host that has gone to the other hub keeps what it has not told of again, for as long as
        it is there; when it has told of all, nothing is left of its old lease.
        """
        self.world.split.add(HUB)
        registry = self.world.hubs[OTHER].registry
        lease = self.world.result(registry.announce(host("a"), 10))
        for _ in range(6):
            self.world.advance(4)
            self.assertTrue(self.world.result(registry.keepAlive(lease)))
        view = self.world.result(self.job.fleet())
        self.assertEqual([one.phone.udid for one in view.phones], [udid(1)])
        before = set(self.world.etcd.leases)
        self.assertTrue(self.world.result(registry.tell(lease, [phone(1, "a")], True)))
        self.assertEqual(len(before - set(self.world.etcd.leases)), 1)

    def test_stale(self) -> None:
        """
        While etcd is away a hub shows what it knows, keeps its hosts, and reserves nothing.
        """
        reserved = self.world.result(self.job.reserve(term=60))
        self.world.etcd.refusing.update(NODES)
        self.world.etcd.cutWatches()
        self.world.advance(5)
        view = self.world.result(self.job.fleet())
        self.assertEqual([one.phone.udid for one in view.phones], [udid(1)])
        wanted = self.job.reserve(take=True)
        failures: list[Any] = []
        wanted.addErrback(failures.append)
        self.world.advance(10)
        self.assertEqual([one.value.why for one in failures], [Why.STALE])
        self.assertIsInstance(failures[0].value, FleetError)
        self.assertIn("a", self.world.hub.hosts)
        self.world.etcd.refusing.clear()
        self.world.advance(5)
        self.assertEqual(self.host.gate.tokens, [reserved.token])
        self.world.result(self.job.renew(reserved))


def _keyOf(number: int) -> bytes:
    return udid(number).replace("-", "").lower().encode()
