"""
Tests of L{muxd.phone.bus.pipes}.
"""

from __future__ import annotations

import errno

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.pipes import GLUE_LIMIT, InPipe, OutPipe, Pipe, Transfer
from tests.running.properties import examples


def reading(size: int, owner: object = None) -> Transfer:
    """
    A read of so many bytes.
    """
    return Transfer(memoryview(bytearray(size)), owner)


def content(transfer: Transfer) -> bytes:
    """
    What a read has brought.
    """
    return bytes(transfer.buffer[: transfer.count])


class InPipeTests(SynchronousTestCase):
    """
    Tests of L{InPipe} with packets of 8 bytes.
    """

    def setUp(self) -> None:
        """
        An empty pipe.
        """
        self.pipe = InPipe(8)

    def read(self, size: int) -> Transfer:
        """
        Submit a read.
        """
        transfer = reading(size)
        self.pipe.submit(transfer)
        return transfer

    def test_shortPacketEnds(self) -> None:
        """
        A transfer ends at a packet that is not full.
        """
        self.pipe.put(b"x" * 11)
        self.pipe.put(b"y")
        transfer = self.read(64)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(content(transfer), b"x" * 11)
        self.assertEqual(content(self.read(64)), b"y")

    def test_zeroLengthPacketSwallowed(self) -> None:
        """
        The empty packet behind a message of whole packets ends a larger read.
        """
        self.pipe.put(b"x" * 16)
        transfer = self.read(64)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(content(transfer), b"x" * 16)
        self.assertFalse(self.read(64).done.is_set())

    def test_zeroLengthPacketRead(self) -> None:
        """
        A read that is just as large as the message leaves the empty packet to
        the next read, which has no bytes and no error.
        """
        self.pipe.put(b"x" * 16)
        self.assertEqual(content(self.read(16)), b"x" * 16)
        transfer = self.read(16)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual((transfer.count, transfer.error), (0, 0))

    def test_emptyMessage(self) -> None:
        """
        A message of no bytes is an empty packet.
        """
        self.pipe.put(b"")
        transfer = self.read(16)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(transfer.count, 0)

    def test_longMessageInPieces(self) -> None:
        """
        A message longer than the reads arrives in several.
        """
        self.pipe.put(bytes(range(20)))
        parts = [content(self.read(8)) for _ in range(3)]
        self.assertEqual([len(part) for part in parts], [8, 8, 4])
        self.assertEqual(b"".join(parts), bytes(range(20)))

    def test_waitingReadsInOrder(self) -> None:
        """
        Reads that wait are filled in the order of their submission.
        """
        first, second = self.read(16), self.read(16)
        self.pipe.put(b"1")
        self.assertTrue(first.done.is_set())
        self.assertFalse(second.done.is_set())
        self.pipe.put(b"2")
        self.assertEqual(content(second), b"2")

    def test_overflow(self) -> None:
        """
        A packet that does not fit into the rest of a read is an overflow, and
        lost; the message goes on behind it.
        """
        self.pipe.put(bytes(range(20)))
        transfer = self.read(12)
        self.assertEqual(transfer.error, errno.EOVERFLOW)
        self.assertEqual(content(self.read(16)), bytes(range(16, 20)))
        self.assertEqual(self.pipe.queued, 0)

    def test_overflowOfLastPacket(self) -> None:
        """
        When the packet that overflows was the last one and short, nothing is
        left; when it was full, the empty packet is.
        """
        self.pipe.put(b"x" * 12)
        self.assertEqual(self.read(10).error, errno.EOVERFLOW)
        self.assertFalse(self.read(16).done.is_set())
        self.pipe.fail(errno.ENODEV)
        self.pipe.put(b"x" * 16)
        self.assertEqual(self.read(10).error, errno.EOVERFLOW)
        transfer = self.read(16)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(transfer.count, 0)

    def test_shortPacketFitsOddRead(self) -> None:
        """
        A read whose size is no multiple of the packet size is no error while
        the packets happen to fit.
        """
        self.pipe.put(b"x" * 10)
        transfer = self.read(12)
        self.assertEqual((transfer.count, transfer.error), (10, 0))

    def test_openMessage(self) -> None:
        """
        Of a message without an end the host gets whole packets, and its read
        does not end.
        """
        self.pipe.put(b"x" * 10, end=False)
        transfer = self.read(64)
        self.assertFalse(transfer.done.is_set())
        self.assertEqual(transfer.count, 8)
        self.pipe.put(b"x" * 3, end=False)
        self.assertEqual(transfer.count, 8)
        self.pipe.put(b"x")
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(transfer.count, 14)

    def test_partialDataAtTimeout(self) -> None:
        """
        A read that is withdrawn keeps the whole packets that came, without an
        error; the next read has the rest.
        """
        self.pipe.put(b"x" * 20, end=False)
        transfer = self.read(64)
        self.assertTrue(self.pipe.withdraw(transfer))
        self.assertEqual((transfer.count, transfer.error), (16, 0))
        self.pipe.put(b"")
        self.assertEqual(content(self.read(64)), b"x" * 4)

    def test_nothingAtTimeout(self) -> None:
        """
        A read that nothing came for fails with a time-out.
        """
        transfer = self.read(64)
        self.assertTrue(self.pipe.withdraw(transfer))
        self.assertEqual(transfer.error, errno.ETIMEDOUT)
        self.assertFalse(self.pipe.withdraw(transfer))

    def test_readOfNothingWaits(self) -> None:
        """
        A read of size 0 waits, whatever there is.
        """
        self.pipe.put(b"x")
        self.assertFalse(self.read(0).done.is_set())

    def test_halt(self) -> None:
        """
        A stalled pipe fails what waits and what comes, and goes on with what
        was queued when it is cleared.
        """
        waiting = self.read(64)
        self.pipe.halt()
        self.pipe.put(b"x")
        self.assertEqual([waiting.error, self.read(64).error], [errno.EPIPE] * 2)
        self.pipe.clearHalt()
        self.assertEqual(content(self.read(64)), b"x")

    def test_hold(self) -> None:
        """
        A held pipe gives nothing until it is released.
        """
        self.pipe.hold(True)
        self.pipe.put(b"x")
        transfer = self.read(64)
        self.assertFalse(transfer.done.is_set())
        self.pipe.hold(False)
        self.assertEqual(content(transfer), b"x")

    def test_failOwner(self) -> None:
        """
        Transfers of one owner, or of one interface, can be failed alone.
        """
        mine, other = reading(8, self), reading(8)
        elsewhere = Transfer(memoryview(bytearray(8)), self, 3)
        for transfer in (mine, other, elsewhere):
            self.pipe.submit(transfer)
        self.pipe.fail(errno.ENODEV, self, 0)
        self.assertEqual([t.done.is_set() for t in (mine, other, elsewhere)], [True, False, False])
        self.assertEqual(mine.error, errno.ENODEV)

    def test_serviceIsForSubclasses(self) -> None:
        """
        L{Pipe} itself moves nothing.
        """
        self.assertRaises(NotImplementedError, Pipe(8).service)

    @settings(deadline=None, max_examples=examples(150))
    @given(
        st.lists(st.integers(0, 40), max_size=8),
        st.lists(st.integers(1, 5), min_size=1, max_size=40),
    )
    def test_messagesComeOutAsTheyWentIn(self, sizes: list[int], reads: list[int]) -> None:
        """
        Whatever the sizes of messages and reads, a reader that joins reads up
        to the first short one has the messages.
        """
        pipe = InPipe(8)
        messages = [bytes((i,)) * size for i, size in enumerate(sizes)]
        for message in messages:
            pipe.put(message)
        found, current = [], b""
        for packets in reads * 60:
            transfer = reading(packets * 8)
            pipe.submit(transfer)
            if not transfer.done.is_set():
                break
            current += content(transfer)
            if transfer.count < packets * 8:
                found.append(current)
                current = b""
        self.assertEqual(found, messages)
        self.assertEqual(pipe.queued, 0)


