# -*- test-case-name: tests.wifi.test_source -*-
"""
Tests of L{muxd.wifi.source}: simulated phones on addresses of this machine's own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import (
    IDeviceSource,
    IRecordReader,
    ISourceHealth,
    IWirelessDevice,
    SourceHealth,
)
from muxd.lockdown.client import LOCKDOWN_PORT, connectLockdown
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.trust import Owner, Pairing
from muxd.phone.parser import serials
from muxd.phone.wireless import WirelessAccess, announced
from muxd.server.intake import DeviceIntake
from muxd.server.registry import DeviceRegistry
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from muxd.wifi import source as module
from muxd.wifi.adverts import Advert, AdvertObserver, readAdvert
from muxd.wifi.phone import PhoneState
from muxd.wifi.settings import WifiSettings
from muxd.wifi.source import WifiSource
from tests.integration.inprocess import Attendance
from tests.lockdown.phones import BUID, recordOf

ADDRESSES = ("127.0.0.12", "127.0.0.13")


class HeldBrowser:
    """
    A browser that tells what a test tells it.
    """

    def __init__(self, observer: AdvertObserver) -> None:
        self.observer = observer

    def start(self) -> Deferred[None]:
        """
        Begin.
        """
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """
        End.
        """
        return succeed(None)


class SourceTests(TestCase):
    """
    Tests of L{WifiSource}.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Two phones on a network, one of which is paired with us.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.patch(module, "AGAIN", 0.2)
        self.phones = [Phone(reactor, udid=serial, owner=Owner.ACCEPT) for serial in serials(2)]
        self.accesses = [
            WirelessAccess(reactor, phone, address, announce=False)
            for phone, address in zip(self.phones, ADDRESSES, strict=True)
        ]
        for phone, access in zip(self.phones, self.accesses, strict=True):
            access.startService()
            self.addCleanup(phone.stop)
            self.addCleanup(access.stopService)
        self.store = MemoryRecordStore(BUID)
        self.registry = DeviceRegistry()
        self.attendance = Attendance()
        self.registry.subscribe(self.attendance)

    def pair(self, phone: Phone, hostID: str = "A-HOST") -> None:
        """
        Have a phone and this host trust each other.
        """
        record = recordOf(hostID, BUID)
        pairing = Pairing.fromValues(record.public())
        assert pairing is not None
        while phone.trust.requested(pairing):
            phone.trust.accept()
        self.store.records[phone.udid] = record.having(EscrowBag=b"bag").toBytes()

    def start(self, makeBrowser: Any = None, **settings: Any) -> WifiSource:
        """
        Start a source.
        """
        records = ImmediateRecords(self.store)
        intake = DeviceIntake(self.registry, self.registry, records)
        source = WifiSource(
            self.reactor,
            intake,
            "wifi",
            WifiSettings(**settings),
            lambda address, port: HostnameEndpoint(self.reactor, address.encode(), port),
            makeBrowser or HeldBrowser,
        )
        source.useRecords(records)
        source.startService()
        self.addCleanup(source.stopService)
        return source

    def advert(self, number: int = 0, *addresses: str) -> Advert:
        """
        What a phone announces.
        """
        properties = {
            str(key).encode(): value.encode() if isinstance(value, str) else value
            for key, value in announced(self.phones[number]).items()
        }
        return readAdvert(
            f"02:00:00:00:00:0{number}@fe80::1", addresses or (ADDRESSES[number],), properties
        )

    async def until(self, condition: Any) -> None:
        """
        Let the reactor run until something is so.
        """
        for _ in range(2000):
            if condition():
                return
            await deferLater(self.reactor, 0.01)
        self.fail("it did not come about")

    async def test_found(self) -> None:
        """
        A phone that announces a tag of ours is proved and listed, with its address.
        """
        self.pair(self.phones[0])
        source = self.start()
        verifyObject(IDeviceSource, source)
        verifyObject(IRecordReader, source)
        source.advertFound(self.advert())
        await self.attendance.count(1)
        (attached,) = self.registry.attached()
        verifyObject(IWirelessDevice, attached.device)
        identity = attached.device.identity
        self.assertEqual((identity.udid, identity.connectionType), (self.phones[0].udid, "Network"))
        self.assertEqual(identity.networkAddress[4:8], bytes((127, 0, 0, 12)))
        self.assertEqual(identity.serviceName, self.advert().fullName)

    def test_blind(self) -> None:
        """
        Operators are told where phones cannot be looked for, and what to do about it.
        """
        source = self.start()
        verifyObject(ISourceHealth, source)
        self.assertEqual(source.health(), SourceHealth())
        browser = HeldBrowser(source)
        browser.start = lambda: fail(OSError("no network"))  # type: ignore[method-assign]
        (trouble,) = self.start(lambda observer: browser).health().troubles
        self.assertIn("on the network: no network; name them by wifi:HOST", trouble)

    async def test_remembered(self) -> None:
        """
        A phone under a random address, without tags, is known by the name that it told when it
        was on a cable; without that it is not.
        """
        self.pair(self.phones[0])
        private = readAdvert("02:00:00:00:00:07@fe80::7", [ADDRESSES[0]], {})
        source = self.start()
        source.advertFound(private)
        await deferLater(self.reactor, 0.3)
        self.assertEqual(source.phones, [])
        self.store.remember(self.phones[0].udid, private.fullName.upper())
        await self.attendance.count(1)
        (attached,) = self.registry.attached()
        self.assertEqual(attached.device.identity.serviceName, private.fullName)

    async def test_connects(self) -> None:
        """
        Its ports are reached at its address.
        """
        self.pair(self.phones[0])
        source = self.start(asUSB=True)
        source.advertFound(self.advert())
        await self.attendance.count(1)
        (attached,) = self.registry.attached()
        self.assertEqual(attached.device.identity.connectionType, "USB")
        lockdown = await connectLockdown(attached.device.endpoint(LOCKDOWN_PORT), self.reactor)
        self.assertEqual(await lockdown.getValue("UniqueDeviceID"), self.phones[0].udid)
        lockdown.close()

    async def test_awake(self) -> None:
        """
        While a stream is open a phone is kept from sleep.
        """
        self.pair(self.phones[0])
        source = self.start(awake=True)
        source.advertFound(self.advert())
        await self.attendance.count(1)
        (attached,) = self.registry.attached()
        (phone,) = source.phones
        assert phone._wakefulness is not None
        lockdown = await connectLockdown(attached.device.endpoint(LOCKDOWN_PORT), self.reactor)
        await self.until(lambda: phone._wakefulness.isHeld)
        lockdown.close()

    async def test_othersPhones(self) -> None:
        """
        A phone that is not ours is not even connected to.
        """
        self.pair(self.phones[0])
        source = self.start()
        source.advertFound(self.advert(1))
        await deferLater(self.reactor, 0.5)
        self.assertEqual(source.phones, [])

    async def test_sharedHostID(self) -> None:
        """
        Of several phones that are paired under one HostID each is found as what it is, though
        the announcements speak for both.
        """
        for phone in self.phones:
            self.pair(phone)
        source = self.start()
        for number in (0, 1):
            source.advertFound(self.advert(number))
        await self.attendance.count(2)
        ports = {
            attached.device.identity.udid: attached.device.identity.networkAddress[7]
            for attached in self.registry.attached()
        }
        self.assertEqual(ports, {self.phones[0].udid: 12, self.phones[1].udid: 13})

    async def test_host(self) -> None:
        """
        A phone whose address the operator has named needs no announcement.
        """
        self.pair(self.phones[1])
        self.start(host=ADDRESSES[1], udid=self.phones[1].udid)
        await self.attendance.count(1)
        self.assertEqual(list(self.attendance.present), [self.phones[1].udid])

    async def test_severalAddresses(self) -> None:
        """
        Of several addresses the one that answers is used.
        """
        self.pair(self.phones[0])
        source = self.start()
        source.advertFound(self.advert(0, "127.0.0.250", ADDRESSES[0], "nonsense"))
        await self.attendance.count(1)
        (attached,) = self.registry.attached()
        self.assertEqual(attached.device.identity.networkAddress[7], 12)

    async def test_oneName(self) -> None:
        """
        Two phones under one name, as two networks may have them, do not hide each other: each
        is found where it is.
        """
        for phone, hostID in zip(self.phones, ("A-HOST", "B-HOST"), strict=True):
            self.pair(phone, hostID)
        source = self.start()
        name = self.advert().fullName
        for phone in self.phones:
            self.store.remember(phone.udid, name)
        source.advertFound(self.advert(0, *reversed(ADDRESSES)))
        await self.attendance.count(2)
        found = {
            each.device.identity.udid: each.device.identity.networkAddress[7]
            for each in self.registry.attached()
        }
        self.assertEqual(found, {self.phones[0].udid: 12, self.phones[1].udid: 13})

    async def test_goodbye(self) -> None:
        """
        A phone whose announcement ends stays while its heart beats.
        """
        self.pair(self.phones[0])
        source = self.start()
        source.advertFound(self.advert())
        await self.attendance.count(1)
        source.advertGone(self.advert().instance)
        await deferLater(self.reactor, 0.5)
        self.assertEqual(len(self.registry.attached()), 1)

    async def test_moved(self) -> None:
        """
        A phone that has another address is another entry.
        """
        self.pair(self.phones[0])
        source = self.start()
        source.advertFound(self.advert())
        await self.attendance.count(1)
        (before,) = self.registry.attached()
        (phone,) = source.phones
        moved = WirelessAccess(self.reactor, self.phones[0], "127.0.0.14", announce=False)
        await self.accesses[0].stopService()
        moved.startService()
        self.addCleanup(moved.stopService)
        source.advertFound(self.advert(0, "127.0.0.14"))
        await self.until(lambda: ("127.0.0.14",) in phone._places.values())
        assert phone._heart is not None
        phone._heart.close()
        await self.until(lambda: phone.state is PhoneState.LISTED and phone._address[-2:] == "14")
        (after,) = self.registry.attached()
        self.assertNotEqual(before.deviceID, after.deviceID)

    async def test_impostor(self) -> None:
        """
        A device that announces our tag and is another phone is not listed.
        """
        self.pair(self.phones[0])
        self.pair(self.phones[1], "ANOTHER-HOST")
        source = self.start()
        source.advertFound(self.advert(0, ADDRESSES[1]))
        await self.until(lambda: not source.phones)
        await deferLater(self.reactor, 0.5)
        self.assertEqual(self.registry.attached(), [])

    async def test_stopped(self) -> None:
        """
        A source that is stopped lets go of all phones.
        """
        self.pair(self.phones[0])
        source = self.start()
        source.advertFound(self.advert())
        await self.attendance.count(1)
        await source.stopService()
        self.assertEqual(self.registry.attached(), [])

    async def test_brokenRecord(self) -> None:
        """
        A record that cannot be used is told once, and keeps no other phone away.
        """
        self.pair(self.phones[0])
        self.store.records["BROKEN"] = b"nonsense"
        source = self.start()
        source.advertFound(self.advert())
        await self.attendance.count(1)
        self.assertEqual(source._told, {"BROKEN"})

    def test_record(self) -> None:
        """
        The records of these tests can be read.
        """
        self.pair(self.phones[0])
        PairRecord.fromBytes(self.store.records[self.phones[0].udid])


