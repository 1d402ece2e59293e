"""
Tests for L{muxd.usb.threaded.link}: how a link is closed.
"""

from __future__ import annotations

import errno
import threading

from muxd.limits import LIMITS
from muxd.phone.bus.simulated import usbError
from muxd.usb.engines import LinkState
from muxd.usb.opening import OpenedPhone, PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded.link import ThreadedLink
from tests.usb import linkcontract
from tests.usb.devices import deviceOn
from tests.usb.links import BULK, packet
from tests.usb.reactors import DEADLINE


class CloseTests(linkcontract.ClosedLinks):
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
