# -*- test-case-name: tests.server.test_intake -*-
"""
Tests of L{muxd.server.intake}.
"""

from __future__ import annotations

from errno import EHOSTUNREACH

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import IDevice, IDeviceReceiver, IForeignDevice, IWirelessDevice
from muxd.server.intake import DeviceIntake
from muxd.server.registry import DeviceRegistry
from muxd.testing.devices import FakeDevice, fakeIdentity
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from tests.client.hosts import logOf

BUID = "OUR-BUID"


@implementer(IForeignDevice)
class ForeignDevice(FakeDevice):
    """
    A phone of another host, whose identity is C{buid}; None for one that is out of reach.
    """

    def __init__(self, clock: Clock, owner: str, number: int = 1, buid: str | None = BUID) -> None:
        super().__init__(clock, fakeIdentity(number))
        self.owner = owner
        self.record = b"theirs"
        self.buid = buid

    def readPairRecord(self) -> Deferred[bytes]:
        """
        See L{IForeignDevice}.
        """
        return succeed(self.record)

    def savePairRecord(self, data: bytes) -> Deferred[None]:
        """
        See L{IForeignDevice}.
        """
        self.record = data
        return succeed(None)

    def deletePairRecord(self) -> Deferred[None]:
        """
        See L{IForeignDevice}.
        """
        self.record = b""
        return succeed(None)

    def readBUID(self) -> Deferred[str]:
        """
        See L{IForeignDevice}.
        """
        if self.buid is None:
            return fail(OSError(EHOSTUNREACH, "out of reach"))
        return succeed(self.buid)


@implementer(IWirelessDevice)
class WirelessDevice(FakeDevice):
    """
    A phone on a network, shown as what it is or as one on a cable.
    """

    def __init__(self, clock: Clock, kind: str, name: str = "") -> None:
        super().__init__(clock, fakeIdentity(1, connectionType=kind, name=name))


