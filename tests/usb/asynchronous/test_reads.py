"""
Tests for L{muxd.usb.asynchronous.reads}: reads give way to packets that find no memory.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.interfaces import PlacedPacket
from muxd.usb.asynchronous.context import NO_MEMORY, TransferStatus
from muxd.usb.asynchronous.reads import READ_SIZE, Reads
from muxd.usb.engines import LinkState
from muxd.wire.assembly import PacketAssembler
from muxd.wire.mux import V1_HEADER, encodePacketV1
from tests.usb.transfers import (
    INTERFACE,
    LIMITS,
    AsynchronousTestCase,
    FakeContext,
    FakeTransfer,
)

SHORTEST = V1_HEADER.size

PACKET = encodePacketV1(1, b"\x07" + bytes(1500))


class KindsTests(SynchronousTestCase):
    """
    What comes of a transfer, by how it has ended.
    """

    def setUp(self) -> None:
        """
        Two reads with the kernel.
        """
        self.context = FakeContext(None)
        self.context.stuck = True
        self.assembler = PacketAssembler()
        self.reads = Reads(
            self.context,  # type: ignore[arg-type]
            INTERFACE,
            self.assembler,
            noMemory=lambda isDeaf: None,
            failed=lambda why: None,
        )
        self.reads.prepare(2)
        self.reads.submit()

    def end(self, transfer: FakeTransfer, status: int, data: bytes) -> list[PlacedPacket]:
        """
        One comes back.
        """
        self.context.inFlight.remove(transfer)
        self.context.end(transfer, status, data)
        self.context.ended.clear()
        packets: list[PlacedPacket] = []
        self.reads.ended(transfer, status, packets)
        return packets

    def test_shortest(self) -> None:
        """
        A whole packet stays where it is, also the shortest that there is.
        """
        packet = encodePacketV1(1, b"")
        self.assertEqual(len(packet), SHORTEST)
        transfer = self.context.reads()[0]
        self.assertEqual(self.end(transfer, 0, packet), [(transfer, 0, SHORTEST)])

    def test_part(self) -> None:
        """
        What is not whole is put together elsewhere.
        """
        first, second = self.context.reads()
        packet = encodePacketV1(1, bytes(READ_SIZE))
        self.assertEqual(self.end(first, 0, packet[:READ_SIZE]), [])
        ((memory, start, size),) = self.end(second, 0, packet[READ_SIZE:])
        self.assertIsNot(memory, second)
        self.assertEqual(memory.read(start, size), packet)

    def test_failed(self) -> None:
        """
        Of one that has failed, or was taken back with all others, nothing is part of a packet.
        """
        for transfer, status in zip(
            self.context.reads(), (TransferStatus.ERROR, TransferStatus.CANCELLED), strict=True
        ):
            self.assertEqual(self.end(transfer, status, PACKET[:20]), [])
            self.assertEqual((len(self.assembler), self.assembler.isClean), (0, True))

    def test_givenWay(self) -> None:
        """
        Of one that was taken back to give way it is, unless that one has failed.
        """
        self.reads.giveWay()
        surplus = self.context.reads()[-1]
        self.assertTrue(self.reads.isSurplus(surplus))
        self.assertEqual(self.end(surplus, TransferStatus.NO_DEVICE, PACKET[:20]), [])
        self.assertEqual((len(self.assembler), surplus.freed), (0, False))
        self.reads.submit()
        self.reads.giveWay()
        surplus = self.context.reads()[-1]
        self.assertEqual(self.end(surplus, TransferStatus.CANCELLED, PACKET[:20]), [])
        self.assertEqual((len(self.assembler), surplus.freed), (20, True))
        self.assertFalse(self.reads.isSurplus(surplus))


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
