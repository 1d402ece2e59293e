"""
Tests for L{muxd.net.packetmemory}, both builds of it.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import MAX_PAYLOAD, encodePacketV1, encodePacketV2
from tests import twins

SIZE = 64
HALF, WORD = integers(0, 0xFFFF), integers(0, 0xFFFFFFFF)


class PacketMemoryTests:
    """
    What holds for both.
    """

    build: Any

    def setUp(self: Any) -> None:
        """
        Memory, and a socket with a peer.
        """
        modules = self.build()
        self.module = modules["muxd.net.packetmemory"]
        self.streams = modules["muxd.net.streams"]
        self.memory = self.module.PacketMemory(SIZE)
        ours, self.theirs = socket.socketpair()
        self.addCleanup(self.theirs.close)
        self.socket = self.streams.StreamSocket(ours.detach())
        self.addCleanup(self.socket.close)

    def test_sizes(self: Any) -> None:
        """
        Memory is as large as it is asked to be, empty at first, within bounds.
        """
        self.assertEqual((self.memory.size, bytes(self.memory.view)), (SIZE, bytes(SIZE)))
        for size in (0, -1, self.module.LARGEST + 1, 1 << 62):
            self.assertRaises(ValueError, self.module.PacketMemory, size)
        self.assertRaises(TypeError, self.module.PacketMemory, "1")

    def test_receive(self: Any) -> None:
        """
        What a socket has is put where it is to be, and not more than there is room for.
        """
        receive = self.memory.receive
        self.assertEqual(receive(self.socket, 0, SIZE), self.streams.BLOCKED)
        self.theirs.send(b"hello, world")
        self.assertEqual(receive(self.socket, 3, 5), 5)
        self.assertEqual(receive(self.socket, SIZE - 7, 7), 7)
        self.assertEqual(receive(self.socket, 0, 1), self.streams.BLOCKED)
        content = bytes(3) + b"hello" + bytes(SIZE - 15) + b", world"
        self.assertEqual(bytes(self.memory.view), content)
        self.theirs.close()
        self.assertEqual(receive(self.socket, 0, 1), 0)
        self.assertEqual(bytes(self.memory.view), content)

    def test_receiveNoting(self: Any) -> None:
        """
        The same, and it is noted where the kernel stops as descriptors come along, which are
        closed.
        """
        receive, memory = self.memory.receiveNoting, self.memory
        self.assertEqual(
            (receive(self.socket, 0, SIZE), memory.wasCut), (self.streams.BLOCKED, False)
        )
        before = set(os.listdir("/dev/fd"))
        socket.send_fds(self.theirs, [b"one"], [self.theirs.fileno()])
        self.theirs.send(b"two")
        self.assertEqual((receive(self.socket, 3, 8), memory.wasCut), (3, True))
        self.assertEqual((receive(self.socket, 6, 8), memory.wasCut), (3, False))
        self.assertEqual(memory.read(0, 11), bytes(3) + b"onetwo" + bytes(2))
        self.assertEqual(set(os.listdir("/dev/fd")), before)
        socket.send_fds(self.theirs, [b"one"], [self.theirs.fileno()])
        self.assertEqual((receive(self.socket, 0, 3), memory.wasCut), (3, True))
        self.assertEqual((receive(self.socket, 0, 3), memory.wasCut), (self.streams.BLOCKED, False))
        self.theirs.close()
        self.assertEqual((receive(self.socket, 0, 1), memory.wasCut), (0, False))
        self.socket.close()
        self.assertEqual(receive(self.socket, 0, 1), self.streams.CLOSED)

    def test_receiveNotingTCP(self: Any) -> None:
        """
        So it is with TCP, which has none.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            self.addCleanup(theirs.close)
            ours, _ = listening.accept()
        connected = self.streams.StreamSocket(ours.detach())
        self.addCleanup(connected.close)
        theirs.send(b"one")
        self.assertEqual(
            (self.memory.receiveNoting(connected, 1, 8), self.memory.wasCut), (3, False)
        )
        self.assertEqual(self.memory.read(0, 5), bytes(1) + b"one" + bytes(1))

    def test_receiveBounds(self: Any) -> None:
        """
        Nothing is read to a place that is not there, and nothing is lost by trying.
        """
        for receive in (self.memory.receive, self.memory.receiveNoting):
            self.theirs.send(b"hello")
            for start, limit in ((0, 0), (0, -1), (-1, 1), (SIZE, 1), (0, SIZE + 1), (1, 1 << 62)):
                self.assertRaises(ValueError, receive, self.socket, start, limit)
            self.assertRaises(TypeError, receive, None, 0, 1)
            self.assertRaises(TypeError, receive, self.theirs.fileno(), 0, 1)
            self.assertEqual(receive(self.socket, 0, SIZE), 5)

    def test_receiveFails(self: Any) -> None:
        """
        A reset by the peer is told, and so is a socket that was closed here.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            accepted = self.streams.Acceptor(listening).accept()
            accepted.send(b"x")
            self.assertEqual(client.recv(1, socket.MSG_PEEK), b"x")
            client.close()
            self.assertEqual(self.memory.receive(accepted, 0, 1), -errno.ECONNRESET)
            accepted.close()
            self.assertEqual(self.memory.receive(accepted, 0, 1), self.streams.CLOSED)
            self.assertEqual(self.memory.send(accepted, 0, 1), self.streams.CLOSED)

    def test_send(self: Any) -> None:
        """
        A part is sent from where it is.
        """
        self.memory.write(10, b"hello")
        self.assertEqual(self.memory.send(self.socket, 11, 3), 3)
        self.assertEqual(self.memory.send(self.socket, SIZE, 0), 0)
        self.assertEqual(self.theirs.recv(10), b"ell")
        for start, length in ((0, -1), (-1, 1), (SIZE, 1), (0, SIZE + 1), (1, 1 << 62)):
            self.assertRaises(ValueError, self.memory.send, self.socket, start, length)

    def test_sendToFull(self: Any) -> None:
        """
        A socket takes a part, and then nothing, without blocking.
        """
        large = self.module.PacketMemory(1 << 20)
        sent = large.send(self.socket, 0, large.size)
        self.assertTrue(0 < sent < large.size, sent)
        self.assertEqual(large.send(self.socket, sent, 65536), self.streams.BLOCKED)
        self.theirs.close()
        self.assertEqual(large.send(self.socket, 0, 1), -errno.EPIPE)

    def test_bytes(self: Any) -> None:
        """
        Bytes are copied in and out, within bounds.
        """
        self.assertEqual(self.memory.write(1, b"hello"), 6)
        self.assertEqual(self.memory.write(6, bytearray(b", ")), 8)
        self.assertEqual(self.memory.write(SIZE, b""), SIZE)
        self.assertEqual(self.memory.read(0, 8), b"\0hello, ")
        # A part of itself.
        self.memory.write(2, self.memory.view[1:6])
        self.assertEqual(self.memory.read(0, 8), b"\0hhello ")
        for start, data in ((-1, b""), (SIZE, b"x"), (SIZE + 1, b""), (0, bytes(SIZE + 1))):
            self.assertRaises(ValueError, self.memory.write, start, data)
        for start, length in ((-1, 1), (0, -1), (SIZE, 1), (1 << 62, 1 << 62)):
            self.assertRaises(ValueError, self.memory.read, start, length)
        self.assertRaises(TypeError, self.memory.write, 0, "text")
        self.assertRaises(TypeError, self.memory.write, 0, memoryview(b"abcd")[::2])

    def test_free(self: Any) -> None:
        """
        Freed memory has no bytes; a view of what it was is still good.
        """
        view = self.memory.view
        self.memory.free()
        self.memory.free()
        self.assertEqual((self.memory.size, len(self.memory.view)), (0, 0))
        self.assertRaises(ValueError, self.memory.receive, self.socket, 0, 1)
        self.assertRaises(ValueError, self.memory.writeSegment, 2, *[0] * 9)
        self.assertRaises(ValueError, self.memory.readHeader, 0)
        view[:] = bytes(range(SIZE))
        self.assertEqual(view[SIZE - 1], SIZE - 1)

    def test_reference(self: Any) -> None:
        """
        Headers are written as L{muxd.wire.mux} writes them, and read as it reads them,
        under both versions.
        """
        memory = self.module.PacketMemory(MAX_PAYLOAD + 36)

        @given(binary(max_size=30), HALF, HALF, HALF, HALF, WORD, WORD, integers(0, 255), HALF)
        def check(
            payload: bytes,
            transmitted: int,
            received: int,
            source: int,
            destination: int,
            seq: int,
            ack: int,
            flags: int,
            window: int,
        ) -> None:
            segment = Segment(source, destination, seq, ack, flags, window << 8, payload)
            fields = (source, destination, seq, ack, flags, window << 8 | seq & 0xFF)
            for version in (1, 2):
                if version == 1:
                    packet = encodePacketV1(6, segment.encode())
                else:
                    packet = encodePacketV2(6, segment.encode(), transmitted, received)
                memory.write(0, b"\xa5" * (len(packet) + 1))
                size = memory.writeSegment(version, len(payload), transmitted, received, *fields)
                self.assertEqual(size, len(packet))
                memory.write(size - len(payload), payload)
                self.assertEqual(memory.read(0, size + 1), packet + b"\xa5")
                memory.write(5, packet)
                header = memory.readSegment(version, 5)
                self.assertEqual(memory.read(5 + header, len(payload)), payload)
                decoded = Packet.decode(packet, version)
                self.assertEqual(segment, Segment.decode(decoded.body))
                self.assertEqual(
                    (memory.protocol, memory.packetLength), (decoded.protocol, len(packet))
                )
                counters = (transmitted, received) if version == 2 else (0, 0)
                self.assertEqual((memory.transmitted, memory.received), counters)
                self.assertEqual(
                    (
                        *(memory.sourcePort, memory.destinationPort, memory.seq, memory.ack),
                        *(memory.flags, memory.window, memory.dataOffset),
                    ),
                    (source, destination, seq, ack, flags, window << 8, 0x50),
                )
                self.assertEqual(memory.readHeader(5), len(packet))

        check()

    def test_counters(self: Any) -> None:
        """
        The counters of a packet that has its header are written into it.
        """
        packet = encodePacketV2(2, b"\x07", 1, 2)
        self.memory.write(0, packet)
        self.memory.writeCounters(0xFEDC, 0xBA98)
        self.assertEqual(
            self.memory.read(0, len(packet)), encodePacketV2(2, b"\x07", 0xFEDC, 0xBA98)
        )
        for counters in ((-1, 0), (0, -1), (65536, 0), (0, 65536)):
            self.assertRaises(ValueError, self.memory.writeCounters, *counters)
        for counters in ((0, 0xFFFF), (0xFFFF, 0)):
            self.memory.writeCounters(*counters)
            self.assertEqual(
                self.memory.read(0, len(packet)), encodePacketV2(2, b"\x07", *counters)
            )
        self.assertRaises(ValueError, self.module.PacketMemory(15).writeCounters, 0, 0)

    def test_segmentBounds(self: Any) -> None:
        """
        There is no header where it does not fit, none of a third version, and no number
        in it that is too large for its field.
        """
        write, good = self.memory.writeSegment, [2, SIZE - 36, 1, 2, 3, 4, 5, 6, 7, 256]
        self.assertEqual(write(*good), SIZE)
        self.assertEqual(write(1, SIZE - 28, *good[2:]), SIZE)
        limits = [2, SIZE - 36, *[0xFFFF] * 4, *[0xFFFFFFFF] * 2, 0xFF, 0xFFFFFF]
        self.assertEqual(write(*limits), SIZE)
        for place, limit in enumerate(limits):
            for bad in (limit + 1, -1, 1 << 62):
                self.assertRaises(ValueError, write, *good[:place], bad, *good[place + 1 :])
        for start, version in ((-1, 2), (SIZE - 35, 2), (SIZE - 27, 1), (0, 3), (0, 0)):
            self.assertRaises(ValueError, self.memory.readSegment, version, start)
        for start in (-1, SIZE - 7, 1 << 62):
            self.assertRaises(ValueError, self.memory.readHeader, start)

    def test_refusals(self: Any) -> None:
        """
        What is wrong is said: the version, the room, or the numbers.
        """
        write, numbers = self.memory.writeSegment, (1, 2, 3, 4, 5, 6, 7, 256)
        for values, text in (
            ((0, 0, *numbers), "expected version 1 or 2, got 0"),
            ((3, 0, *numbers), "expected version 1 or 2, got 3"),
            ((1, SIZE - 27, *numbers), f"expected a part of {SIZE} bytes, got .*{SIZE - 27}"),
            ((2, SIZE - 35, *numbers), f"expected a part of {SIZE} bytes, got .*{SIZE - 35}"),
            ((1, SIZE - 28, *numbers[:-2], 256, 0), "expected numbers that fit"),
            ((2, SIZE - 36, *numbers[:-2], 256, 0), "expected numbers that fit"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                write(*values)
        for version, text in (
            (0, "expected version 1 or 2, got 0"),
            (1, f"expected a part of {SIZE} bytes, got 28 from {SIZE}"),
            (2, f"expected a part of {SIZE} bytes, got 36 from {SIZE}"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                self.memory.readSegment(version, SIZE)


class PurePacketMemoryTests(PacketMemoryTests, SynchronousTestCase):
    """
    The build in Python.
    """

    build = staticmethod(twins.pure)


class CompiledPacketMemoryTests(PacketMemoryTests, SynchronousTestCase):
    """
    The compiled build.
    """

    build = staticmethod(twins.compiled)
