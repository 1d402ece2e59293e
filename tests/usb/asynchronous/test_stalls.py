"""
Tests for L{muxd.usb.asynchronous.stalls}, and for what the asynchronous engine does meanwhile.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from muxd.usb.asynchronous.context import TransferStatus
from muxd.usb.asynchronous.stalls import CLEARING
from muxd.usb.engines import LinkState
from muxd.wire.mux import encodePacketV1
from tests.usb.transfers import (
    CONTROL_FD,
    DEVICE_FD,
    IN,
    LATE_FD,
    LIMITS,
    OUT,
    AsynchronousTestCase,
    HeldThread,
    Phone,
)


class StallTests(AsynchronousTestCase):
    """
    A link whose phone stalls.
    """

    def stallRead(self) -> None:
        """
        A read is stalled.
        """
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.happen()

    def stallWrite(self) -> None:
        """
        A write is stalled.
        """
        self.link.send([b"x"])
        self.context.end(self.context.writes()[0], TransferStatus.STALL)
        self.happen()

    def watched(self) -> list[int]:
        """
        The descriptors that the reactor watches.
        """
        return sorted(each.fileno() for each in self.reactor.removeAll())

    def test_longest(self) -> None:
        """
        The thread has the phone for as long as all stalls may take, and is joined.
        """
        joined: list[HeldThread] = []

        def join(thread: HeldThread) -> None:
            joined.append(thread)

        self.patch(HeldThread, "join", join)
        self.link.send([b"x"])
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.context.end(self.context.writes()[0], TransferStatus.STALL)
        self.assertEqual(self.link._stalls.longest, 0)
        self.happen()
        self.assertEqual(self.link._stalls.longest, 2 * CLEARING)
        (thread,) = HeldThread.held
        HeldThread.run()
        self.assertEqual(joined, [thread])

    def test_clearedOnce(self) -> None:
        """
        The first stall of reading is cleared, the second ends the link.
        """
        self.stallRead()
        HeldThread.run()
        self.assertEqual(self.device.cleared, [IN])
        self.assertEqual(self.receiver.lost, [])
        self.assertEqual(len(self.context.reads()), 3)
        self.stallRead()
        self.assertEqual(len(self.receiver.lost), 1)
        self.assertEqual(HeldThread.held, [])

    def test_partlyRead(self) -> None:
        """
        A stall in the middle of what a phone sends ends the link, as a part of that is lost.
        """
        self.context.end(self.context.reads()[0], TransferStatus.STALL, b"x" * 512)
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_inAThread(self) -> None:
        """
        The reactor does not wait for the phone to answer.
        """
        self.stallRead()
        self.assertEqual([each.name for each in HeldThread.held], ["usb-clear-U"])
        self.assertEqual((self.device.cleared, self.receiver.lost), ([], []))

    def test_nothingElseMeanwhile(self) -> None:
        """
        As long as the thread has the phone, nothing is asked of it, for which the kernel
        would have the reactor wait as long: no transfer is submitted or taken back, and
        libusb is not asked for events.
        """
        first, second, _ = self.context.reads()
        self.context.end(first, TransferStatus.STALL)
        self.context.end(second, 0, encodePacketV1(1, b"\x07one"))
        self.receiver.onPackets = lambda: self.link.send([b"answer"])
        self.happen()
        self.assertEqual(len(self.receiver.packets), 1)
        self.assertEqual(self.watched(), [])
        self.link.send([b"more"])
        self.assertFalse(self.link.hasRoom(4))
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual((len(self.context.reads()), self.context.sent), (1, []))
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07two"))
        self.link.handleEvents()
        self.assertEqual(len(self.receiver.packets), 1)

    def test_onceCleared(self) -> None:
        """
        Then all goes on where it was: what was sent meanwhile is sent, in its order, and
        who waits is told of room.
        """
        self.stallRead()
        for packet in (b"one", b"two"):
            self.link.send([packet])
        self.context.changed(LATE_FD, True)
        self.assertEqual(self.watched(), [])
        HeldThread.run()
        self.assertEqual(self.context.sent, [b"one", b"two"])
        self.assertEqual(self.watched(), [CONTROL_FD, DEVICE_FD, LATE_FD])
        self.assertEqual([each.fileno() for each in self.reactor.writers], [DEVICE_FD])
        self.assertEqual(self.receiver.rooms, 1)
        self.assertTrue(self.link.hasRoom(4))

    def test_stays(self) -> None:
        """
        A stall that cannot be cleared ends the link, whatever the reason.
        """
        for error in (None, ZeroDivisionError("defect")):
            with self.subTest(error=error):
                self.setUp()
                self.device.clearFails = True
                if error is not None:
                    self.patch(self.device, "clear_halt", lambda endpoint: 1 // 0)
                self.stallRead()
                HeldThread.run()
                [reason] = self.receiver.lost
                self.assertIn("a stall that cannot be cleared", reason.getErrorMessage())
                self.assertIs(self.link.state, LinkState.LOST)

    def test_noThread(self) -> None:
        """
        So does one for which there is no thread.
        """
        self.patch(HeldThread, "refused", True)
        self.stallRead()
        [reason] = self.receiver.lost
        self.assertIn("stall", reason.getErrorMessage())
        done = self.link.close()
        self.happen()
        self.successResultOf(done)

    def test_write(self) -> None:
        """
        A packet that was stalled has successors on their way already: the link
        ends, at once, and leaves an endpoint that the next one can write to.
        """
        self.stallWrite()
        self.assertEqual(len(self.receiver.lost), 1)
        HeldThread.run()
        self.assertEqual(self.device.cleared, [OUT])
        self.assertEqual(len(self.receiver.lost), 1)

    def test_both(self) -> None:
        """
        Stalls of both endpoints are cleared by one thread.
        """
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.stallWrite()
        HeldThread.run()
        self.assertEqual(self.device.cleared, [IN, OUT])

    def test_closedMeanwhile(self) -> None:
        """
        A link that is closed meanwhile waits for the thread before it lets go of the
        phone, and still sends what it has accepted.
        """
        self.stallRead()
        self.link.send([b"last"])
        done = self.link.close()
        self.assertFalse(any(each.cancelled for each in self.context.transfers))
        HeldThread.run()
        self.assertEqual(self.context.sent, [b"last"])
        self.assertFalse(any(each.cancelled for each in self.context.transfers))
        self.context.end(self.context.writes()[0], 0)
        self.happen()
        self.assertEqual(Phone.disposals, 0)
        self.happen()
        self.successResultOf(done)
        self.assertEqual((Phone.disposals, self.receiver.lost), (1, []))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closedWhenLost(self) -> None:
        """
        So does one that was lost, and is closed by whoever is told of that.
        """
        done = []
        self.receiver.onLost = lambda: done.append(self.link.close())
        for read in self.context.reads():
            self.context.end(read, TransferStatus.STALL)
        self.stallWrite()
        self.assertEqual((self.context.inFlight, Phone.disposals), ([], 0))
        HeldThread.run()
        self.successResultOf(done[0])
        self.assertEqual(Phone.disposals, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lostMeanwhile(self) -> None:
        """
        A phone that is unplugged meanwhile is lost once, and needs no more than to be
        closed.
        """
        self.stallRead()
        self.link.lose(Failure(Exception("unplugged")))
        HeldThread.run()
        self.assertEqual((len(self.receiver.lost), len(self.context.reads())), (1, 2))
        done = self.link.close()
        self.happen()
        self.successResultOf(done)

    def test_givenUp(self) -> None:
        """
        A thread that does not come back does not keep the link from being closed, and may
        come back then.
        """
        self.stallRead()
        self.link.send([b"last"])
        done = self.link.close()
        self.reactor.advance(CLEARING + LIMITS.linkCloseTimeout - 0.1)
        self.assertNoResult(done)
        self.reactor.advance(0.1)
        self.successResultOf(done)
        self.assertTrue(self.context.leaked)
        HeldThread.run()
        self.assertIs(self.link.state, LinkState.CLOSED)
        self.assertEqual((self.watched(), self.context.sent, Phone.disposals), ([], [], 0))

    def test_notWhileClosing(self) -> None:
        """
        A link that is being closed clears nothing.
        """
        done = self.link.close()
        self.context.ended[0].status = TransferStatus.STALL
        self.happen()
        self.successResultOf(done)
        self.assertEqual(HeldThread.held, [])
