"""
Tests for L{muxd.usb.asynchronous.link}: how a link ends.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from muxd.usb.asynchronous.context import TransferStatus
from muxd.usb.engines import LinkState
from muxd.wire.mux import encodePacketV1
from tests.usb.transfers import (
    LIMITS,
    AsynchronousTestCase,
    Phone,
)


class ClosingTests(AsynchronousTestCase):
    """
    L{AsynchronousLink.close}.
    """

    def test_closeIdle(self) -> None:
        """
        Closing cancels the reads, and when they are back frees everything,
        watches nothing and disposes of the device.
        """
        done = self.link.close()
        self.assertNoResult(done)
        self.happen()
        self.successResultOf(done)
        self.assertTrue(all(each.freed for each in self.context.transfers))
        self.assertEqual(self.reactor.removeAll(), [])
        self.assertFalse(self.context.notified)
        self.assertEqual(Phone.disposals, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.receiver.lost, [])

    def test_closeTwice(self) -> None:
        """
        Closing again waits for the same end, or is over at once.
        """
        one, two = self.link.close(), self.link.close()
        self.happen()
        self.successResultOf(one)
        self.successResultOf(two)
        self.successResultOf(self.link.close())

    def test_closeFlushes(self) -> None:
        """
        What was accepted is written before anything is cancelled.
        """
        for number in range(8):
            self.link.send([b"%d" % number])
        done = self.link.close()
        self.assertFalse(any(each.cancelled for each in self.context.transfers))
        while self.context.writes():
            self.context.end(self.context.writes()[0], 0)
            self.happen()
        self.assertEqual(self.context.sent, [b"%d" % number for number in range(8)])
        self.happen()
        self.successResultOf(done)
        self.assertEqual(self.receiver.rooms, 0)

    def test_closeDoesNotFlushForEver(self) -> None:
        """
        A phone that takes nothing loses what is for it.
        """
        self.link.send([b"x"])
        done = self.link.close()
        self.reactor.advance(LIMITS.linkFlushTimeout)
        self.happen()
        self.successResultOf(done)

    def test_closeOfWhatDoesNotComeBack(self) -> None:
        """
        Transfers that never come back are left behind, never freed.
        """
        self.context.stuck = True
        done = self.link.close()
        self.reactor.advance(LIMITS.linkCloseTimeout)
        self.successResultOf(done)
        self.assertTrue(self.context.leaked)
        self.assertFalse(any(each.freed for each in self.context.transfers))
        self.assertEqual(self.reactor.removeAll(), [])
        self.assertEqual(self.logged[-1]["count"], 3)

    def test_closeNeverStarted(self) -> None:
        """
        A link that was never started closes at once.
        """
        link = self.makeLink()
        self.successResultOf(link.close())
        self.assertEqual(Phone.disposals, 1)

    def test_closeLost(self) -> None:
        """
        A lost link closes when its last transfer is back.
        """
        self.link.send([b"x"])
        first, *rest = self.context.reads()
        self.context.end(first, TransferStatus.NO_DEVICE)
        self.happen()
        for each in (*rest, *self.context.writes()):
            self.context.end(each, TransferStatus.NO_DEVICE)
        done = self.link.close()
        self.happen()
        self.successResultOf(done)

    def test_closeWithinPackets(self) -> None:
        """
        The receiver may close the link while it is given packets.
        """
        results = []
        self.receiver.onPackets = lambda: results.append(self.link.close())
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.happen()
        self.successResultOf(results[0])
        self.assertTrue(all(each.freed for each in self.context.transfers))

    def test_eventsAfterClose(self) -> None:
        """
        An event that comes too late is none.
        """
        descriptor = next(iter(self.reactor.readers))
        self.link.close()
        self.happen()
        descriptor.doRead()
        self.assertIs(self.link.state, LinkState.CLOSED)

    def test_closeHungUp(self) -> None:
        """
        What comes back when no descriptor is watched any more is looked for.
        """
        for each in (*self.reactor.readers, *self.reactor.writers):
            self.reactor.removeReader(each)
            self.reactor.removeWriter(each)
            each.connectionLost(Failure(Exception()))
        done = self.link.close()
        self.assertNoResult(done)
        self.reactor.advance(LIMITS.memoryRetry)
        self.successResultOf(done)
        self.assertTrue(self.context.released)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closeWithinLastPackets(self) -> None:
        """
        The receiver may close the link when the last transfers come back, some
        of which have failed: those are freed by then, and not looked at.
        """
        results = []
        self.receiver.onPackets = lambda: results.append(self.link.close())
        first, *others = self.context.reads()
        self.context.end(first, 0, encodePacketV1(1, b"\x07"))
        for each in others:
            self.context.end(each, TransferStatus.NO_DEVICE)
        self.happen()
        self.successResultOf(results[0])
        self.assertTrue(all(each.freed for each in self.context.transfers))
        self.assertEqual(self.receiver.lost, [])