class LookTests(SynchronousTestCase):
    """
    When L{WifiSource} looks at what is announced, in time that passes as it is told to.
    """

    def setUp(self) -> None:
        """
        A source for one phone, known by its name, that compares when it is let.
        """
        self.turns: list[Deferred[None]] = []
        self.patch(module, "deferLater", self.turn)
        self.clock = Clock()
        self.store = MemoryRecordStore(BUID)
        self.udid = serials(1)[0]
        self.store.records[self.udid] = recordOf("A-HOST", BUID).toBytes()
        self.phone = readAdvert("02:00:00:00:00:07@fe80::7", [ADDRESSES[0]], {})
        self.store.remember(self.udid, self.phone.fullName)
        records = ImmediateRecords(self.store)
        registry = DeviceRegistry()
        self.source = WifiSource(
            self.clock,
            DeviceIntake(registry, registry, records),
            "wifi",
            WifiSettings(),
            lambda address, port: HostnameEndpoint(MemoryReactorClock(), address.encode(), port),
            HeldBrowser,
        )
        self.source.useRecords(records)
        self.source.startService()
        self.addCleanup(self.source.stopService)

    def turn(self, clock: object, delay: float) -> Deferred[None]:
        """
        A turn that comes when it is let.
        """
        self.turns.append(Deferred())
        return self.turns[-1]

    def compare(self) -> None:
        """
        Let the look that is going on come to its end.
        """
        while self.turns:
            self.turns.pop().callback(None)

    def begin(self) -> None:
        """
        Begin to look at another's phone.
        """
        self.source.advertFound(readAdvert("02:00:00:00:00:09@fe80::9", [ADDRESSES[1]], {}))
        self.clock.advance(module.BURST)
        self.assertEqual(len(self.turns), 1)

    def test_meanwhile(self) -> None:
        """
        A phone that is announced while others are compared is looked at a pause after these,
        however long they have taken.
        """
        self.begin()
        self.source.advertFound(self.phone)
        self.clock.advance(5)
        self.assertEqual(len(self.turns), 1)
        self.compare()
        self.assertEqual(self.source.phones, [])
        self.clock.advance(module.PAUSE)
        self.compare()
        self.assertEqual([phone.udid for phone in self.source.phones], [self.udid])

    def test_before(self) -> None:
        """
        So is one whose look was to begin when another had begun.
        """
        self.source.advertFound(readAdvert("02:00:00:00:00:09@fe80::9", [ADDRESSES[1]], {}))
        self.source._look()
        self.clock.advance(module.BURST)
        self.compare()
        self.assertEqual(self.turns, [])
        self.clock.advance(module.PAUSE)
        self.assertEqual(len(self.turns), 1)

    def test_once(self) -> None:
        """
        When nothing is announced meanwhile there is no look after a pause.
        """
        self.begin()
        self.compare()
        self.clock.advance(module.PAUSE)
        self.assertEqual(self.turns, [])

    def test_stoppedMeanwhile(self) -> None:
        """
        Nor is there one when the source is stopped.
        """
        self.begin()
        self.source.advertFound(self.phone)
        self.successResultOf(self.source.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
