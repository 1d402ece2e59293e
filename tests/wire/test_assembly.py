"""
Tests for L{muxd.wire.assembly}.
"""

from __future__ import annotations

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.assembly import PacketAssembler
from muxd.wire.mux import DEVICE_MRU
from tests.running.properties import examples

READ_SIZE = 65536
REQUEST = 16384


def packet(size: int, fill: int = 0xAA) -> bytes:
    """
    A mux packet of this size.
    """
    return pack(">II", 6, size) + bytes((fill,)) * (size - 8)


def transfers(message: bytes, request: int) -> list[bytes]:
    """
    What reads of C{request} bytes return for one message: the last of them is
    short, or empty if nothing is left for it.
    """
    return [message[at : at + request] for at in range(0, len(message) + 1, request)]


def feedAll(assembler: PacketAssembler, chunks: list[bytes], request: int) -> list[bytes]:
    """
    Feed chunks one by one, each in memory that is overwritten afterwards.
    """
    found = []
    for chunk in chunks:
        memory = bytearray(chunk)
        found += [bytes(each) for each in assembler.feed(memoryview(memory), request)]
        memory[:] = bytes(len(memory))
    return found


class PacketAssemblerTests(SynchronousTestCase):
    """
    Tests for L{PacketAssembler}.
    """

    def setUp(self) -> None:
        """
        An assembler that notes what it drops.
        """
        self.drops: list[tuple[int, str]] = []
        self.assembler = PacketAssembler(lambda count, reason: self.drops.append((count, reason)))

    def test_wholePacketIsNotCopied(self) -> None:
        """
        A chunk that is one packet is returned itself.
        """
        chunk = memoryview(packet(100))
        found = self.assembler.feed(chunk, READ_SIZE)
        self.assertEqual(1, len(found))
        self.assertIs(chunk, found[0])

    def test_headerInPieces(self) -> None:
        """
        The shortest packet of all may come in pieces, and so may the header of any; what comes
        behind its last piece is the next packet.
        """
        whole = packet(8) + packet(20, 1) + packet(9, 2)
        for first in range(1, len(whole)):
            chunks = [memoryview(whole[:first]), memoryview(whole[first:])]
            found = [
                bytes(each)
                for chunk in chunks
                for each in self.assembler.feed(chunk, READ_SIZE, partial=True)
            ]
            self.assertEqual(found, [packet(8), packet(20, 1), packet(9, 2)])
        self.assertEqual((self.drops, self.assembler.isClean), ([], True))

    def test_everySizeOfTheProtocol(self) -> None:
        """
        Packets of all sizes around the request size come out whole, with their
        zero-length transfers or without, and do not disturb the next
        (protocol 1.8, edges 5 and 6).
        """
        sizes = (8, 16, 36, 512, 16383, 16384, 16385, 32768, 49152, 65535, 65536)
        for request in (REQUEST, READ_SIZE):
            for size in sizes:
                first, second = packet(size, 1), packet(20, 2)
                for chunks in (
                    transfers(first, request),
                    [each for each in transfers(first, request) if each],
                ):
                    found = feedAll(self.assembler, [*chunks, second], request)
                    self.assertEqual([first, second], found, f"{size} in reads of {request}")
        self.assertEqual(0, self.assembler.dropped)
        self.assertEqual([], self.drops)

    def test_severalPacketsInOneTransfer(self) -> None:
        """
        Packets that share a transfer are all returned, as parts of it, also when the last is
        a header and nothing else.
        """
        chunk = memoryview(packet(20) + packet(30) + packet(40) + packet(8))
        found = self.assembler.feed(chunk, READ_SIZE)
        packets = [packet(20), packet(30), packet(40), packet(8)]
        self.assertEqual(packets, [bytes(each) for each in found])
        self.assertEqual([chunk.obj] * 4, [each.obj for each in found])
        self.assertEqual([], self.drops)

    def test_packetBehindAnotherSpansTransfers(self) -> None:
        """
        What follows a packet in a full transfer may be the beginning of one
        that ends in the next, wherever it is cut.
        """
        for cut in range(1, 21):
            first = packet(64 - cut)
            second = packet(20)
            both = first + second
            found = feedAll(self.assembler, [both[:64], both[64:]], 64)
            self.assertEqual([first, second], found, f"cut after {cut}")
        self.assertEqual([], self.drops)

    def test_emptyChunksAreIgnored(self) -> None:
        """
        A zero-length transfer is no packet, and no end of one under way.
        """
        message = packet(100)
        chunks = [b"", message[:64], b"", message[64:], b""]
        self.assertEqual([message], feedAll(self.assembler, chunks, 64))
        self.assertEqual([], self.drops)

    def test_shortTransferInsideAPacketDropsIt(self) -> None:
        """
        A short transfer ends a packet: what is incomplete then is dropped,
        counted and reported, and the next transfer begins with a packet.
        """
        found = feedAll(self.assembler, [packet(100)[:50], packet(20)], 64)
        self.assertEqual([packet(20)], found)
        self.assertEqual([(50, "the transfer ended inside a packet")], self.drops)
        self.assertEqual((50, 1), (self.assembler.dropped, self.assembler.drops))
        self.assertEqual(0, len(self.assembler))

    def test_shortTransferInsideAHeader(self) -> None:
        """
        The same with less than a header.
        """
        self.assertEqual([packet(20)], feedAll(self.assembler, [b"abc", packet(20)], 64))
        self.assertEqual(3, self.assembler.dropped)

    def test_partialChunkIsNoEnd(self) -> None:
        """
        A chunk cut by a time-out is short and does not end the packet.
        """
        message = packet(100)
        self.assertEqual([], self.assembler.feed(memoryview(message[:50]), READ_SIZE, True))
        found = self.assembler.feed(memoryview(message[50:]), READ_SIZE)
        self.assertEqual([message], [bytes(each) for each in found])

    def test_impossibleLength(self) -> None:
        """
        A length that no packet has drops the rest of the transfer, not what was
        before it, and nothing of the next.
        """
        for length in (0, 7, DEVICE_MRU + 1, 0xFFFFFFFF):
            bad = pack(">II", 6, length) + bytes(10)
            found = feedAll(self.assembler, [packet(20) + bad, packet(30)], READ_SIZE)
            self.assertEqual([packet(20), packet(30)], found)
        self.assertEqual((4 * 18, 4), (self.assembler.dropped, self.assembler.drops))
        self.assertEqual("expected a length of 8 to 65536, got 0", self.drops[0][1])

    def test_impossibleLengthInAFullTransfer(self) -> None:
        """
        Garbage that goes on in further transfers is dropped up to the end of
        the last.
        """
        chunks = [bytes(64), bytes(64), bytes(10), packet(30)]
        self.assertEqual([packet(30)], feedAll(self.assembler, chunks, 64))
        self.assertEqual(138, self.assembler.dropped)

    def test_garbageEndedByAnEmptyTransfer(self) -> None:
        """
        Garbage of full transfers ends with the zero-length one.
        """
        both = packet(30) + packet(20)
        self.assertEqual(
            [packet(30), packet(20)], feedAll(self.assembler, [bytes(64), b"", both], 64)
        )

    def test_garbageThatEndsOnAFullTransfer(self) -> None:
        """
        Even without any sign of its end, a chunk that is exactly a packet is
        taken for one.
        """
        self.assertEqual([packet(30)], feedAll(self.assembler, [bytes(64), packet(30)], 64))
        self.assertEqual(64, self.assembler.dropped)

    def test_impossibleLengthAcrossTransfers(self) -> None:
        """
        A header that was cut in two is checked when it is whole.
        """
        first = packet(60) + b"\0\0\0\6"
        second = pack(">I", 3) + bytes(16)
        found = feedAll(self.assembler, [first, second, packet(30)], 64)
        self.assertEqual([packet(60), packet(30)], found)
        self.assertEqual(24, self.assembler.dropped)
        self.assertEqual(0, len(self.assembler))

    def test_headerInThreePieces(self) -> None:
        """
        A header may come in more than two pieces.
        """
        message = packet(20)
        chunks = [message[:3], message[3:6], message[6:9], message[9:12], message[12:15]]
        chunks += [message[15:18], message[18:]]
        self.assertEqual([message], feedAll(self.assembler, chunks, 3))

    def test_shortest(self) -> None:
        """
        A packet of a v1 header alone is the shortest one; less is none, under either
        version.
        """
        self.assertEqual(len(self.assembler.feed(memoryview(packet(8)), 100)), 1)
        self.assertEqual(self.assembler.feed(memoryview(packet(8)[:4] + b"\0\0\0\7"), 100), [])
        self.assertEqual(len(self.drops), 1)

    def test_dropsNeedNobodyToHear(self) -> None:
        """
        Without a callback drops are but counted.
        """
        assembler = PacketAssembler()
        self.assertEqual([], feedAll(assembler, [b"abc"], READ_SIZE))
        self.assertEqual(3, assembler.dropped)

    @settings(deadline=None, max_examples=examples(150))
    @given(
        st.lists(st.integers(8, 700), max_size=20),
        st.lists(st.integers(1, 300), min_size=1, max_size=20),
    )
    def test_anyChunking(self, sizes: list[int], cuts: list[int]) -> None:
        """
        However a stream of packets is cut into full transfers, the same packets
        come out.
        """
        packets = [packet(size, index % 256) for index, size in enumerate(sizes)]
        stream = b"".join(packets)
        assembler = PacketAssembler()
        found: list[bytes] = []
        at = 0
        while at < len(stream):
            size = cuts[len(found) % len(cuts)]
            chunk = stream[at : at + size]
            found += [bytes(each) for each in assembler.feed(memoryview(chunk), len(chunk))]
            at += size
        self.assertEqual(packets, found)
        self.assertEqual((0, 0), (assembler.dropped, len(assembler)))

    @settings(deadline=None, max_examples=examples(150))
    @given(st.lists(st.tuples(st.binary(max_size=200), st.booleans(), st.booleans()), max_size=30))
    def test_garbage(self, chunks: list[tuple[bytes, bool, bool]]) -> None:
        """
        Whatever comes, every byte is either in a packet, dropped or held; no
        more than one packet is held; what is returned says its own length; and
        after a short transfer a packet is understood.
        """
        assembler = PacketAssembler()
        total = out = 0
        for data, full, valid in chunks:
            chunk = pack(">II", 6, len(data) + 50) + data if valid else data
            total += len(chunk)
            request = len(chunk) if full else READ_SIZE
            for each in assembler.feed(memoryview(chunk), request):
                self.assertEqual(len(each), int.from_bytes(each[4:8], "big"))
                out += len(each)
            self.assertLessEqual(len(assembler), DEVICE_MRU)
            self.assertEqual(total, out + assembler.dropped + len(assembler))
        assembler.feed(memoryview(b"\0"), READ_SIZE)
        found = assembler.feed(memoryview(packet(20) + packet(30)), READ_SIZE)
        self.assertEqual([packet(20), packet(30)], [bytes(each) for each in found])
