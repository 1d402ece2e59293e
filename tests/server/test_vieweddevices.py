"""
Tests of L{muxd.server.vieweddevices}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import AttachedDevice, IDeviceListener
from muxd.server.registry import DeviceRegistry
from muxd.server.view import EVERYTHING
from muxd.server.vieweddevices import ViewedDevices
from muxd.testing import FakeDevice
from tests.server.viewing import identity, only, udid, view


@implementer(IDeviceListener)
class Listening:
    """
    One that writes down what it is told.
    """

    def __init__(self, isBroken: bool = False) -> None:
        self.told: list[tuple[str, int, str]] = []
        self.isBroken = isBroken

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        A device has become visible.
        """
        self._note("attached", attached)

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        A device is gone.
        """
        self._note("detached", attached)

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        A device has been paired.
        """
        self._note("paired", attached)

    def _note(self, what: str, attached: AttachedDevice) -> None:
        self.told.append((what, attached.deviceID, attached.device.identity.udid))
        if self.isBroken:
            raise RuntimeError("a defect")

    def take(self) -> list[tuple[str, int, str]]:
        """
        What has been told since the last call.
        """
        told, self.told = self.told, []
        return told


class ViewedDevicesTests(SynchronousTestCase):
    """
    A view of the first and the third phone.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.registry = DeviceRegistry()
        self.first, self.second, self.third = (
            FakeDevice(Clock(), identity(number, f"1-{number}")) for number in (1, 2, 3)
        )
        self.registry.deviceAttached(self.second)
        self.viewed = ViewedDevices(self.registry, only(1, 3))
        self.listening = Listening()
        self.viewed.subscribe(self.listening)

    def names(self) -> dict[int, str]:
        """
        What is listed.
        """
        return {one.deviceID: one.device.identity.udid for one in self.viewed.attached()}

    def test_interface(self) -> None:
        """
        It is a listener of registries.
        """
        verifyObject(IDeviceListener, self.viewed)

    def test_numbers(self) -> None:
        """
        Phones are numbered as if there were no others.
        """
        self.registry.deviceAttached(self.third)
        self.registry.deviceDetached(self.second)
        self.registry.deviceAttached(self.second)
        self.registry.deviceAttached(self.first)
        self.assertEqual(self.names(), {1: udid(3), 2: udid(1)})
        self.assertEqual(
            self.listening.take(), [("attached", 1, udid(3)), ("attached", 2, udid(1))]
        )

    def test_present(self) -> None:
        """
        Those that are there when it is made are in it.
        """
        viewed = ViewedDevices(self.registry, only(2))
        self.assertEqual([one.deviceID for one in viewed.attached()], [1])

    def test_find(self) -> None:
        """
        A phone is found under its number here as long as it is there, and then no more.
        """
        self.registry.deviceAttached(self.third)
        found = self.viewed.find(1)
        assert found is not None
        self.assertEqual((found.deviceID, found.device), (1, self.third))
        self.assertIsNone(self.viewed.find(2))
        self.registry.deviceDetached(self.third)
        self.assertIsNone(self.viewed.find(1))
        self.registry.deviceAttached(self.third)
        self.assertIsNone(self.viewed.find(1))
        self.assertEqual(self.names(), {2: udid(3)})

    def test_hidden(self) -> None:
        """
        A phone that is not visible yet has a number once it is paired, and is listed under
        it when it is shown.
        """
        attached = self.registry.attach(self.first, visible=False)
        assert attached is not None
        self.assertEqual((self.names(), self.listening.take()), ({}, []))
        self.registry.announcePaired(attached)
        self.assertEqual(self.listening.take(), [("paired", 1, udid(1))])
        self.assertEqual(self.names(), {})
        self.assertIsNotNone(self.viewed.find(1))
        self.registry.show(self.first)
        self.assertEqual(self.names(), {1: udid(1)})

    def test_neverShown(self) -> None:
        """
        One that goes before it was shown cannot be found any more, and leaves nothing.
        """
        attached = self.registry.attach(self.first, visible=False)
        assert attached is not None
        self.registry.announcePaired(attached)
        self.registry.deviceDetached(self.first)
        self.assertIsNone(self.viewed.find(1))
        self.registry.deviceAttached(self.third)
        self.assertEqual(self.names(), {2: udid(3)})
        self.assertEqual(len(self.viewed._theirs), 1)

    def test_paired(self) -> None:
        """
        That a phone has been paired is told in all views that show it, under its number in
        each.
        """
        self.registry.deviceAttached(self.first)
        other = Listening()
        ViewedDevices(self.registry, EVERYTHING).subscribe(other)
        mine = self.viewed.find(1)
        assert mine is not None
        self.listening.take()
        self.viewed.announcePaired(mine)
        self.assertEqual(self.listening.take(), [("paired", 1, udid(1))])
        self.assertEqual(other.take(), [("paired", 2, udid(1))])
        self.registry.deviceDetached(self.first)
        self.viewed.announcePaired(mine)
        self.assertEqual([what for what, _, _ in self.listening.take()], ["detached"])

    def test_otherView(self) -> None:
        """
        When the view changes, what is not in it is detached and what is new is attached,
        and numbers are not used again.
        """
        for phone in (self.first, self.third):
            self.registry.deviceAttached(phone)
        self.listening.take()
        self.viewed.changeView(only(2, 3))
        self.assertEqual(
            self.listening.take(), [("detached", 1, udid(1)), ("attached", 3, udid(2))]
        )
        self.assertEqual(self.names(), {2: udid(3), 3: udid(2)})
        self.viewed.changeView(only(1))
        self.assertEqual(self.names(), {4: udid(1)})

    def test_doubtful(self) -> None:
        """
        A device is doubtful beside another one of this view, and not beside one that is
        not shown.
        """
        self.viewed.changeView(view(only="1-1,1-2"))
        self.registry.deviceDetached(self.second)
        fake = FakeDevice(Clock(), identity(1, "1-9"))
        self.registry.attach(self.first, proved=False)
        self.registry.attach(fake, proved=False)
        (mine,) = self.viewed.attached()
        self.assertFalse(self.viewed.isDoubtful(mine.deviceID))
        before = self.viewed.proofs
        self.registry.attach(FakeDevice(Clock(), identity(1, "1-2")), proved=False)
        self.assertTrue(self.viewed.isDoubtful(mine.deviceID))
        self.registry.prove(self.first)
        self.assertFalse(self.viewed.isDoubtful(mine.deviceID))
        self.assertFalse(self.viewed.isDoubtful(99))
        self.assertGreater(self.viewed.proofs, before)

    def test_brokenListener(self) -> None:
        """
        One listener's defect takes nothing from the others.
        """
        broken, last = Listening(isBroken=True), Listening()
        self.viewed.subscribe(broken)
        self.viewed.subscribe(last)
        self.registry.deviceAttached(self.first)
        self.assertEqual(last.take(), [("attached", 1, udid(1))])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.viewed.unsubscribe(broken)
        self.viewed.unsubscribe(broken)

    def test_stopped(self) -> None:
        """
        One that is stopped hears no more.
        """
        self.viewed.stop()
        self.registry.deviceAttached(self.first)
        self.assertEqual(self.listening.take(), [])


class RecordTests(SynchronousTestCase):
    """
    Which pair records belong to a view.
    """

    def setUp(self) -> None:
        """
        Begin without phones.
        """
        self.registry = DeviceRegistry()

    def records(self, number: int, **options: str) -> tuple[bool, bool]:
        """
        Whether the record of a phone may be read, and stored.
        """
        viewed = ViewedDevices(self.registry, view(**options))
        return viewed.permitsReading(udid(number)), viewed.permitsSaving(udid(number))

    def attach(self, number: int, port: str, proved: bool = True) -> None:
        """
        Plug a phone in.
        """
        self.registry.attach(FakeDevice(Clock(), identity(number, port)), proved=proved)

    def test_byUDID(self) -> None:
        """
        Where phones are named by UDID, it is the same whether they are there or not.
        """
        for _ in range(2):
            self.assertEqual(self.records(1, only=udid(1)), (True, True))
            self.assertEqual(self.records(2, only=udid(1)), (False, False))
            self.assertEqual(self.records(2, deny=udid(1)), (True, True))
            self.assertEqual(self.records(1, deny=udid(1)), (False, False))
            self.attach(1, "1-1")
            self.attach(2, "1-2")

    def test_byPort(self) -> None:
        """
        Where they are named by port, it is those that are there.
        """
        self.assertEqual(self.records(1, only="1-1"), (False, False))
        self.attach(1, "1-1")
        self.attach(2, "1-2")
        self.assertEqual(self.records(1, only="1-1"), (True, True))
        self.assertEqual(self.records(2, only="1-1"), (False, False))
        self.assertEqual(self.records(2, deny="1-2"), (False, False))

    def test_unproved(self) -> None:
        """
        A device at the port of a view does not get the record of a phone by showing its
        UDID: it has to prove that it is the phone.
        """
        self.attach(1, "1-1", proved=False)
        self.assertEqual(self.records(1, only="1-1"), (False, True))
        self.attach(1, "1-2", proved=False)
        self.assertEqual(self.records(1, only="1-1"), (False, False))
        self.assertEqual(self.records(1, only=udid(1)), (True, True))
