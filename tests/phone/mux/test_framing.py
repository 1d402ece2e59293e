"""
Tests of L{muxd.phone.mux.framing} and of what L{muxd.phone.mux.muxer} makes of packets:
what the phone notices.
"""

from __future__ import annotations

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.mux.behaviour import Expectations
from muxd.phone.mux.muxer import VIOLATIONS_KEPT
from muxd.testing.packets import Segment
from muxd.wire.mux import SETUP_BODY, USB_MTU, Flags, MuxProtocol, encodePacketV2, encodeVersion
from tests.phone.mux.host import SERVICES, ManualHost


class FramingTests(SynchronousTestCase):
    """
    Each packet that a host must not send is one violation.
    """

    def setUp(self) -> None:
        """
        A phone that is active.
        """
        self.host = ManualHost(SERVICES).handshake()

    def violate(self, data: bytes) -> str:
        """
        Send a packet, and take the one violation that it makes.
        """
        before = len(self.host.violations)
        self.host.muxer.hostPacket(data)
        (text,) = self.host.violations[before:]
        return text

    def packet(self, body: bytes, protocol: int = MuxProtocol.TCP, tx: int = 1) -> bytes:
        """
        The next packet of the host.
        """
        return encodePacketV2(protocol, body, tx, 0xFFFF)

    def test_short(self) -> None:
        """
        Less than a header.
        """
        self.assertIn("transfer of 0 bytes", self.violate(b""))
        self.assertIn("transfer of 7 bytes", self.violate(bytes(7)))
        self.assertIn("header of 16", self.violate(pack(">III", 6, 12, 0)))

    def test_length(self) -> None:
        """
        A length that is not the transfer's.
        """
        self.assertIn("packet length of 99", self.violate(pack(">II", 6, 99) + bytes(8)))

    def test_glued(self) -> None:
        """
        A packet of whole USB packets with another behind it was not ended.
        """
        first = self.packet(bytes(512 - 16))
        text = self.violate(first + self.packet(bytes(20), tx=2))
        self.assertEqual(
            text,
            "missing ZLP: a packet of 512 bytes was not ended, and the transfer became one of 548",
        )

    def test_oversize(self) -> None:
        """
        More than a phone takes (protocol 1.1).
        """
        text = self.violate(self.packet(bytes(USB_MTU - 15)))
        self.assertIn("packet of 49153 bytes", text)

    def test_magic(self) -> None:
        """
        Another magic.
        """
        segment = Segment(1, 9, 0, 0, Flags.SYN, 131072)
        text = self.violate(encodePacketV2(6, segment.encode(), 1, 0xFFFF, 1))
        self.assertIn("magic 0x1", text)

    def test_sequence(self) -> None:
        """
        A counter that does not follow the one before; the next is measured by
        this one.
        """
        syn = Segment(1, 9, 0, 0, Flags.SYN, 131072).encode()
        self.assertEqual(self.violate(self.packet(syn, tx=3)), "tx_seq 3, expected 1")
        rst = Segment(1, 9, 1, 0, Flags.RST, 131072).encode()
        self.host.muxer.hostPacket(encodePacketV2(6, rst, 4, 0))
        self.assertEqual(len(self.host.violations), 1)

    def test_received(self) -> None:
        """
        A counter of the phone's that it has not sent, or one before the last
        that the host said it had.
        """
        host = self.host
        session = host.connect(9)
        host.seen = 5
        session.send()
        self.assertEqual(host.violations, ["rx_seq 5, expected 0 to 0"])
        host.seen = 0xFFFF
        session.send()
        self.assertEqual(host.violations[1:], ["rx_seq 65535, expected 0 to 0"])

    def test_receivedOfOthers(self) -> None:
        """
        A phone can be told not to look at that.
        """
        host = ManualHost(SERVICES, expectations=Expectations(received=False)).handshake()
        session = host.connect(9)
        host.seen = 5
        session.send()
        self.assertEqual(host.violations, [])

    def test_protocols(self) -> None:
        """
        CONTROL, and protocols that do not exist.
        """
        self.assertIn("protocol 1", self.violate(self.packet(b"\7x", protocol=1)))
        self.assertIn("protocol 9", self.violate(self.packet(b"", protocol=9, tx=2)))

    def test_setup(self) -> None:
        """
        SETUP twice, with other counters, or with another body.
        """
        setup = encodePacketV2(MuxProtocol.SETUP, SETUP_BODY, 0, 0xFFFF)
        self.assertEqual(self.violate(setup), "SETUP twice")
        self.host.muxer.hostPacket(encodeVersion(2))
        wrong = encodePacketV2(MuxProtocol.SETUP, b"\x08", 0, 0xFFFF)
        self.assertEqual(self.violate(wrong), "SETUP with 08, expected 07")
        self.host.muxer.hostPacket(encodeVersion(2))
        wrong = encodePacketV2(MuxProtocol.SETUP, SETUP_BODY, 1, 0)
        self.assertEqual(self.violate(wrong), "SETUP with counters 1 0, expected 0 65535")

    def test_tooEarly(self) -> None:
        """
        TCP before SETUP, and anything before VERSION.
        """
        self.host.muxer.hostPacket(encodeVersion(2))
        syn = Segment(1, 9, 0, 0, Flags.SYN, 131072).encode()
        self.assertEqual(self.violate(self.packet(syn, tx=0)), "TCP before SETUP")
        self.host.muxer.lost()
        self.assertEqual(self.violate(self.packet(syn)), "protocol 6 before VERSION")

    def test_version(self) -> None:
        """
        VERSION of another size or with other numbers.
        """
        self.assertIn("VERSION of 4 bytes", self.violate(pack(">III", 0, 12, 2)))
        self.assertIn("VERSION 2 1 0", self.violate(encodeVersion(2, 1)))

    def test_segments(self) -> None:
        """
        A TCP header that is short, has options, or has numbers where none are.
        """
        self.assertIn("TCP packet of 19", self.violate(self.packet(bytes(19))))
        syn = bytearray(Segment(1, 9, 0, 0, Flags.SYN, 131072).encode())
        syn[12] = 0x60
        self.assertIn("data offset 0x60", self.violate(self.packet(bytes(syn), tx=2)))
        syn[12] = 0x50
        syn[17] = 1
        self.assertIn("checksum 1 and urgent 0", self.violate(self.packet(bytes(syn), tx=3)))

    def test_kept(self) -> None:
        """
        Violations do not grow without bound.
        """
        for _ in range(VIOLATIONS_KEPT + 10):
            self.host.muxer.hostPacket(b"")
        self.assertEqual(len(self.host.violations), VIOLATIONS_KEPT)
