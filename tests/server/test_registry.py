# -*- test-case-name: tests.server.test_registry -*-
"""
Tests of L{muxd.server.registry}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import AttachedDevice, IDevice, IDeviceListener, IDeviceReceiver
from muxd.server.registry import LAST_ID, DeviceRegistry
from muxd.testing import FakeDevice, fakeIdentity


@implementer(IDeviceListener)
class Recorder:
    """
    Writes down what it is told.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self.events.append(("attached", attached.deviceID))

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self.events.append(("detached", attached.deviceID))

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self.events.append(("paired", attached.deviceID))


class DeviceRegistryTests(SynchronousTestCase):
    """
    L{DeviceRegistry} numbers devices and tells listeners.
    """

    def test_hiddenGone(self) -> None:
        """
        A hidden device that is gone is not one that is still to be shown.
        """
        device = FakeDevice(Clock(), fakeIdentity())
        self.registry.attach(device, visible=False)
        self.assertTrue(self.registry.hasHidden)
        self.registry.deviceDetached(device)
        self.assertFalse(self.registry.hasHidden)
        self.assertEqual(self.recorder.events, [])

    def test_logged(self) -> None:
        """
        Where a device is plugged in is logged, if that is known.
        """
        for path, text in (("3-1.4", ": iPhone at 3-1.4"), ("", ": iPhone")):
            device = FakeDevice(Clock(), replace(fakeIdentity(), portPath=path))
            with capturedLogs() as events:
                self.registry.deviceAttached(device)
            self.assertTrue(formatEvent(events[0]).endswith(text), formatEvent(events[0]))
            self.registry.deviceDetached(device)

    def setUp(self) -> None:
        """
        Make a registry with a listener.
        """
        self.registry = DeviceRegistry()
        self.recorder = Recorder()
        self.registry.subscribe(self.recorder)

    def phone(self, number: int = 1, connectionType: str = "USB") -> FakeDevice:
        """
        A phone that is not attached yet.
        """
        return FakeDevice(Clock(), fakeIdentity(number, connectionType=connectionType))

    def test_interfaces(self) -> None:
        """
        The registry is told by sources, and its listeners by it.
        """
        verifyObject(IDeviceReceiver, self.registry)
        verifyObject(IDeviceListener, self.recorder)
        verifyObject(IDevice, self.phone())

    def test_numbers(self) -> None:
        """
        Numbers start at 1, go up by one, and are never used again (protocol
        3.3).
        """
        first, second = self.phone(1), self.phone(2)
        self.registry.deviceAttached(first)
        self.registry.deviceAttached(second)
        self.registry.deviceDetached(first)
        self.registry.deviceAttached(first)
        self.assertEqual([one.deviceID for one in self.registry.attached()], [2, 3])
        self.assertEqual(
            self.recorder.events,
            [("attached", 1), ("attached", 2), ("detached", 1), ("attached", 3)],
        )

    def test_attachTwice(self) -> None:
        """
        A device that is attached already keeps its number, and nobody is told.
        """
        phone = self.phone()
        self.assertIs(self.registry.attach(phone), self.registry.attach(phone))
        self.assertEqual(self.recorder.events, [("attached", 1)])

    def test_detachTwice(self) -> None:
        """
        A device that is gone, or never was here, may be detached (protocol 9,
        edge 10).
        """
        phone = self.phone()
        self.registry.deviceDetached(phone)
        self.registry.deviceAttached(phone)
        self.registry.deviceDetached(phone)
        self.registry.deviceDetached(phone)
        self.assertEqual(self.recorder.events, [("attached", 1), ("detached", 1)])
        self.assertIsNone(self.registry.find(1))

    def test_numbersRunOut(self) -> None:
        """
        After 2^31 - 1 attachments devices are refused, loudly.
        """
        registry = DeviceRegistry(firstID=LAST_ID)
        last = registry.attach(self.phone(1))
        assert last is not None
        self.assertEqual(last.deviceID, (1 << 31) - 1)
        self.assertIsNone(registry.attach(self.phone(2)))
        self.assertEqual(len(registry.attached()), 1)

    def test_noSerial(self) -> None:
        """
        A device without a serial number is never listed (protocol 9, edge 52).
        """
        identity = fakeIdentity()
        for nameless in (replace(identity, serial=""), replace(identity, udid="")):
            self.assertIsNone(self.registry.attach(FakeDevice(Clock(), nameless)))
        self.assertEqual((self.registry.attached(), self.recorder.events), ([], []))

    def test_hidden(self) -> None:
        """
        A hidden device can be found but is not listed until it is shown.
        """
        phone = self.phone()
        attached = self.registry.attach(phone, visible=False)
        self.assertEqual((self.registry.attached(), self.recorder.events), ([], []))
        self.assertEqual(self.registry.find(1), attached)
        self.assertEqual(self.registry.findByUDID(phone.identity.udid), attached)
        self.registry.show(phone)
        self.registry.show(phone)
        self.assertEqual(self.registry.attached(), [attached])
        self.assertEqual(self.recorder.events, [("attached", 1)])

    def test_neverShown(self) -> None:
        """
        The end of a device that was never shown is not announced (protocol 9,
        edge 59).
        """
        phone = self.phone()
        self.registry.attach(phone, visible=False)
        self.registry.deviceDetached(phone)
        self.registry.show(phone)
        self.assertEqual(self.recorder.events, [])

    def test_findByUDID(self) -> None:
        """
        A UDID is found with or without its dash.
        """
        phone = self.phone()
        attached = self.registry.attach(phone)
        udid = phone.identity.udid
        self.assertIn("-", udid)
        self.assertEqual(self.registry.findByUDID(udid), attached)
        self.assertEqual(self.registry.findByUDID(udid.replace("-", "")), attached)
        self.assertIsNone(self.registry.findByUDID("other"))

    def test_findByUDIDPrefersTheCable(self) -> None:
        """
        Of several ways to one phone the cable is found, and of two cables the
        one that was plugged in last.
        """
        network = self.phone(1, "Network")
        old, new = self.phone(1), self.phone(1)
        udid = network.identity.udid
        for phone, expected in ((old, old), (network, old), (new, new)):
            self.registry.deviceAttached(phone)
            found = self.registry.findByUDID(udid)
            assert found is not None
            self.assertIs(found.device, expected)

    def test_paired(self) -> None:
        """
        Listeners hear of a pairing, also of a hidden device's.
        """
        attached = self.registry.attach(self.phone(), visible=False)
        assert attached is not None
        self.registry.announcePaired(attached)
        self.assertEqual(self.recorder.events, [("paired", 1)])

    def test_failingListener(self) -> None:
        """
        A listener that fails harms no other, and is logged.
        """

        class Failing(Recorder):
            """
            Fails.
            """

            def deviceAttached(self, attached: AttachedDevice) -> None:
                """
                Fail.
                """
                raise RuntimeError("a bad listener")

        registry = DeviceRegistry()
        registry.subscribe(Failing())
        registry.subscribe(self.recorder)
        registry.deviceAttached(self.phone())
        self.assertEqual(self.recorder.events, [("attached", 1)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unsubscribe(self) -> None:
        """
        A listener that has unsubscribed hears no more; it may be done twice.
        """
        self.registry.unsubscribe(self.recorder)
        self.registry.unsubscribe(self.recorder)
        self.registry.deviceAttached(self.phone())
        self.assertEqual(self.recorder.events, [])

    def test_changesFromWithinAnEvent(self) -> None:
        """
        All listeners hear of changes in the same order, also when a listener
        makes the next one.
        """
        registry = DeviceRegistry()

        class Unplugging(Recorder):
            """
            Detaches every device it hears of.
            """

            def deviceAttached(self, attached: AttachedDevice) -> None:
                """
                Detach it.
                """
                registry.deviceDetached(attached.device)

        registry.subscribe(Unplugging())
        registry.subscribe(self.recorder)
        registry.deviceAttached(self.phone())
        self.assertEqual(self.recorder.events, [("attached", 1), ("detached", 1)])