class OutPipeTests(SynchronousTestCase):
    """
    Tests of L{OutPipe} with packets of 8 bytes and room for one message.
    """

    def setUp(self) -> None:
        """
        An empty pipe.
        """
        self.pipe = OutPipe(8, 1)

    def write(self, data: bytes) -> Transfer:
        """
        Submit a write.
        """
        transfer = Transfer(memoryview(data))
        self.pipe.submit(transfer)
        return transfer

    def test_depth(self) -> None:
        """
        Writes complete while the device has room, and afterwards one by one as
        it takes them.
        """
        first, second, third = (self.write(bytes((n,))) for n in range(3))
        self.assertEqual((first.done.is_set(), first.count), (True, 1))
        self.assertFalse(second.done.is_set())
        self.assertEqual(self.pipe.take(), b"\0")
        self.assertTrue(second.done.is_set())
        self.assertFalse(third.done.is_set())
        self.assertEqual([self.pipe.take() for _ in range(3)], [b"\1", b"\2", None])

    def test_noDepth(self) -> None:
        """
        A device without room completes a write when it takes it.
        """
        self.pipe = OutPipe(8, 0)
        transfer = self.write(b"x")
        self.assertFalse(transfer.done.is_set())
        self.assertEqual(self.pipe.take(), b"x")
        self.assertTrue(transfer.done.is_set())

    def test_zeroLengthPacketEnds(self) -> None:
        """
        A write of whole packets is a message only with the empty one behind it.
        """
        self.write(b"x" * 16)
        self.assertIdentical(self.pipe.take(), None)
        self.assertEqual(self.pipe.openBytes, 16)
        self.write(b"")
        self.assertEqual(self.pipe.take(), b"x" * 16)
        self.assertEqual(self.pipe.openBytes, 0)

    def test_missingZeroLengthPacket(self) -> None:
        """
        Without it the next message is glued on.
        """
        self.write(b"x" * 8)
        self.assertIdentical(self.pipe.take(), None)
        self.write(b"y")
        self.assertEqual(self.pipe.take(), b"x" * 8 + b"y")

    def test_emptyMessage(self) -> None:
        """
        An empty packet with nothing before it is an empty message.
        """
        self.write(b"")
        self.assertEqual(self.pipe.take(), b"")

    def test_endlessMessage(self) -> None:
        """
        A message without an end is cut off: it cannot grow for ever.
        """
        self.write(b"x" * GLUE_LIMIT)
        self.assertIdentical(self.pipe.take(), None)
        self.write(b"x" * 8)
        data = self.pipe.take()
        assert data is not None
        self.assertEqual(len(data), GLUE_LIMIT + 8)
        self.assertEqual(self.pipe.openBytes, 0)

    def test_hold(self) -> None:
        """
        A held device takes nothing.
        """
        self.pipe.hold(True)
        transfer = self.write(b"x")
        self.assertFalse(transfer.done.is_set())
        self.assertIdentical(self.pipe.take(), None)
        self.pipe.hold(False)
        self.assertTrue(transfer.done.is_set())
        self.assertEqual(self.pipe.take(), b"x")

    def test_timeout(self) -> None:
        """
        A write that is withdrawn did not go out.
        """
        self.pipe.hold(True)
        transfer = self.write(b"x")
        self.assertTrue(self.pipe.withdraw(transfer))
        self.assertEqual(transfer.error, errno.ETIMEDOUT)
        self.pipe.hold(False)
        self.assertIdentical(self.pipe.take(), None)
