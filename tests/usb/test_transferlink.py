"""
Tests of L{muxd.usb.transferlink}: whose transfers are taken back when, and how often.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.usb.engines import LinkState
from muxd.usb.identification import HIGH_SPEED
from muxd.usb.transferlink import TransferLink
from tests.running.clocks import StrictClock
from tests.usb.transfers import IDENTITY, INTERFACE, Phone, Receiver

LIMITS = Limits(bulkInFlight=1, linkFlushTimeout=7)


class NamedLink(TransferLink[str]):
    """
    A link whose transfers are names.

    @ivar takenBack: Which were taken back, in that order.
    """

    def __init__(self, clock: StrictClock, phone: Phone) -> None:
        super().__init__(clock, phone, LIMITS)
        self.takenBack: list[str] = []

    def _readOn(self) -> None:
        self._reads.add("read")

    def _takeBack(self, transfer: str) -> None:
        self.takenBack.append(transfer)


class TransferLinkTests(SynchronousTestCase):
    """
    A link with a read and, where a test says so, a write.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.clock = StrictClock()
        self.patch(Phone, "disposals", 0)
        self.link = self.make()
        self.receiver = Receiver()
        self.link.start(self.receiver)

    def make(self, speed: int = 0) -> NamedLink:
        """
        A link to a phone on a bus of this speed.
        """
        identity = replace(IDENTITY, speed=speed)
        return NamedLink(
            self.clock,
            Phone(device=None, identity=identity, interface=INTERFACE, location=(0, 1)),
        )

    def test_fast(self) -> None:
        """
        A bus is fast if it is faster than USB 2.
        """
        for speed, isFast in ((HIGH_SPEED - 1, False), (HIGH_SPEED, False), (HIGH_SPEED + 1, True)):
            self.assertEqual(self.make(speed).isFast, isFast)

    def test_room(self) -> None:
        """
        There is room for one bulk packet when there is none on its way.
        """
        self.assertTrue(self.link.hasRoom(40000))
        self.link._bulk += 1
        self.assertFalse(self.link.hasRoom(40000))

    def test_startedTwice(self) -> None:
        """
        It is started once.
        """
        self.assertRaises(RuntimeError, self.link.start, self.receiver)

    def test_closed(self) -> None:
        """
        With nothing to write, it gives the phone back at once, once; all that close it hear of
        it.
        """
        self.successResultOf(self.link.close())
        self.successResultOf(self.link.close())
        self.assertEqual((self.link.takenBack, Phone.disposals), (["read"], 1))
        self.assertIs(self.link.state, LinkState.CLOSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flushed(self) -> None:
        """
        What is being written has its time, and not a moment more.
        """
        self.link._writes.add("write")
        first = self.link.close()
        second = self.link.close()
        self.assertEqual((self.link.takenBack, len(self.clock.getDelayedCalls())), (["read"], 1))
        self.clock.advance(6.9)
        self.assertNoResult(first)
        self.assertEqual((Phone.disposals, self.link.state), (0, LinkState.CLOSING))
        self.clock.advance(0.1)
        for each in (first, second):
            self.successResultOf(each)
        self.assertEqual((self.link.takenBack, Phone.disposals), (["read", "write"], 1))

    def test_written(self) -> None:
        """
        When it has been written, nothing waits for that time.
        """
        self.link._writes.add("write")
        closed = self.link.close()
        self.link._writes.clear()
        self.link._release()
        self.link._release()
        self.successResultOf(closed)
        self.assertEqual((self.link.takenBack, Phone.disposals), (["read"], 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        One that is lost takes everything back, and its receiver hears of it once; it can be
        closed then, of which that hears nothing.
        """
        self.link._writes.add("write")
        for _ in range(2):
            self.link.lose(Failure(ConnectionLost()))
        self.assertEqual(self.link.takenBack, ["read", "write"])
        self.assertEqual((len(self.receiver.lost), self.link.state), (1, LinkState.LOST))
        self.successResultOf(self.link.close())
        self.assertEqual((self.link.takenBack, Phone.disposals), (["read", "write"], 1))
        self.assertEqual(len(self.receiver.lost), 1)

    def test_closedByItsReceiver(self) -> None:
        """
        A receiver may close it while it hears that it is lost.
        """
        self.receiver.onLost = self.link.close
        self.link.lose(Failure(ConnectionLost()))
        self.assertEqual((self.link.state, Phone.disposals), (LinkState.CLOSED, 1))
