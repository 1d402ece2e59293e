"""
Tests of L{muxd.device.framing}, with the vectors of protocol 2.5.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.framing import V2_SEGMENT, Framing
from muxd.wire.mux import V2_TCP, Flags, Packet, Segment

SYN = "0000000600000024feedface0001ffff0001f27e00000000000000005002020000000000"


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
        self.assertEqual(framing.segment(1, 62078, 0, 0, Flags.SYN, 131072, 0).hex(), SYN)

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
        header = framing.segment(1, 2, 3, 4, Flags.ACK, 512, 10)
        self.assertEqual(framing.overhead, 28)
        self.assertEqual(len(header), 28)
        packet = Packet.decode(header + bytes(10), 1)
        expected = Segment(1, 2, 3, 4, Flags.ACK, 512, bytes(10))
        self.assertEqual(Segment.decode(packet.body), expected)

    def test_wrap(self) -> None:
        """
        The counter has 16 bits: 0xffff is followed by 0.
        """
        framing = Framing(2)
        framing.transmitted = 0xFFFF
        framing.received = 0x1234
        headers = [framing.segment(1, 2, 0, 0, Flags.ACK, 0, 0) for _ in range(2)]
        packets = [Packet.decode(header, 2) for header in headers]
        self.assertEqual([packet.transmitted for packet in packets], [0xFFFF, 0])
        self.assertEqual([packet.received for packet in packets], [0x1234, 0x1234])

    def test_whatIsLookedAt(self) -> None:
        """
        The layout that incoming segments are read with skips the fields that
        nobody looks at, and no others.
        """
        packet = V2_TCP.pack(6, 36, 0xFACEFACE, 1, 2, 3, 4, 5, 6, 0x50, 0x10, 7, 8, 9)
        self.assertEqual(V2_SEGMENT.unpack(packet), (6, 1, 3, 4, 5, 6, 0x50, 0x10, 7))
