"""
Tests of L{muxd.usb.asynchronous.writes}: how much may be in flight, to the packet and the byte.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.usb.asynchronous.context import NO_DEVICE, NO_MEMORY, TransferStatus
from muxd.usb.asynchronous.pacing import BusPace
from muxd.usb.asynchronous.writes import Writes
from muxd.usb.engines import SMALL_PACKET
from muxd.wire.mux import DEVICE_MRU
from tests.usb.transfers import INTERFACE, FakeContext, FakeTransfer

LIMITS = Limits(bulkInFlight=2, packetsInFlight=3, bulkQueueTime=1.0)
SMALL, BULK = b"s" * SMALL_PACKET, b"b" * (SMALL_PACKET + 1)


class WritesTests(SynchronousTestCase):
    """
    Packets on their way to one phone.
    """

    def setUp(self) -> None:
        """
        Nothing is under way.
        """
        self.clock = Clock()
        self.context = FakeContext(None)
        self.pace = BusPace(self.clock.seconds, LIMITS)
        self.failures: list[str] = []
        self.shortages = 0
        self.writes = Writes(
            self.context,  # type: ignore[arg-type]
            INTERFACE,
            LIMITS,
            self.pace,
            noMemory=self.noMemory,
            failed=self.failures.append,
        )
        self.writes.isOpen = True

    def noMemory(self) -> None:
        """
        Count.
        """
        self.shortages += 1

    def end(self, status: int = 0) -> int:
        """
        The first that is in flight comes back.
        """
        transfer = self.context.inFlight.pop(0)
        transfer.status, transfer.actualLength = status, transfer.length
        return self.writes.ended(transfer)

    def test_kinds(self) -> None:
        """
        A packet of just the greatest size of a small one is small, in either kind of memory
        and by either way; one of a byte more is not.
        """
        self.writes.send([SMALL])
        self.assertEqual((self.writes.small, self.writes.bulk), (1, 0))
        self.writes.send([BULK])
        self.assertEqual((self.writes.small, self.writes.bulk), (1, 1))
        self.assertEqual([each.size for each in self.context.inFlight], [SMALL_PACKET, DEVICE_MRU])
        for _ in range(2):
            self.end()
        self.assertEqual((self.writes.small, self.writes.bulk), (0, 0))
        # What has come back is used again for the same kind.
        small, bulk = self.writes.borrow(SMALL_PACKET), self.writes.borrow(SMALL_PACKET + 1)
        self.assertEqual((small.size, bulk.size), (SMALL_PACKET, DEVICE_MRU))
        self.assertEqual(len(self.context.transfers), 2)
        self.writes.giveBack(small)
        self.writes.giveBack(bulk)
        self.assertIs(self.writes.borrow(1), small)
        self.assertIs(self.writes.borrow(DEVICE_MRU), bulk)

    def test_roomForBulk(self) -> None:
        """
        There is room for so many bulk packets, and for more as far as the bus carries them in
        the time that they may take, to the byte.
        """
        size = len(BULK)
        for _ in range(LIMITS.bulkInFlight):
            self.assertTrue(self.writes.hasRoom(size))
            self.writes.send([BULK])
        self.assertFalse(self.writes.hasRoom(size))
        self.pace.depth = 3 * size
        self.assertTrue(self.writes.hasRoom(size))
        self.assertFalse(self.writes.hasRoom(size + 1))
        self.end()
        self.writes.send([BULK])
        self.assertTrue(self.writes.hasRoom(size))
        self.assertFalse(self.writes.hasRoom(size + 1), "what has come back takes no room")

    def test_roomForSmall(self) -> None:
        """
        There is room for so many packets of all kinds together.
        """
        for packet in (SMALL, BULK, SMALL):
            self.assertTrue(self.writes.hasRoom(SMALL_PACKET))
            self.writes.send([packet])
        self.assertFalse(self.writes.hasRoom(SMALL_PACKET))
        self.assertTrue(self.writes.hasRoom(SMALL_PACKET + 1), "the limit is the other one")
        self.end()
        self.assertTrue(self.writes.hasRoom(SMALL_PACKET))

    def test_most(self) -> None:
        """
        What is sent without a question has to wait when as much is in flight as both limits
        are together, and goes one by one as they come back, whatever kind they are.
        """
        packets = [b"%d" % number for number in range(8)]
        for packet in packets[:6]:
            self.writes.send([packet])
        borrowed = self.writes.borrow(1)
        borrowed.write(0, packets[6])
        self.writes.transmit(borrowed, 1)
        self.writes.send([packets[7]])
        self.assertEqual(self.context.sent, packets[:5])
        self.assertFalse(self.writes.hasRoom(1))
        for count in (6, 7, 8):
            self.end()
            self.writes.resume()
            self.assertEqual(self.context.sent, packets[:count])
        self.assertFalse(self.writes.isIdle())
        while self.context.inFlight:
            self.assertFalse(self.writes.isIdle())
            self.end()
        self.assertTrue(self.writes.isIdle())

    def test_borrowedWaits(self) -> None:
        """
        A packet in borrowed memory waits when as much is in flight, and behind one that waits
        for memory.
        """
        for _ in range(5):
            self.writes.send([b"x"])
        self.transmit(b"late")
        self.assertEqual(len(self.context.sent), 5)
        self.end()
        self.writes.resume()
        self.assertEqual(self.context.sent[5:], [b"late"])
        while self.context.inFlight:
            self.end()
        self.context.sent.clear()
        self.context.refusals[False].append(NO_MEMORY)
        self.writes.send([b"first"])
        self.transmit(b"second")
        self.assertEqual(self.context.sent, [])
        self.writes.resume()
        self.assertEqual(self.context.sent, [b"first", b"second"])

    def transmit(self, packet: bytes) -> None:
        """
        Send a packet in borrowed memory.
        """
        borrowed = self.writes.borrow(len(packet))
        borrowed.write(0, packet)
        self.writes.transmit(borrowed, len(packet))

    def test_bulkAlone(self) -> None:
        """
        Bulk packets count for that like others.
        """
        for _ in range(6):
            self.writes.send([BULK])
        self.assertEqual(self.writes.bulk, 5)
        self.end()
        self.writes.resume()
        self.assertEqual((self.writes.bulk, len(self.context.sent)), (5, 6))

    def test_emptyBehindWholePackets(self) -> None:
        """
        A transfer of whole USB packets has an empty one behind it, by either way; an empty one
        has not, nor has any other.
        """
        whole = b"w" * INTERFACE.maxPacketSize
        self.writes.send([whole, whole])
        self.writes.send([whole + b"x"])
        self.assertEqual([len(each) for each in self.context.sent], [1024, 0, 513])
        while self.context.inFlight:
            self.end()
        self.context.sent.clear()
        for size in (512, 513):
            borrowed = self.writes.borrow(size)
            borrowed.write(0, bytes(size))
            self.writes.transmit(borrowed, size)
        self.assertEqual([len(each) for each in self.context.sent], [512, 0, 513])
        while self.context.inFlight:
            self.end()
        self.context.sent.clear()
        self.writes.send([b""])
        self.assertEqual(self.context.sent, [b""])

    def test_held(self) -> None:
        """
        What is held goes in its order when it is released.
        """
        self.writes.hold()
        self.writes.send([b"a", b"b"])
        self.writes.send([b"c"])
        self.assertEqual(self.context.sent, [])
        self.assertFalse(self.writes.isIdle())
        self.writes.release()
        self.assertEqual(self.context.sent, [b"ab", b"c"])
        self.writes.hold()
        self.writes.send([b"d"])
        self.writes.clear()
        self.writes.release()
        self.assertEqual(self.context.sent, [b"ab", b"c"])

    def test_closed(self) -> None:
        """
        What was lent is dropped when nothing is sent any more, and its memory kept.
        """
        borrowed = self.writes.borrow(10)
        self.writes.isOpen = False
        self.writes.transmit(borrowed, 10)
        self.assertEqual(self.context.sent, [])
        self.assertIs(self.writes.borrow(10), borrowed)
        self.writes.giveBack(borrowed)
        bulk = self.writes.borrow(DEVICE_MRU)
        self.writes.giveBack(bulk)
        self.writes.free()
        self.assertTrue(all(each.freed for each in self.context.transfers))
        self.assertEqual(len(self.context.transfers), 2)

    def test_refusals(self) -> None:
        """
        A packet for which there is no memory waits; one that the phone is gone for is lost, and
        that is told. Either's memory is used again.
        """
        self.context.refusals[False] += [NO_MEMORY, NO_MEMORY, NO_DEVICE]
        for packet in (b"first", b"second"):
            self.writes.send([packet])
        self.assertEqual((self.shortages, self.failures), (1, []))
        self.writes.resume()
        self.assertEqual((self.shortages, self.failures), (2, []))
        self.writes.resume()
        self.assertEqual((self.shortages, len(self.failures)), (2, 1))
        self.assertEqual((self.writes.small, self.writes.bulk), (0, 0))
        self.assertEqual(len(self.context.transfers), 1)
        self.writes.resume()
        self.assertEqual(self.context.sent, [b"second"])

    def test_statuses(self) -> None:
        """
        A transfer that has ended early is an error, and any other what it is.
        """
        for size, status, actual, expected in (
            (5, TransferStatus.COMPLETED, 5, TransferStatus.COMPLETED),
            (5, TransferStatus.COMPLETED, 4, TransferStatus.ERROR),
            (5, TransferStatus.STALL, 4, TransferStatus.STALL),
            (5, TransferStatus.CANCELLED, 0, TransferStatus.CANCELLED),
        ):
            self.writes.send([bytes(size)])
            transfer: FakeTransfer = self.context.inFlight.pop()
            transfer.status, transfer.actualLength = status, actual
            self.assertEqual(self.writes.ended(transfer), expected)

    def test_pace(self) -> None:
        """
        The bus is measured by the bulk bytes that have come back together, from when the first
        of them was sent, and each of them counts once.
        """
        self.clock.advance(7)
        self.writes.send([SMALL])
        self.clock.advance(7)
        self.writes.send([BULK])
        self.clock.advance(0.5)
        self.writes.send([BULK])
        for _ in range(3):
            self.end()
        self.clock.advance(0.5)
        self.writes.measure()
        depth = 2 * len(BULK)
        self.assertEqual(self.pace.depth, depth)
        self.clock.advance(1)
        self.writes.measure()
        self.assertEqual(self.pace.depth, depth)
        self.assertEqual(self.writes.payload, self.pace.payload)
