"""
Tests of L{muxd.usb.asynchronous.pacing}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.usb.asynchronous.pacing import BusPace
from muxd.wire.mux import BULK_PAYLOAD, LARGE_PAYLOAD, LONE_PAYLOAD, encodePacketV1
from tests.usb.transfers import AsynchronousTestCase

LIMITS = Limits(bulkQueueTime=0.001, bulkBytesInFlight=500_000)


class BusPaceTests(SynchronousTestCase):
    """
    What a bus of some speed gets.
    """

    def setUp(self) -> None:
        """
        A bus nobody knows anything about.
        """
        self.clock = Clock()
        self.pace = BusPace(self.clock.seconds, LIMITS)

    def carry(self, size: int, seconds: float, times: int = 1) -> None:
        """
        Have so many bytes come back after so many seconds.
        """
        for _ in range(times):
            self.clock.advance(seconds)
            self.pace.ended(size)

    def test_unknown(self) -> None:
        """
        Without a measurement there is no depth, and packets are not large.
        """
        self.assertEqual((self.pace.depth, self.pace.payload), (0, BULK_PAYLOAD))

    def test_noTimeAtAll(self) -> None:
        """
        A clock that stands still measures nothing.
        """
        self.pace.began()
        self.carry(100_000, 0)
        self.assertEqual((self.pace.depth, self.pace.payload), (0, BULK_PAYLOAD))

    def test_slow(self) -> None:
        """
        USB 2 carries 53 kB in a millisecond.
        """
        self.pace = BusPace(self.clock.seconds, Limits())
        self.pace.began()
        self.carry(53_000, 0.001, 20)
        self.assertAlmostEqual(self.pace.depth, 26_500, delta=1)
        self.assertEqual(self.pace.payload, BULK_PAYLOAD)

    def test_largeFrom(self) -> None:
        """
        Packets are large where the bus carries one of them within the time of the queue.
        """
        self.pace.began()
        self.carry(49_100, 0.001, 20)
        self.assertEqual((self.pace.payload, self.pace.lonePayload), (BULK_PAYLOAD, LONE_PAYLOAD))
        self.carry(49_500, 0.001, 60)
        self.assertEqual((self.pace.payload, self.pace.lonePayload), (LARGE_PAYLOAD,) * 2)

    def test_fast(self) -> None:
        """
        A SuperSpeed bus is given more, in large packets.
        """
        self.pace.began()
        self.carry(40_000, 0.0001)
        self.assertAlmostEqual(self.pace.depth, 400_000, delta=1)
        self.assertEqual(self.pace.payload, LARGE_PAYLOAD)

    def test_bounded(self) -> None:
        """
        No bus is given more than the limit.
        """
        self.pace.began()
        self.carry(1_000_000, 0.0001)
        self.assertEqual(self.pace.depth, LIMITS.bulkBytesInFlight)

    def test_slowsDown(self) -> None:
        """
        A bus that others have begun to use soon has less under way.
        """
        self.pace.began()
        self.carry(40_000, 0.0001, 50)
        self.carry(40_000, 0.001, 30)
        self.assertLess(self.pace.depth, 50_000)
        self.assertEqual(self.pace.payload, BULK_PAYLOAD)

    def test_pausesDoNotCount(self) -> None:
        """
        Time with nothing under way is no sign of a slow bus.
        """
        for _ in range(5):
            self.pace.began()
            self.carry(40_000, 0.0001)
            self.clock.advance(10)
        self.assertAlmostEqual(self.pace.depth, 400_000, delta=1)


class LinkTests(AsynchronousTestCase):
    """
    What the asynchronous engine makes of it.
    """

    def test_roomOnAFastBus(self) -> None:
        """
        A bus that has carried a lot in little time is given more, in larger
        packets.
        """
        self.assertEqual(self.link.bulkPayload, BULK_PAYLOAD)
        self.link.send([b"x" * 40000])
        self.reactor.advance(0.0001)
        self.context.end(self.context.writes()[0], 0)
        self.happen()
        for _ in range(3):
            self.assertTrue(self.link.hasRoom(40000))
            self.link.send([b"x" * 40000])
        self.assertEqual(self.link.bulkPayload, LARGE_PAYLOAD)

    def test_sendingWhenTransfersEnd(self) -> None:
        """
        Transfers that end in the same wake-up in which the phone asks for more are
        measured from when they were sent, not from when their successors were.
        """

        def sendMore() -> None:
            self.link.send([b"x" * 40000])
            self.reactor.advance(0.000001)

        self.receiver.onPackets = sendMore
        self.link.send([b"x" * 40000])
        self.reactor.advance(0.001)
        self.context.end(self.context.writes()[0], 0)
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07more"))
        self.happen()
        self.assertEqual(self.link.bulkPayload, BULK_PAYLOAD)
        self.link.send([b"x" * 40000])
        self.assertFalse(self.link.hasRoom(40000))
