# -*- test-case-name: tests.phone.test_wireless -*-
"""
Tests of L{muxd.phone.wireless}.
"""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.lockdown.client import LOCKDOWN_PORT
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.trust import Owner, Pairing
from muxd.phone.lockdown.values import WIRELESS
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.wireless import PRIVATE_MAC, Style, WirelessAccess, announced
from muxd.wifi.adverts import SERVICE, authTag, candidates, readAdvert
from tests.lockdown.phones import recordOf

ADDRESS = "127.0.0.15"


class AnnouncementTests(SynchronousTestCase):
    """
    What a phone announces.
    """

    def test_tags(self) -> None:
        """
        There is a tag for each host that the phone trusts, by which each finds it.
        """
        phone = Phone(MemoryReactorClock(), owner=Owner.ACCEPT)
        self.addCleanup(phone.stop)
        records = {name: recordOf(f"HOST-{name}", f"BUID-{name}") for name in "ab"}
        for record in records.values():
            pairing = Pairing.fromValues(record.public())
            assert pairing is not None
            while phone.trust.requested(pairing):
                phone.trust.accept()
        properties = {
            str(key).encode(): value if isinstance(value, bytes) else str(value).encode()
            for key, value in announced(phone).items()
        }
        self.assertEqual(properties[b"authTag#1"], base64.b64encode(authTag("HOST-b", phone.udid)))
        advert = readAdvert("02:00:00:00:00:01@fe80::1", [], properties)
        self.assertEqual(candidates(advert, records), ["a", "b"])
        self.assertEqual(candidates(advert, {"c": recordOf("HOST-c")}), [])

    def test_styles(self) -> None:
        """
        The name by which it announces itself is told on a cable as well: that of a random
        address, or of the one in its values.
        """
        for style, begins in (
            (Style.TAGS, PRIVATE_MAC),
            (Style.PRIVATE, PRIVATE_MAC),
            (Style.MAC, None),
        ):
            phone = Phone(MemoryReactorClock())
            self.addCleanup(phone.stop)
            WirelessAccess(MemoryReactorClock(), phone, ADDRESS, style=style)
            told = phone.values.domain(WIRELESS, isTrusted=True)["BonjourFullServiceName"]
            self.assertTrue(told.startswith(begins or phone.values.get("WiFiAddress")), told)
            self.assertTrue(told.endswith(f".{SERVICE}"), told)


class AccessTests(TestCase):
    """
    Tests of L{WirelessAccess}.
    """

    def setUp(self) -> None:
        """
        A phone on the network.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.phone = Phone(reactor)
        self.addCleanup(self.phone.stop)
        self.access = WirelessAccess(reactor, self.phone, ADDRESS, announce=False)

    def test_noAddress(self) -> None:
        """
        What is no address is refused before anything is opened.
        """
        self.assertRaises(ValueError, WirelessAccess, self.reactor, self.phone, "phone")

    async def test_ports(self) -> None:
        """
        It listens where lockdownd does, and where a service waits for its connection; not any
        longer when that does not, nor when it has stopped.
        """
        self.access.startService()
        self.assertEqual(list(self.access._ports), [LOCKDOWN_PORT])
        port = self.phone.ports.open(ServiceFactory(Protocol))
        self.assertEqual(list(self.access._ports), [LOCKDOWN_PORT, port])
        self.phone.ports.stop()
        self.assertEqual(list(self.access._ports), [LOCKDOWN_PORT])
        await self.access.stopService()
        self.assertEqual(self.access._ports, {})
        self.assertIsNotNone(self.phone.ports.open(ServiceFactory(Protocol)))
        self.assertEqual(self.access._ports, {})

    async def test_taken(self) -> None:
        """
        An address that another phone has is refused.
        """
        self.access.startService()
        other = WirelessAccess(self.reactor, Phone(self.reactor), ADDRESS, announce=False)
        self.assertRaises(CannotListenError, other.startService)
        await self.access.stopService()
