"""
Tests of L{muxd.device.framing}, with the vectors of protocol 2.5.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.framing import Framing
from muxd.net.packetmemory import PacketMemory
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import Flags

SYN = "0000000600000024feedface0001ffff0001f27e00000000000000005002020000000000"


def header(framing: Framing, size: int, *fields: int) -> bytes:
    """
    What is written before a payload of so many bytes.
    """
    memory = PacketMemory(100)
    length = framing.write(memory, size, *fields)
    assert length == framing.overhead + size
    return memory.read(0, framing.overhead)


class FramingTests(SynchronousTestCase):
    """
    Headers of either version.
    """

    def test_setup(self) -> None:
        """
        SETUP is as in the vectors, and the next packet has counter 1.
        """
        framing = Framing(2)
        setup = framing.setup()
        assert setup is not None
        self.assertEqual(setup.hex(), "0000000200000011feedface0000ffff07")
        self.assertEqual(header(framing, 0, 1, 62078, 0, 0, Flags.SYN, 131072).hex(), SYN)

    def test_noSetup(self) -> None:
        """
        There is no SETUP under v1.
        """
        self.assertIsNone(Framing(1).setup())

    def test_v1(self) -> None:
        """
        Under v1 a header has eight bytes, whose length counts them and the
        payload.
        """
        framing = Framing(1)
        written = header(framing, 10, 1, 2, 3, 4, Flags.ACK, 512)
        self.assertEqual(framing.overhead, 28)
        self.assertEqual(len(written), 28)
        packet = Packet.decode(written + bytes(10), 1)
        expected = Segment(1, 2, 3, 4, Flags.ACK, 512, bytes(10))
        self.assertEqual(Segment.decode(packet.body), expected)

    def test_wrap(self) -> None:
        """
        The counter has 16 bits: 0xffff is followed by 0.
        """
        framing = Framing(2)
        framing.transmitted = 0xFFFF
        framing.received = 0x1234
        headers = [header(framing, 0, 1, 2, 0, 0, Flags.ACK, 0) for _ in range(2)]
        packets = [Packet.decode(each, 2) for each in headers]
        self.assertEqual([packet.transmitted for packet in packets], [0xFFFF, 0])
        self.assertEqual([packet.received for packet in packets], [0x1234, 0x1234])
