"""
Tests for L{muxd.usb.asynchronous.reads}: reads give way to packets that find no memory.
"""

from __future__ import annotations

from muxd.usb.asynchronous.context import NO_MEMORY, TransferStatus
from muxd.usb.engines import LinkState
from muxd.wire.mux import encodePacketV1
from tests.usb.transfers import LIMITS, AsynchronousTestCase

PACKET = encodePacketV1(1, b"\x07" + bytes(1500))


class GivingWayTests(AsynchronousTestCase):
    """
    The memory of all transfers is with reads, which nothing ends.
    """

    def refuse(self, times: int = 1) -> None:
        """
        There is no memory for a packet, so many times.
        """
        self.context.refusals[False].extend([NO_MEMORY] * times)

    def test_newest(self) -> None:
        """
        The newest read is taken back; the packet goes out as soon as it has come,
        before any read is submitted, and the link goes on with one read less.
        """
        *kept, newest = self.context.reads()
        self.refuse()
        self.link.send([PACKET])
        self.assertTrue(newest.cancelled)
        self.assertEqual(self.context.sent, [])
        self.happen()
        self.assertEqual(self.context.sent, [PACKET])
        self.assertTrue(newest.freed)
        self.assertEqual(self.context.reads(), kept)
        self.assertIs(self.link.state, LinkState.RUNNING)
        self.context.end(kept[0], 0, PACKET)
        self.happen()
        self.assertEqual(len(self.context.reads()), len(kept))

    def test_oneAtATime(self) -> None:
        """
        While one is on its way back, no other is taken back.
        """
        self.context.stuck = True
        self.refuse(2)
        self.link.send([PACKET])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(sum(each.cancelled for each in self.context.reads()), 1)

    def test_lastStays(self) -> None:
        """
        The last read is not taken back: the packet waits for somebody else's
        memory.
        """
        for _ in range(LIMITS.readsInFlight + 2):
            self.refuse()
            self.link.send([PACKET])
            self.happen()
            self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(len(self.context.reads()), 1)
        self.assertFalse(self.context.reads()[0].cancelled)
        self.assertEqual(len(self.context.sent), LIMITS.readsInFlight + 2)

    def test_nothingIsLost(self) -> None:
        """
        What had come into a read that is taken back is the beginning of what comes
        into the others.
        """
        first, second, newest = self.context.reads()
        self.context.stuck = True
        self.refuse()
        self.link.send([PACKET])
        self.context.end(first, 0, PACKET)
        self.context.end(second, 0, PACKET)
        self.context.end(newest, TransferStatus.CANCELLED, PACKET[:1024])
        self.happen()
        self.assertEqual(self.receiver.packets, [PACKET] * 2)
        self.context.end(self.context.reads()[0], 0, PACKET[1024:])
        self.happen()
        self.assertEqual(self.receiver.packets, [PACKET] * 3)

    def test_cameInTime(self) -> None:
        """
        A read that was full before it could be taken back stays.
        """
        newest = self.context.reads()[-1]
        self.context.stuck = True
        self.refuse()
        self.link.send([PACKET])
        self.context.end(newest, 0, PACKET)
        self.happen()
        self.assertEqual(self.receiver.packets, [PACKET])
        self.assertEqual(len(self.context.reads()), LIMITS.readsInFlight)
        self.assertFalse(newest.freed)

    def test_failed(self) -> None:
        """
        A read that fails while it is taken back ends the link as any other does.
        """
        newest = self.context.reads()[-1]
        self.context.stuck = True
        self.refuse()
        self.link.send([PACKET])
        self.context.end(newest, TransferStatus.NO_DEVICE)
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)
