# -*- test-case-name: tests.tunnel.test_codecs -*-
"""
Tests of what has no state: L{muxd.tunnel.cdtunnel}, L{muxd.tunnel.packets} and L{muxd.tunnel.xpc}.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.tunnel.cdtunnel import (
    LONGEST,
    HandshakeReader,
    MalformedHandshake,
    TunnelParameters,
    hostHandshake,
    parseHostHandshake,
    parsePhoneHandshake,
    phoneHandshake,
    writeHandshake,
)
from muxd.tunnel.packets import (
    ACK,
    SYN,
    MalformedPacket,
    PacketSplitter,
    Segment,
    readPacket,
    writePacket,
)
from muxd.tunnel.xpc import (
    ALWAYS,
    DEEPEST,
    HAS_DATA,
    MalformedXPC,
    Message,
    MessageReader,
    Unsigned,
    readObject,
    writeMessage,
    writeObject,
)
from tests.running.properties import examples

HOST, PHONE = IPv6Address("fd00::2").packed, IPv6Address("fd00::1").packed
ASKED = bytes.fromhex(
    "434454756e6e656c002c7b2274797065223a22636c69656e7448616e647368616b65526571756573742"
    "22c226d7475223a313238307d"
)
"""What a host with an MTU of 1280 says."""

words = st.integers(0, 2**16 - 1)
numbers = st.integers(0, 2**32 - 1)
segments = st.builds(
    Segment, words, words, numbers, numbers, st.integers(0, 63), words, st.binary(max_size=50)
)


class CDTunnelTests(SynchronousTestCase):
    """
    The handshake.
    """

    def test_host(self) -> None:
        """
        A host's part is as other hosts say it, whatever pieces it comes in.
        """
        self.assertEqual(writeHandshake(hostHandshake(1280)), ASKED)
        reader = HandshakeReader()
        for byte in ASKED[:-1]:
            self.assertIsNone(reader.feed(bytes((byte,))))
        message = reader.feed(ASKED[-1:] + b"more")
        assert message is not None
        self.assertEqual((parseHostHandshake(message), reader.rest), (1280, b"more"))

    def test_phone(self) -> None:
        """
        A phone's part is read as it was written.
        """
        parameters = TunnelParameters(IPv6Address("fd00::2"), IPv6Address("fd00::1"), 1420, 50000)
        message = HandshakeReader().feed(writeHandshake(phoneHandshake(parameters)))
        assert message is not None
        self.assertEqual(parsePhoneHandshake(message), parameters)

    def test_malformed(self) -> None:
        """
        What is no handshake is refused as soon as that is clear.
        """
        long = b"CDTunnel" + struct.pack(">H", LONGEST + 1)
        for data in (b"CDX", long, b"CDTunnel\0\1x", b"CDTunnel\0\2[]"):
            self.assertRaises(MalformedHandshake, HandshakeReader().feed, data)

    def test_senseless(self) -> None:
        """
        So is one that says what cannot be.
        """
        good = phoneHandshake(
            TunnelParameters(IPv6Address("fd00::2"), IPv6Address("fd00::1"), 1280, 1)
        )
        client = good["clientParameters"]
        for change in (
            {"type": "x"},
            {"serverRSDPort": 0},
            {"serverRSDPort": "1"},
            {"serverAddress": "10.0.0.1"},
            {"serverAddress": "fd00::2"},
            {"clientParameters": None},
            {"clientParameters": {**client, "mtu": 1279}},
            {"clientParameters": {**client, "address": 7}},
        ):
            self.assertRaises(MalformedHandshake, parsePhoneHandshake, {**good, **change})
        self.assertRaises(MalformedHandshake, parseHostHandshake, good)
        self.assertRaises(MalformedHandshake, parseHostHandshake, {**hostHandshake(1), "mtu": "1"})

    def test_mtu(self) -> None:
        """
        A phone gives as much of what is asked for as may be.
        """
        asked = [parseHostHandshake(hostHandshake(mtu)) for mtu in (0, 1280, 16000, 65535)]
        self.assertEqual(asked, [1280, 1280, 16000, 16000])


class PacketTests(SynchronousTestCase):
    """
    Segments in packets.
    """

    @settings(deadline=None, max_examples=examples(30))
    @given(segments)
    def test_again(self, segment: Segment) -> None:
        """
        A segment is read as it was written.
        """
        self.assertEqual(readPacket(writePacket(HOST, PHONE, segment), HOST, PHONE), segment)

    def test_options(self) -> None:
        """
        A SYN says how large segments may be, and how windows are shifted.
        """
        segment = Segment(1, 2, 3, 0, SYN, 65535, b"", 1220, 5)
        packet = writePacket(HOST, PHONE, segment)
        self.assertEqual(len(packet), 68)
        self.assertEqual(readPacket(packet, HOST, PHONE), segment)

    def test_known(self) -> None:
        """
        The checksum is the one that RFC 1071 describes.
        """
        packet = writePacket(HOST, PHONE, Segment(1, 2, 3, 4, ACK, 5, b"abc"))
        pseudo = packet[8:40] + struct.pack(">II", 23, 6)
        data = pseudo + packet[40:] + b"\0"
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        self.assertEqual(total, 0xFFFF)

    @settings(deadline=None, max_examples=examples(30))
    @given(segments, st.data())
    def test_damaged(self, segment: Segment, data: Any) -> None:
        """
        A packet in which a bit is another is none, wherever that is but for what routers change.
        """
        packet = bytearray(writePacket(HOST, PHONE, segment))
        bit = data.draw(st.integers(0, len(packet) * 8 - 1))
        packet[bit // 8] ^= 1 << bit % 8
        if 0 < bit // 8 < 6 or bit // 8 == 7 or (bit // 8 == 0 and bit % 8 < 4):
            return
        self.assertRaises(MalformedPacket, readPacket, bytes(packet), HOST, PHONE)

    def test_kinds(self) -> None:
        """
        What is wrong with a packet has one word.
        """
        good = writePacket(HOST, PHONE, Segment(1, 2, 3, 4, SYN, 5, b"", 6, 7))
        bad = bytearray(good)
        bad[52] = 0x40
        udp = good[:6] + b"\x11" + good[7:]
        for packet, kind in (
            (b"\x45" + good[1:], "version"),
            (udp, "protocol"),
            (good[:5] + b"\0" + good[6:40], "short"),
            (bytes(bad), "offset"),
        ):
            error = self.assertRaises(MalformedPacket, readPacket, packet, HOST, PHONE)
            self.assertEqual(error.kind, kind)
        error = self.assertRaises(MalformedPacket, readPacket, good, PHONE, HOST)
        self.assertEqual(error.kind, "address")

    @settings(deadline=None, max_examples=examples(30))
    @given(st.lists(segments, max_size=5), st.data())
    def test_split(self, written: list[Segment], data: Any) -> None:
        """
        A stream is cut where packets end, whatever pieces it comes in.
        """
        packets = [writePacket(HOST, PHONE, one) for one in written]
        stream = b"".join(packets)
        cut = data.draw(st.integers(0, len(stream)))
        splitter = PacketSplitter()
        found = splitter.feed(stream[:cut]) + splitter.feed(stream[cut:])
        self.assertEqual(found, packets)


texts = st.text("aé☃\U0001f600", max_size=9)
objects = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 2**64 - 1).map(Unsigned)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=9)
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            texts,
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


class XPCTests(SynchronousTestCase):
    """
    Objects and messages.
    """

    @settings(deadline=None, max_examples=examples(40))
    @given(objects)
    def test_again(self, value: Any) -> None:
        """
        An object is read as it was written.
        """
        data = writeObject(value)
        self.assertEqual(len(data) % 4, 0)
        self.assertEqual(readObject(data), value)

    def test_bytes(self) -> None:
        """
        An object's bytes are those that phones and hosts exchange.
        """
        data = writeMessage(Message(ALWAYS, 1, {"a": True}))
        self.assertEqual(
            data.hex(),
            "920bb029" "01010000" "2000000000000000" "0100000000000000"
            "42371342" "05000000" "00f00000" "10000000" "01000000" "61000000" "00200000" "01000000",
        )  # fmt: skip

    def test_kinds(self) -> None:
        """
        Dates and unsigned numbers keep their kinds.
        """
        moment = datetime(2026, 11, 30, 12, 0, 0, 250, UTC)
        self.assertEqual(readObject(writeObject(moment)), moment)
        self.assertIsInstance(readObject(writeObject(Unsigned(7))), Unsigned)
        self.assertNotIsInstance(readObject(writeObject(7)), Unsigned)
        identity = UUID(int=7)
        self.assertEqual(readObject(writeObject(identity)), identity)

    def test_withoutCount(self) -> None:
        """
        Sizes of lists and dictionaries that leave out the number of objects, as go-ios has them,
        are understood; smaller ones are not.
        """
        value = {"a": [1, 2]}
        data = bytearray(writeObject(value))
        for start, less in ((0, 4), (16, 4)):
            (size,) = struct.unpack_from("<I", data, start + 4)
            struct.pack_into("<I", data, start + 4, size - less)
        self.assertEqual(readObject(bytes(data)), value)
        data[4] -= 1
        self.assertRaises(MalformedXPC, readObject, bytes(data))

    def test_unsayable(self) -> None:
        """
        What XPC has no way to say is an error.
        """
        deep: Any = []
        for _ in range(DEEPEST + 1):
            deep = [deep]
        for value in (2**63, Unsigned(2**64), -(2**64), "a\0b", object(), deep):
            self.assertRaises(MalformedXPC, writeObject, value)

    @settings(deadline=None, max_examples=examples(40))
    @given(st.binary(max_size=60), objects, st.integers(0, 200))
    def test_malformed(self, junk: bytes, value: Any, at: int) -> None:
        """
        Whatever bytes there are, they are an object or an error.
        """
        data = writeObject(value)
        for each in (junk, data[:at] + junk + data[at:], data + junk):
            try:
                readObject(each)
            except MalformedXPC:
                pass

    def test_bombs(self) -> None:
        """
        What announces more than it has, or lies too deep, is an error at once.
        """
        many = struct.pack("<III", 0xE000, 4, 2**32 - 1)
        deep = struct.pack("<III", 0xE000, 8, 1) * 5000
        for data in (many, deep, struct.pack("<II", 0x9000, 2**32 - 1)):
            self.assertRaises(MalformedXPC, readObject, data)

    def test_reader(self) -> None:
        """
        Messages are read whatever pieces they come in.
        """
        messages = [Message(ALWAYS), Message(ALWAYS | HAS_DATA, 3, {"a": b"b"})]
        stream = b"".join(map(writeMessage, messages))
        reader = MessageReader(1000)
        found = [one for byte in stream for one in reader.feed(bytes((byte,)))]
        self.assertEqual(found, messages)

    def test_badMessages(self) -> None:
        """
        One that is too long, or is none, is an error.
        """
        good = writeMessage(Message(ALWAYS, 0, {"a": 1}))
        for data in (b"x" * 24, good[:24] + b"x" * 36):
            self.assertRaises(MalformedXPC, MessageReader(1000).feed, data)
        self.assertRaises(MalformedXPC, MessageReader(10).feed, good)
