"""
Tests of phones that are let go of for other programs, and taken back.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError
from zope.interface.verify import verifyObject

from muxd.interfaces import ILimitedSource, IReleasingSource
from muxd.limits import Limits
from muxd.phone.bus.descriptors import OLD_SERIAL
from muxd.phone.bus.handles import OpenableAttachment
from muxd.phone.bus.profiles import iPhone
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.withheld import WithheldPhones
from muxd.wire.mux import Flags
from tests.usb.devices import deviceOn
from tests.usb.phones import UDID, TalkingPhone
from tests.usb.reactors import DEADLINE
from tests.usb.sources import SourceTestCase


class WithheldTests(SynchronousTestCase):
    """
    Tests of L{WithheldPhones}.
    """

    def test_spellings(self) -> None:
        """
        A phone is the same however its UDID is spelled.
        """
        withheld = WithheldPhones()
        withheld.add(UDID.replace("-", "").lower())
        withheld.add(UDID)
        self.assertIn(UDID, withheld)
        self.assertEqual(withheld.udids, [UDID])
        withheld.discard("other")
        withheld.discard(UDID.lower())
        self.assertNotIn(UDID, withheld)


class ReleasingTests(SourceTestCase):
    """
    Tests of L{USBSource.release} and L{USBSource.take}.
    """

    def setUp(self) -> None:
        """
        No look has been counted.
        """
        super().setUp()
        self.looks: list[None] = []

    def anotherProgram(self) -> None:
        """
        Open and claim the phone, as a program can that has it to itself.
        """
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def release(self, udid: str = UDID) -> int:
        """
        Let go of a phone, and wait for the end of it.
        """
        released = self.source.release(udid)
        self.reactor.pumpUntil(lambda: released.called)
        return int(self.successResultOf(released))

    def look(self, times: int = 3) -> None:
        """
        Have the bus looked at, so often.
        """
        for _ in range(times):
            seen = len(self.looks)
            self.source.pollNow()
            self.reactor.pumpUntil(partial(self.hasLooked, seen))

    def hasLooked(self, before: int) -> bool:
        """
        Whether there have been more looks than that.
        """
        return len(self.looks) > before

    def watchLooks(self) -> None:
        """
        Count the looks at the bus.
        """
        assert self.source._discovery is not None
        discovery: Any = self.source._discovery
        self.looks.clear()
        pollOnce = discovery.pollOnce

        def counted() -> None:
            pollOnce()
            self.looks.append(None)
            discovery._callFromThread(lambda: None)

        discovery.pollOnce = counted

    def test_interfaces(self) -> None:
        """
        The source can do it.
        """
        verifyObject(IReleasingSource, self.source)
        verifyObject(ILimitedSource, self.source)

    def test_release(self) -> None:
        """
        A phone that is released is detached, its sessions are reset, and another program
        can have it, also after the bus has been looked at again.
        """
        device = self.attach()
        self.assertRaises(USBError, self.anotherProgram)
        connected = device.endpoint(62078).connect(Factory.forProtocol(Protocol))
        self.reactor.pumpUntil(lambda: connected.called)
        self.assertEqual(self.release(), 1)
        self.assertEqual(self.receiver.detached, [device])
        self.assertTrue(self.phone.flags()[-1] & Flags.RST)
        self.anotherProgram()
        self.watchLooks()
        self.look()
        self.anotherProgram()
        self.assertEqual((len(self.receiver.attached), self.source.released), (1, [UDID]))

    def test_take(self) -> None:
        """
        It is attached again when it is taken back, and not before.
        """
        self.attach()
        self.release()
        self.source.take("another")
        self.source.take(UDID.lower())
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)
        self.assertEqual(self.source.released, [])
        self.assertEqual(self.release(), 1)
        self.source.take(UDID)
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 3)

    def test_replug(self) -> None:
        """
        It is left alone when it is plugged in again, until it is taken.
        """
        self.attach()
        self.release()
        self.watchLooks()
        self.bus.unplug(self.phone)
        self.look()
        self.bus.plug(self.phone)
        self.look()
        self.anotherProgram()
        self.assertEqual(len(self.receiver.attached), 1)
        self.source.take(UDID)
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)

    def test_absent(self) -> None:
        """
        One that is not there is left alone when it comes; others are not.
        """
        self.assertEqual(self.release(), 0)
        other = TalkingPhone(iPhone(OLD_SERIAL))
        self.bus.plug(other)
        self.source.startService()
        self.reactor.pumpUntil(lambda: self.receiver.attached)
        (device,) = self.receiver.attached
        self.assertEqual(device.identity.udid, OLD_SERIAL)
        self.source.take(UDID)
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)

    def test_gone(self) -> None:
        """
        One that is pulled out after it was released, and taken while it is out, is attached
        when it is plugged in.
        """
        self.attach()
        self.release()
        self.watchLooks()
        self.bus.unplug(self.phone)
        self.look()
        self.source.take(UDID)
        self.look()
        self.assertEqual(len(self.receiver.attached), 1)
        self.bus.plug(self.phone)
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)

    def test_whileOpening(self) -> None:
        """
        One that is being opened when it is released is let go of.
        """
        opening, goOn = threading.Event(), threading.Event()
        original = self.bus.open_device

        def openSlowly(dev: OpenableAttachment) -> Any:
            opening.set()
            goOn.wait(DEADLINE)
            return original(dev)

        self.patch(self.bus, "open_device", openSlowly)
        self.source.startService()
        self.assertTrue(opening.wait(DEADLINE))
        self.assertEqual(self.release(), 0)
        goOn.set()
        self.watchLooks()
        self.look()
        self.awaitEnded()
        self.assertEqual(self.receiver.attached, [])
        self.anotherProgram()
        self.source.take(UDID)
        self.reactor.pumpUntil(lambda: self.receiver.attached)

    def test_twice(self) -> None:
        """
        A second release waits for the end of the first.
        """
        self.attach()
        first, second = self.source.release(UDID), self.source.release(UDID)
        self.reactor.pumpUntil(lambda: first.called and second.called)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), (1, 1))

    def test_stopped(self) -> None:
        """
        A source that is stopped meanwhile tells of the end, and leaves the phone alone when
        it is started again.
        """
        self.attach()
        released = self.source.release(UDID)
        self.stop()
        self.assertEqual(self.successResultOf(released), 1)
        self.source.startService()
        looked = self.source.whenLooked()
        self.reactor.pumpUntil(lambda: looked.called)
        self.assertEqual(len(self.receiver.attached), 1)
        self.anotherProgram()

    def test_limits(self) -> None:
        """
        The limits of the service count.
        """
        self.source.useLimits(Limits(linkCloseTimeout=77))
        self.attach()
        self.source.stopService()
        (deadline,) = (call for call in self.reactor.getDelayedCalls() if call.getTime() > 150)
        self.assertEqual(deadline.getTime(), 154)
