"""
Tests for L{muxd.usb.threaded.link}: how a link is closed.
"""

from __future__ import annotations

import errno
import gc
import threading
import weakref

from twisted.internet.defer import Deferred

from muxd.limits import LIMITS
from muxd.phone.bus.simulated import usbError
from muxd.usb.engines import LinkState
from muxd.usb.opening import OpenedPhone, PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded.link import ThreadedLink
from tests.usb.devices import deviceOn
from tests.usb.links import BULK, LinkTestCase, packet
from tests.usb.reactors import DEADLINE


class CloseTests(LinkTestCase):
    """
    Tests for L{ThreadedLink.close}.
    """

    def joinThreads(self) -> None:
        """
        Wait until the link's threads have ended.
        """
        for thread in threading.enumerate():
            if thread.name.startswith("usb-"):
                thread.join(DEADLINE)

    def test_closeFlushes(self) -> None:
        """
        What was accepted before the close is sent, what comes after is not.
        """
        self.link.start(self.receiver)
        sent = [packet(size) for size in (20, 512, 36)]
        for each in sent:
            self.link.send((each,))
        closed = self.link.close()
        self.link.send((packet(20),))
        self.reactor.pumpUntil(lambda: closed.called)
        self.assertEqual(sent, self.phone.received)

    def test_closeGivesUpFlushing(self) -> None:
        """
        A phone that takes nothing does not keep the link open.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.assertNoResult(closed)
        self.reactor.advance(LIMITS.linkFlushTimeout)
        self.reactor.pumpUntil(lambda: closed.called)
        self.assertEqual([], self.phone.received)

    def test_closeReleasesTheInterface(self) -> None:
        """
        A closed link leaves the phone to others, and says nothing any more.
        """
        self.link.start(self.receiver)
        self.phone.send(packet(20))
        self.close()
        self.assertIs(LinkState.CLOSED, self.link.state)
        self.assertEqual(([], []), (self.receiver.packets, self.receiver.losses))
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_closedLinkKeepsNoDevice(self) -> None:
        """
        Whoever still holds a closed link holds no pyusb device with it, and so
        no libusb context.
        """
        device = weakref.ref(self.opened.device)
        self.link.start(self.receiver)
        self.assertIsNotNone(device())
        self.close()
        gc.collect()
        self.assertIsNone(device())

    def test_closeIsIdempotent(self) -> None:
        """
        All who close are told when it is done.
        """
        self.link.start(self.receiver)
        closed = [self.link.close(), self.link.close()]
        self.reactor.pumpUntil(lambda: all(each.called for each in closed))
        self.successResultOf(self.link.close())

    def test_closeWithoutStart(self) -> None:
        """
        A link that was never started releases the phone all the same.
        """
        self.close()
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_closeByTheReceiver(self) -> None:
        """
        The receiver may close the link while it is told of packets.
        """
        closed: list[Deferred[None]] = []
        self.receiver.onPackets = lambda: closed.append(self.link.close())
        self.link.start(self.receiver)
        self.phone.send(packet(20))
        self.phone.send(packet(20))
        self.reactor.pumpUntil(lambda: closed and closed[0].called)
        self.assertEqual(1, len(closed))

    def test_closeOfAGonePhone(self) -> None:
        """
        A phone that cannot even be let go of is let go of.
        """

        class Gone(OpenedPhone):
            def dispose(self) -> None:
                super().dispose()
                raise usbError(errno.ENODEV)

        self.opened = Gone(
            device=self.opened.device,
            identity=self.opened.identity,
            interface=self.opened.interface,
            location=self.opened.location,
        )
        self.link = ThreadedLink(self.reactor, self.opened)
        self.link.start(self.receiver)
        self.close()
        self.assertIs(LinkState.CLOSED, self.link.state)

    def test_noThreadToCloseIn(self) -> None:
        """
        A link that gets no thread to wait in for the others waits all the same, and then
        leaves the phone to others.
        """
        self.refuse("close")
        self.attachment.hold()
        self.link.start(self.receiver)
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.reactor.advance(LIMITS.linkFlushTimeout)
        self.joinThreads()
        self.assertNoResult(closed)
        self.reactor.advance(LIMITS.memoryRetry)
        self.successResultOf(closed)
        self.assertIs(LinkState.CLOSED, self.link.state)
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_noThreadAtAll(self) -> None:
        """
        A link without any thread is closed at once.
        """
        self.refuse("")
        self.link.start(self.receiver)
        self.successResultOf(self.link.close())
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_noThreadToCloseInTimesOut(self) -> None:
        """
        If libusb does not return then, the close is given up as always.
        """
        self.refuse("close")
        blocked = threading.Event()
        reading = threading.Event()

        def read(*args: object) -> int:
            reading.set()
            blocked.wait(DEADLINE)
            raise usbError(errno.ENODEV)

        self.opened.device.read = read
        self.link.start(self.receiver)
        self.assertTrue(reading.wait(DEADLINE))
        closed = self.link.close()
        self.reactor.pump([LIMITS.memoryRetry] * int(LIMITS.linkCloseTimeout / LIMITS.memoryRetry))
        self.reactor.advance(LIMITS.memoryRetry)
        self.successResultOf(closed)
        [event] = self.logged("does not return")
        self.assertIn("usb-read-", event["threads"])
        blocked.set()
        self.joinThreads()

    def test_closeTimesOut(self) -> None:
        """
        If libusb never returns, the close is given up, with a line in the log;
        and nothing happens twice if it does return.
        """
        blocked = threading.Event()

        class Stuck(OpenedPhone):
            def dispose(self) -> None:
                blocked.wait(DEADLINE)
                super().dispose()

        self.opened = Stuck(
            device=self.opened.device,
            identity=self.opened.identity,
            interface=self.opened.interface,
            location=self.opened.location,
        )
        self.link = ThreadedLink(self.reactor, self.opened)
        closed = self.link.close()
        self.reactor.advance(LIMITS.linkCloseTimeout)
        self.successResultOf(closed)
        [event] = self.logged("does not return")
        self.assertIn("usb-close-", event["threads"])
        blocked.set()
        turns = self.reactor.turns
        self.reactor.pumpUntil(lambda: self.reactor.turns > turns)
        self.assertIs(LinkState.CLOSED, self.link.state)
        self.joinThreads()
