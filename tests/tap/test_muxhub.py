# -*- test-case-name: tests.tap.test_muxhub -*-
"""
Tests of L{muxd.tap.muxhub} and L{muxd.tap.fleeted}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.embedded import EmbeddedRegistry
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.host import FleetPlace
from muxd.fleet.service import HubService
from muxd.tap.fleeted import placeFromOptions
from muxd.tap.muxhub import Options, makeService

HUB = "tcp:127.0.0.1:7300"


class MuxhubTests(SynchronousTestCase):
    """
    Tests of the hub's options.
    """

    def parsed(self, *words: str) -> Options:
        """
        What is said.
        """
        options = Options()
        options.reactor = MemoryReactorClock()
        options.parseOptions(["--state", self.mktemp(), *words])
        return options

    def refused(self, *words: str) -> str:
        """
        Why something is not understood.
        """
        return str(self.assertRaises(usage.UsageError, self.parsed, *words))

    def test_service(self) -> None:
        """
        It is a hub, with what was said.
        """
        service = makeService(
            self.parsed("--admin", "ops", "--term", "7", "-l", "unix:/x:only=usb")
        )
        assert isinstance(service, HubService)
        self.assertEqual((service.hub.term, service.hub.admins), (7.0, {"ops"}))
        ((place, view),) = service.mux.views
        assert view is not None
        self.assertEqual(
            (place.description, str(view.view.only.types)), ("unix:/x", "frozenset({'USB'})")
        )

    def test_wrong(self) -> None:
        """
        What makes no sense is refused with what was expected.
        """
        self.assertIn("seconds from 2 to 3600", self.refused("--term", "1"))
        self.assertIn("seconds from 2", self.refused("--term", "soon"))
        self.assertIn("insecure=yes", self.refused("--fleet", "tcp:1:interface=0.0.0.0"))
        self.assertIn("--fleet", self.refused("--fleet", "no such:thing"))
        self.assertIn("unexpected argument", self.refused("x"))
        self.assertEqual(self.refused("--state", ""), "--state must name a directory")

    def test_status(self) -> None:
        """
        A hub has a status socket where an operator wants one.
        """
        self.assertIsNone(self.parsed().service.status)
        status = self.parsed("--status", "tcp:27016").service.status
        assert status is not None
        self.assertEqual(status.description, "tcp:27016")
        self.assertIn("--status", self.refused("--status", "no such:thing"))

    def test_registry(self) -> None:
        """
        The registry is in the hub, or where it is said to be.
        """
        self.assertIsInstance(self.parsed().service.registry, EmbeddedRegistry)
        etcd = self.parsed("--registry", "etcd:127.0.0.1:2379:prefix=/a")
        self.assertIsInstance(etcd.service.registry, EtcdRegistry)
        self.assertIn("insecure=yes", self.refused("--registry", "etcd:10.0.0.1:2379"))
        self.assertIn("--admin: expected a name, got ''", self.refused("--admin", ""))
        self.assertIn("etcd:HOST:PORT", self.refused("--registry", "zookeeper"))


class FleetedTests(SynchronousTestCase):
    """
    Tests of the options of a host.
    """

    def place(self, *words: str | None) -> FleetPlace | None:
        """
        What is said: hub, door, name and address.
        """
        hub, door, name, address = (*words, None, None, None, None)[:4]
        return placeFromOptions(MemoryReactorClock(), hub, door, name, address)

    def test_none(self) -> None:
        """
        Without a hub it is no host, and the rest makes no sense.
        """
        self.assertIsNone(self.place())
        error = self.assertRaises(ValueError, self.place, None, "unix:/door")
        self.assertIn("--door", str(error))

    def test_place(self) -> None:
        """
        A host is called what was said, or as its machine.
        """
        place = self.place(HUB, "unix:/door", "rack1")
        assert place is not None
        self.assertEqual((place.name, place.door), ("rack1", "unix:/door"))
        named = self.place(HUB, "unix:/door")
        assert named is not None
        self.assertTrue(named.name)

    def test_wrong(self) -> None:
        """
        What makes no sense is refused.
        """
        for words in (
            (HUB,),
            ("no such:thing", "unix:/door"),
            (HUB, "tcp:1:interface=0.0.0.0"),
            (HUB, "tcp:1:interface=0.0.0.0:insecure=yes"),
            (HUB, "unix:/door", "x" * 65),
            (HUB, "unix:/door", ""),
        ):
            self.assertRaises(ValueError, self.place, *words)
        for wrong, option in (
            (("", "unix:/door"), "--hub"),
            ((HUB, "tcp:x"), "--door"),
            ((HUB, "unix:/door", ""), "--fleet-name"),
            ((HUB, "tcp:1", "a", "h:99999"), "--door-address"),
        ):
            error = self.assertRaises(ValueError, self.place, *wrong)
            self.assertTrue(str(error).startswith(f"{option}: "), str(error))
        self.assertIsNotNone(
            self.place(HUB, "tcp:1:interface=0.0.0.0:insecure=yes", "a", "rack1.example")
        )
