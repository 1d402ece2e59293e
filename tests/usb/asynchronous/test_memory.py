"""
Tests for L{muxd.usb.asynchronous.link}: a kernel that has no memory for a transfer.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from muxd.usb.asynchronous.context import NO_DEVICE, NO_MEMORY
from muxd.wire.mux import encodePacketV1
from tests.usb.transfers import LIMITS, AsynchronousTestCase, FakeTransfer


class MemoryTests(AsynchronousTestCase):
    """
    A link that has to wait for memory.
    """

    def test_noMemoryToRead(self) -> None:
        """
        Without memory for all reads it goes on with some, says so, and posts
        the others when one comes back.
        """
        self.context.refusals[True].append(NO_MEMORY)
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.context.reads()), 2)
        self.assertEqual(self.receiver.lost, [])
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.context.reads()), 3)

    def test_noMemoryIsToldOnce(self) -> None:
        """
        The remedy for too little memory is named once.
        """
        self.context.refusals[False].extend([NO_MEMORY] * 3)
        for _ in range(3):
            self.link.send([b"x"])
            self.reactor.advance(LIMITS.memoryRetry)
        warnings = [each for each in self.logged if "usbfs_memory_mb" in each["log_format"]]
        self.assertEqual(len(warnings), 1)

    def test_noMemoryAtAll(self) -> None:
        """
        Without memory for a single read it tries again soon.
        """
        self.context.refusals[True].append(NO_MEMORY)
        for read in self.context.reads():
            self.context.end(read, 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(self.context.reads(), [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(len(self.context.reads()), 3)

    def test_noMemoryToWrite(self) -> None:
        """
        A packet for which there is no memory goes out later, before its
        successors, and whole.
        """
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"fi", b"rst"])
        self.link.send([b"second"])
        self.assertEqual(self.context.sent, [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [b"first", b"second"])
        self.assertEqual(self.receiver.rooms, 1)

    def test_oneTimer(self) -> None:
        """
        However many find no memory, they are tried again together.
        """
        before = len(self.reactor.getDelayedCalls())
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"x"])
        self.assertEqual(len(self.reactor.getDelayedCalls()), before + 1)
        self.context.refusals[True].extend([NO_MEMORY] * 2)
        for read in self.context.reads():
            self.context.end(read, 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(self.context.reads(), [])
        self.assertEqual(len(self.reactor.getDelayedCalls()), before + 1)
        self.reactor.advance(LIMITS.memoryRetry)
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertNotEqual(self.context.reads(), [])

    def test_lost(self) -> None:
        """
        What waits for memory is dropped when the link is lost.
        """
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"x"])
        self.assertFalse(self.link._writes.isIdle())
        self.link.lose(Failure(ConnectionLost()))
        self.assertTrue(self.link._writes.isIdle())
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [])

    def test_noMemoryTwice(self) -> None:
        """
        A packet for which there is no memory when it is tried again is still before its
        successors.
        """
        self.context.refusals[False] += [NO_MEMORY, NO_MEMORY]
        for packet in (b"first", b"second", b"third"):
            self.link.send([packet])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [b"first", b"second", b"third"])

    def test_goneWhileTryingAgain(self) -> None:
        """
        A phone that is gone when a packet is tried again is lost, and nothing is read from
        a link that its owner has closed then.
        """
        self.link = self.makeLink()
        self.link.start(self.receiver)
        self.context.refusals[False].extend((NO_MEMORY, NO_DEVICE))
        self.context.refusals[True].append(NO_MEMORY)
        self.link.send([b"VERSION"])
        self.patch(self.receiver, "linkLost", lambda reason: self.link.close())
        self.reactor.advance(0)
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.inFlight, [])
        self.assertTrue(all(transfer.freed for transfer in self.context.transfers))
        self.assertTrue(self.context.released)

    def test_noMemoryToBegin(self) -> None:
        """
        The first packet of all, which is sent before anything is read, is tried again like
        any other.
        """
        self.link = self.makeLink()
        self.link.start(self.receiver)
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"VERSION"])
        self.assertEqual(self.context.sent, [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [b"VERSION"])
        self.assertEqual(len(self.context.reads()), LIMITS.readsInFlight)

    def test_noRoomWithoutMemory(self) -> None:
        """
        There is no room while a packet waits for memory, or packets would pile
        up.
        """
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"first"])
        self.assertFalse(self.link.hasRoom(1))
        self.assertFalse(self.link.hasRoom(40000))
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertTrue(self.link.hasRoom(40000))

    def test_noMemoryForZeroLengthPacket(self) -> None:
        """
        The empty transfer behind a packet waits for memory on its own, and what
        comes later waits for it.
        """
        self.link.send([b"y"])
        self.context.sent.clear()
        submit = FakeTransfer.submit

        def refuse(transfer: FakeTransfer, length: int) -> int:
            if length == 0 and not self.context.refusals[False]:
                self.patch(FakeTransfer, "submit", submit)
                return NO_MEMORY
            return submit(transfer, length)

        self.patch(FakeTransfer, "submit", refuse)
        self.link.send([b"x" * 1024])
        self.link.send([b"z"])
        self.assertEqual([len(each) for each in self.context.sent], [1024])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual([len(each) for each in self.context.sent], [1024, 0, 1])
        self.assertEqual(self.receiver.lost, [])
