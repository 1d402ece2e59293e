# -*- test-case-name: tests.wire.test_mux -*-
"""
Tests of L{muxd.wire.mux}, byte by byte against protocol 2.5.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.testing.packets import MalformedPacket, Packet, Segment
from muxd.wire.mux import (
    BULK_PAYLOAD,
    LARGE_PAYLOAD,
    LONE_PAYLOAD,
    MAGIC,
    MAX_PAYLOAD,
    SETUP_BODY,
    USB_MTU,
    V1_HEADER,
    V1_TCP,
    V2_HEADER,
    V2_TCP,
    ControlKind,
    Flags,
    MuxProtocol,
    encodePacketV1,
    encodePacketV2,
    encodeVersion,
    phoneText,
)
from tests.running.properties import examples

LOCKDOWN = 62078


class NumberTests(SynchronousTestCase):
    """
    What the names stand for.
    """

    def test_words(self) -> None:
        """
        The first words of packets and of CONTROL, and the flags of segments, are those of
        protocol 2.1, 2.4 and 3.4.
        """
        self.assertEqual(
            {one.name: one.value for one in MuxProtocol},
            {"VERSION": 0, "CONTROL": 1, "SETUP": 2, "TCP": 6},
        )
        self.assertEqual(
            {one.name: one.value for one in ControlKind},
            {"ERROR": 3, "WARNING": 5, "INFORMATION": 7},
        )
        self.assertEqual(
            {one.name: one.value for one in Flags},
            {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16},
        )

    def test_sizes(self) -> None:
        """
        A packet with as much as we send is not made of whole USB packets, and is no larger
        than one may be, under both versions; and it is nearly as large.
        """
        self.assertEqual((USB_MTU, MAX_PAYLOAD), (49152, 49116))
        for payload in (LARGE_PAYLOAD, LONE_PAYLOAD, BULK_PAYLOAD):
            for header in (V1_TCP, V2_TCP):
                size = header.size + payload
                self.assertLessEqual(size, USB_MTU)
                self.assertNotEqual(size % 64, 0)
        self.assertGreater(LARGE_PAYLOAD, MAX_PAYLOAD - 64)
        self.assertEqual(BULK_PAYLOAD, LARGE_PAYLOAD // 2)


def tcpV2(transmitted: int, seq: int, ack: int, flags: int) -> bytes:
    """
    A whole v2 packet from port 1 to lockdownd, as in protocol 2.5.
    """
    segment = Segment(1, LOCKDOWN, seq, ack, flags, 131072)
    return encodePacketV2(MuxProtocol.TCP, segment.encode(), transmitted, 1)


class VectorTests(SynchronousTestCase):
    """
    The test vectors of protocol 2.5.
    """

    def test_version(self) -> None:
        """
        VERSION has a v1 header.
        """
        self.assertEqual(encodeVersion(2).hex(), "0000000000000014000000020000000000000000")

    def test_setup(self) -> None:
        """
        SETUP is packet 0 and has seen nothing.
        """
        packet = encodePacketV2(MuxProtocol.SETUP, SETUP_BODY, 0, 0xFFFF)
        self.assertEqual(packet.hex(), "0000000200000011feedface0000ffff07")

    def test_syn(self) -> None:
        """
        SYN has the window in units of 256 bytes.
        """
        segment = Segment(1, LOCKDOWN, 0, 0, Flags.SYN, 131072)
        packet = encodePacketV2(MuxProtocol.TCP, segment.encode(), 1, 0xFFFF)
        self.assertEqual(
            packet.hex(),
            "0000000600000024feedface0001ffff0001f27e00000000000000005002020000000000",
        )

    def test_ack(self) -> None:
        """
        ACK closes the handshake.
        """
        self.assertEqual(
            tcpV2(2, 1, 1, Flags.ACK).hex(),
            "0000000600000024feedface000200010001f27e00000001000000015010020000000000",
        )

    def test_rst(self) -> None:
        """
        RST has no other flag.
        """
        self.assertEqual(
            tcpV2(3, 1, 1, Flags.RST).hex(),
            "0000000600000024feedface000300010001f27e00000001000000015004020000000000",
        )

    def test_synAck(self) -> None:
        """
        The phone's SYN|ACK is understood, whatever its magic is.
        """
        data = bytes.fromhex(
            "0000000600000024facefaceaaaa0001f27e000100000000000000015012020000000000"
        )
        packet = Packet.decode(data, 2)
        self.assertEqual(
            (packet.protocol, packet.magic, packet.transmitted, packet.received),
            (MuxProtocol.TCP, 0xFACEFACE, 0xAAAA, 1),
        )
        self.assertEqual(
            Segment.decode(packet.body),
            Segment(LOCKDOWN, 1, 0, 1, Flags.SYN | Flags.ACK, 131072),
        )

    def test_combinedStructures(self) -> None:
        """
        The structures that pack two headers in one go agree with those that
        pack one.
        """
        fields = (1, LOCKDOWN, 2, 3, 0x50, Flags.ACK, 512, 0, 0)
        segment = Segment(1, LOCKDOWN, 2, 3, Flags.ACK, 131072).encode()
        self.assertEqual(V1_TCP.pack(6, 28, *fields), encodePacketV1(6, segment))
        self.assertEqual(V2_TCP.pack(6, 36, MAGIC, 7, 8, *fields), encodePacketV2(6, segment, 7, 8))

    def test_largestPayload(self) -> None:
        """
        The largest payload makes the largest packet (protocol 3.2).
        """
        self.assertEqual(MAX_PAYLOAD, 49116)
        segment = Segment(1, 2, 0, 0, Flags.ACK, 0, bytes(MAX_PAYLOAD))
        self.assertEqual(len(encodePacketV2(6, segment.encode(), 0, 0)), USB_MTU)


class PacketTests(SynchronousTestCase):
    """
    L{Packet.decode} of what phones send and of what they should not.
    """

    def test_v1(self) -> None:
        """
        A v1 packet has no counters.
        """
        packet = Packet.decode(encodePacketV1(MuxProtocol.CONTROL, b"\x07hello"), 1)
        self.assertEqual(packet, Packet(MuxProtocol.CONTROL, b"\x07hello"))

    def test_versionIsAlwaysV1(self) -> None:
        """
        A VERSION packet is read as v1 also after v2 was negotiated.
        """
        packet = Packet.decode(encodeVersion(2), 2)
        self.assertEqual((packet.protocol, len(packet.body), packet.magic), (0, 12, None))

    def test_memoryview(self) -> None:
        """
        Packets may come as views of memory that is used again: what is kept is
        a copy.
        """
        memory = bytearray(encodePacketV2(MuxProtocol.TCP, b"body", 1, 2))
        packet = Packet.decode(memoryview(memory), 2)
        memory[:] = bytes(len(memory))
        self.assertEqual(packet.body, b"body")

    def test_shortHeaders(self) -> None:
        """
        What ends within its header is refused, in words.
        """
        for data, version in ((b"", 1), (bytes(7), 2), (V1_HEADER.pack(6, 12) + bytes(4), 2)):
            with self.assertRaisesRegex(MalformedPacket, "mux header: expected"):
                Packet.decode(data, version)

    def test_wrongLength(self) -> None:
        """
        A length field that does not match is refused.
        """
        for length in (0, 15, 17, 0xFFFFFFFF):
            with self.assertRaisesRegex(MalformedPacket, "of 16 bytes says"):
                Packet.decode(V2_HEADER.pack(6, length, MAGIC, 0, 0), 2)

    @settings(deadline=None, max_examples=examples(100))
    @given(
        st.integers(1, 0xFFFFFFFF),
        st.binary(max_size=100),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
    )
    def test_roundTrip(
        self, protocol: int, body: bytes, transmitted: int, received: int, magic: int
    ) -> None:
        """
        What was encoded is decoded, under both versions.
        """
        self.assertEqual(
            Packet.decode(encodePacketV2(protocol, body, transmitted, received, magic), 2),
            Packet(protocol, body, transmitted, received, magic),
        )
        self.assertEqual(Packet.decode(encodePacketV1(protocol, body), 1), Packet(protocol, body))

    @settings(deadline=None, max_examples=examples(200))
    @given(st.binary(max_size=80), st.sampled_from([1, 2]))
    def test_garbage(self, data: bytes, version: int) -> None:
        """
        Any bytes are a packet or are refused as malformed; nothing else happens.
        """
        try:
            packet = Packet.decode(data, version)
            Segment.decode(packet.body)
        except MalformedPacket:
            pass


class SegmentTests(SynchronousTestCase):
    """
    L{Segment} to bytes and back.
    """

    def test_tooShort(self) -> None:
        """
        Nineteen bytes are no segment.
        """
        with self.assertRaisesRegex(MalformedPacket, "expected 20 bytes, got 19"):
            Segment.decode(bytes(19))

    def test_options(self) -> None:
        """
        A data offset that leaves room for options is refused: there are none.
        """
        body = bytearray(Segment(1, 2, 3, 4, Flags.ACK, 0).encode() + bytes(4))
        body[12] = 0x60
        with self.assertRaisesRegex(MalformedPacket, "expected 5 words, got 6"):
            Segment.decode(bytes(body))

    @settings(deadline=None, max_examples=examples(100))
    @given(
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFF),
        st.integers(0, 0xFFFF),
        st.binary(max_size=64),
    )
    def test_roundTrip(
        self,
        source: int,
        destination: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        payload: bytes,
    ) -> None:
        """
        What was encoded is decoded; windows are multiples of 256.
        """
        segment = Segment(source, destination, seq, ack, flags, window << 8, payload)
        self.assertEqual(Segment.decode(segment.encode()), segment)


class PhoneTextTests(SynchronousTestCase):
    """
    What phones say in words (protocol 2.4, 3.8).
    """

    def test_endings(self) -> None:
        """
        Text has no terminator, but phones send some all the same.
        """
        for payload in (b"amnesia", b"amnesia\n", b"amnesia\r\n\0"):
            self.assertEqual(phoneText(payload), "amnesia")

    def test_anyBytes(self) -> None:
        """
        Bytes that are no text, or a view of some, can be shown.
        """
        self.assertEqual(phoneText(memoryview(b"a\xffb")), "a\ufffdb")

    def test_escapeSequences(self) -> None:
        """
        A phone writes no lines of its own into a log, and nothing to the terminal
        that shows it.
        """
        self.assertEqual(
            phoneText(b"\x1b[2Jgone\nroot: all is well\n"), "?[2Jgone?root: all is well"
        )
        self.assertEqual(phoneText(b"\x9b" * 40 + "\x9b\u202e".encode()), "\ufffd" * 40 + "??")

    def test_endlessText(self) -> None:
        """
        Nor a line of 64 KiB.
        """
        self.assertEqual(phoneText(b"x" * 65536), "x" * 255)
        self.assertEqual(phoneText("\U0001f600".encode() * 1000), "\U0001f600" * 255)