class IntakeTests(SynchronousTestCase):
    """
    Tests of L{DeviceIntake}.
    """

    def setUp(self) -> None:
        """
        A registry, and the way to it.
        """
        self.clock = Clock()
        self.registry = DeviceRegistry()
        records = ImmediateRecords(MemoryRecordStore(BUID))
        self.intake = DeviceIntake(self.registry, self.registry, records)

    def seen(self) -> list[IDevice]:
        """
        What clients see.
        """
        return [attached.device for attached in self.registry.attached()]

    def warnings(self, logged: list[LogEvent]) -> list[str | None]:
        """
        The warnings of a log.
        """
        return [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]

    def test_interface(self) -> None:
        """
        It is a receiver; and this module's foreign devices are ones.
        """
        verifyObject(IDeviceReceiver, self.intake)
        verifyObject(IForeignDevice, ForeignDevice(self.clock, "a"))

    def test_localOnes(self) -> None:
        """
        Devices of this host are all seen, also two that claim to be one phone.
        """
        devices: list[IDevice] = [FakeDevice(self.clock), FakeDevice(self.clock)]
        for device in devices:
            self.intake.deviceAttached(device)
        self.assertEqual(self.seen(), devices)
        self.intake.deviceDetached(devices[0])
        self.assertEqual(self.seen(), devices[1:])

    def test_localFirst(self) -> None:
        """
        A phone of another host is not seen while it is on a cable here, and is seen under a
        new number when that is pulled out.
        """
        foreign, local = ForeignDevice(self.clock, "a"), FakeDevice(self.clock)
        self.intake.deviceAttached(foreign)
        self.assertEqual(self.seen(), [foreign])
        self.intake.deviceAttached(local)
        self.assertEqual(self.seen(), [local])
        self.intake.deviceDetached(local)
        self.assertEqual(self.seen(), [foreign])
        self.assertEqual([one.deviceID for one in self.registry.attached()], [3])

    def test_twoLocal(self) -> None:
        """
        It is not seen either while one of several devices here claims to be it.
        """
        foreign = ForeignDevice(self.clock, "a")
        locals_ = [FakeDevice(self.clock), FakeDevice(self.clock)]
        for device in (*locals_, foreign):
            self.intake.deviceAttached(device)
        self.intake.deviceDetached(locals_[0])
        self.assertEqual(self.seen(), locals_[1:])
        self.intake.deviceDetached(locals_[1])
        self.assertEqual(self.seen(), [foreign])

    def test_oneHost(self) -> None:
        """
        A phone that several hosts have is seen by way of the first; of the next when that
        does not have it any more.
        """
        first, second = ForeignDevice(self.clock, "a"), ForeignDevice(self.clock, "b")
        self.intake.deviceAttached(first)
        self.intake.deviceAttached(second)
        self.assertEqual(self.seen(), [first])
        self.intake.deviceDetached(first)
        self.assertEqual(self.seen(), [second])
        self.intake.deviceDetached(second)
        self.assertEqual(self.seen(), [])

    def test_waitingOneLeaves(self) -> None:
        """
        One that was not seen leaves without a trace.
        """
        local, foreign = FakeDevice(self.clock), ForeignDevice(self.clock, "a")
        self.intake.deviceAttached(local)
        self.intake.deviceAttached(foreign)
        self.intake.deviceDetached(foreign)
        self.intake.deviceDetached(local)
        self.assertEqual(self.seen(), [])

    def test_otherPhones(self) -> None:
        """
        Phones with other UDIDs have nothing to do with it.
        """
        local, foreign = FakeDevice(self.clock), ForeignDevice(self.clock, "a", 2)
        self.intake.deviceAttached(local)
        self.intake.deviceAttached(foreign)
        self.assertEqual(self.seen(), [local, foreign])

    def test_wireless(self) -> None:
        """
        A phone on a network is an entry beside the one of its cable.
        """
        wireless, cable = WirelessDevice(self.clock, "Network"), FakeDevice(self.clock)
        self.intake.deviceAttached(wireless)
        self.intake.deviceAttached(cable)
        self.assertEqual(self.seen(), [wireless, cable])
        self.intake.deviceDetached(wireless)
        self.assertEqual(self.seen(), [cable])

    def test_wirelessAsUSB(self) -> None:
        """
        One that is shown as one on a cable is not seen beside that, nor beside another host's;
        and does not hide another host's phone itself.
        """
        wireless, foreign = WirelessDevice(self.clock, "USB"), ForeignDevice(self.clock, "a")
        cable = FakeDevice(self.clock)
        self.intake.deviceAttached(wireless)
        self.intake.deviceAttached(cable)
        self.assertEqual(self.seen(), [cable])
        self.intake.deviceAttached(foreign)
        self.intake.deviceDetached(cable)
        self.assertEqual(self.seen(), [foreign])
        self.intake.deviceDetached(foreign)
        self.assertEqual(self.seen(), [wireless])

    def test_twoSourcesOfOne(self) -> None:
        """
        A phone that two sources have found on the network is one entry, and stays it when the
        cable comes; the other is shown under a new number when the first is lost.  That is worth
        one line, however often the second one comes.
        """
        logged = logOf(self)
        first = WirelessDevice(self.clock, "Network", "phone at a")
        second = WirelessDevice(self.clock, "Network", "phone at b")
        cable = FakeDevice(self.clock)
        for device in (first, second, cable):
            self.intake.deviceAttached(device)
        self.assertEqual(self.seen(), [first, cable])
        for _ in range(3):
            self.intake.deviceDetached(second)
            self.intake.deviceAttached(second)
        self.assertEqual(self.seen(), [first, cable])
        self.intake.deviceDetached(first)
        self.assertEqual(self.seen(), [cable, second])
        self.intake.deviceAttached(first)
        self.intake.deviceDetached(cable)
        self.assertEqual(self.seen(), [second])
        self.intake.deviceDetached(second)
        self.intake.deviceDetached(first)
        self.assertEqual(self.seen(), [])
        told = [str(formatEvent(event)) for event in logged]
        (line,) = [each for each in told if "by two sources" in each]
        self.assertIn("listed once, as the phone at a; the phone at b takes its place", line)

    def test_networkBesideForeign(self) -> None:
        """
        A phone that is on our network is also seen as the other host's that has it.
        """
        wireless, foreign = WirelessDevice(self.clock, "Network"), ForeignDevice(self.clock, "a")
        self.intake.deviceAttached(wireless)
        self.intake.deviceAttached(foreign)
        self.assertEqual(self.seen(), [wireless, foreign])

    def test_identities(self) -> None:
        """
        A host with another identity than ours is worth one warning; one with the same, none;
        and one that is out of reach is asked again with its next phone.
        """
        logged = logOf(self)
        self.intake.deviceAttached(ForeignDevice(self.clock, "same", 2))
        self.intake.deviceAttached(ForeignDevice(self.clock, "other", 3, None))
        self.assertEqual(self.warnings(logged), [])
        for number in (4, 5):
            self.intake.deviceAttached(ForeignDevice(self.clock, "other", number, "THEIRS"))
        (line,) = self.warnings(logged)
        self.assertIn("other has another SystemBUID than this host", str(line))
