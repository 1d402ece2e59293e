"""
Links for tests, to a phone on a simulated bus.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from struct import pack
from time import monotonic

from twisted.logger import LogEvent, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.interfaces import IPacketReceiver
from muxd.phone.bus.descriptors import MUX_IN
from muxd.phone.bus.link import BusLink
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.engines import SMALL_PACKET
from muxd.usb.opening import OpenedPhone, PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded import link as threads
from muxd.usb.threaded.link import ThreadedLink
from muxd.usbip.link import UsbipLink
from tests.usb.devices import deviceOn
from tests.usb.reactors import DEADLINE, ThreadedClock

BULK = SMALL_PACKET + 1


def packet(size: int, fill: int = 0xAA) -> bytes:
    """
    A mux packet of this size.
    """
    return pack(">II", 6, size) + bytes((fill,)) * (size - 8)


@implementer(IPacketReceiver)
class Receiver:
    """
    Remembers what it is told.
    """

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.rooms = 0
        self.losses: list[Failure] = []
        self.onPackets: Callable[[], object] = lambda: None

    def packetsReceived(self, packets: Sequence[memoryview]) -> None:
        """
        Copy them.
        """
        self.packets += [bytes(each) for each in packets]
        self.onPackets()

    def roomAvailable(self) -> None:
        """
        Count.
        """
        self.rooms += 1

    def linkLost(self, reason: Failure) -> None:
        """
        Remember why.
        """
        self.losses.append(reason)


class LinkTestCase(SynchronousTestCase):
    """
    A phone and a link to it, of the engine C{threads} if a subclass makes no other.
    """

    def setUp(self) -> None:
        """
        A phone, opened, and a link to it that is always closed at the end.
        """
        self.patch(threads, "READ_TIMEOUT", 20)
        self.events = self.enterContext(capturedLogs())
        self.bus = SimulatedBus()
        self.phone = RecordingGadget(iPhone())
        self.attachment = self.bus.plug(self.phone)
        self.opened = self.open()
        self.reactor = ThreadedClock()
        self.receiver = Receiver()
        self.link = self.makeLink()
        self.addCleanup(self.close)

    def open(self) -> OpenedPhone:
        """
        The phone, opened, also once more after a link has given it back.
        """
        return PhoneOpener(USBSettings()).open(deviceOn(self.bus))

    def makeLink(self) -> ThreadedLink | BusLink | UsbipLink:
        """
        A link to the phone that is open.
        """
        return ThreadedLink(self.reactor, self.opened)

    def refuse(self, what: str) -> None:
        """
        Have the system give the link no thread to do this in; none at all if it is empty.
        """

        class Refused(threading.Thread):
            def start(self) -> None:
                if self.name.startswith(f"usb-{what}"):
                    raise RuntimeError("can't start new thread")
                super().start()

        self.patch(threads, "Thread", Refused)

    def close(self) -> None:
        """
        Close the link and see that nothing of it is left.
        """
        closed = self.link.close()
        self.attachment.release()
        self.reactor.pumpUntil(lambda: closed.called)
        udid = self.opened.identity.udid
        self.assertEqual([], [t.name for t in threading.enumerate() if udid in t.name])
        self.assertEqual([], [c for c in self.reactor.getDelayedCalls() if c.active()])

    def arrived(self, count: int) -> list[bytes]:
        """
        The phone's first messages.
        """
        while len(self.phone.received) < count:
            self.assertTrue(self.phone.arrived.wait(DEADLINE), "the phone waits in vain")
            self.phone.arrived.clear()
        return self.phone.received[:count]

    def untilUnread(self, count: int) -> None:
        """
        Wait until the phone has no more than this for the host.
        """
        end = monotonic() + DEADLINE
        while self.attachment.unread(MUX_IN) > count:
            self.assertLess(monotonic(), end, "the link does not read")

    def logged(self, text: str) -> list[LogEvent]:
        """
        The events that were logged with this text.
        """
        return [event for event in self.events if text in event["log_format"]]
