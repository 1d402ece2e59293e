# -*- test-case-name: tests.wire.test_mux -*-
"""
Mux packets and the pseudo-TCP segments inside them (protocol 2 and 3.1).

All numbers are big-endian.  A packet is a v1 header of 8 bytes or a v2 header
of 16 and a body; which one is negotiated, except that VERSION is always v1.

The C{struct.Struct}s are public because the muxer's path of a byte uses them
directly; everything else reads better with L{Packet} and L{Segment}.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from muxd.wire.text import LONGEST_TEXT, printable

V1_HEADER = Struct(">II")
"""Protocol, length."""

V2_HEADER = Struct(">IIIHH")
"""Protocol, length, magic, the sender's packet counter, the last one it saw."""

TCP_HEADER = Struct(">HHIIBBHHH")
"""Source and destination port, seq, ack, offset, flags, window, 0, 0."""

V1_TCP = Struct(">IIHHIIBBHHH")
"""A v1 header and a TCP header in one go."""

V2_TCP = Struct(">IIIHHHHIIBBHHH")
"""A v2 header and a TCP header in one go."""

VERSION_BODY = Struct(">III")
"""Major, minor, padding."""

MAGIC = 0xFEEDFACE
"""What a host writes.  Phones write other things: never check it."""

DATA_OFFSET = 0x50
"""Five words of TCP header: there are no options."""

WINDOW_SHIFT = 8
"""The window field is bytes >> 8, from the first packet on (protocol 3.1)."""

USB_MTU = 49152
"""The largest packet a host may send, header included (protocol 1.1)."""

DEVICE_MRU = 65536
"""The largest packet that a host puts together (protocol 1.1)."""

MAX_PAYLOAD = USB_MTU - V2_HEADER.size - TCP_HEADER.size
"""49116: the largest payload of a segment, the same under v1 (protocol 3.2)."""

LARGE_PAYLOAD = 49088
"""
What we send at the most, on a fast bus: as much as is allowed, but never a packet
made of whole USB packets (of 64, 512 or 1024 bytes), which would need an empty
transfer behind it.
"""

BULK_PAYLOAD = LARGE_PAYLOAD // 2
"""
The same on other buses, where whatever comes later waits for the packets that are
under way: half the size is half the wait, and more of them fit a phone's window.
docs/performance.md has the measurements.
"""

SETUP_BODY = b"\x07"


class MuxProtocol(IntEnum):
    """
    The first word of a packet (protocol 2.1).
    """

    VERSION = 0
    CONTROL = 1
    SETUP = 2
    TCP = 6


class ControlKind(IntEnum):
    """
    The first byte of a CONTROL body (protocol 2.4).
    """

    ERROR = 3
    WARNING = 5
    INFORMATION = 7


class Flags(IntFlag):
    """
    TCP flags.  Only SYN, ACK and RST are ever sent (protocol 3.4).
    """

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10


class MalformedPacket(ValueError):
    """
    Bytes that are no packet or segment; the text says what was expected.
    """


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One pseudo-TCP segment.

    @ivar window: In bytes, a multiple of 256.
    """

    sourcePort: int
    destinationPort: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """
        The body of a TCP packet.
        """
        header = TCP_HEADER.pack(
            self.sourcePort,
            self.destinationPort,
            self.seq,
            self.ack,
            DATA_OFFSET,
            self.flags,
            self.window >> WINDOW_SHIFT,
            0,
            0,
        )
        return header + self.payload

    @classmethod
    def decode(cls, body: bytes | memoryview) -> Segment:
        """
        Parse the body of a TCP packet.

        @raise MalformedPacket: It is shorter than a header, or its data offset
            is not 5 words.
        """
        if len(body) < TCP_HEADER.size:
            raise MalformedPacket(f"TCP header: expected {TCP_HEADER.size} bytes, got {len(body)}")
        source, destination, seq, ack, offset, flags, window, _, _ = TCP_HEADER.unpack_from(body)
        if offset >> 4 != DATA_OFFSET >> 4:
            raise MalformedPacket(f"TCP data offset: expected 5 words, got {offset >> 4}")
        payload = bytes(body[TCP_HEADER.size :])
        return cls(source, destination, seq, ack, flags, window << WINDOW_SHIFT, payload)


@dataclass(frozen=True, slots=True)
class Packet:
    """
    One mux packet.

    @ivar transmitted: The sender's packet counter; None under v1.
    @ivar received: The last counter it saw; None under v1.
    @ivar magic: As received; None under v1.
    """

    protocol: int
    body: bytes
    transmitted: int | None = None
    received: int | None = None
    magic: int | None = None

    @classmethod
    def decode(cls, data: bytes | memoryview, version: int) -> Packet:
        """
        Parse one whole packet.

        @param version: The negotiated version; a VERSION packet is read as v1
            whatever it is (protocol 2.2).
        @raise MalformedPacket: It is shorter than its header, or its length
            field does not match.
        """
        if len(data) < V1_HEADER.size:
            raise MalformedPacket(f"mux header: expected {V1_HEADER.size} bytes, got {len(data)}")
        protocol, length = V1_HEADER.unpack_from(data)
        if length != len(data):
            raise MalformedPacket(f"mux packet of {len(data)} bytes says it has {length}")
        if version < 2 or protocol == MuxProtocol.VERSION:
            return cls(protocol, bytes(data[V1_HEADER.size :]))
        if len(data) < V2_HEADER.size:
            raise MalformedPacket(f"mux header: expected {V2_HEADER.size} bytes, got {len(data)}")
        protocol, length, magic, transmitted, received = V2_HEADER.unpack_from(data)
        return cls(protocol, bytes(data[V2_HEADER.size :]), transmitted, received, magic)


def encodeVersion(major: int, minor: int = 0) -> bytes:
    """
    A whole VERSION packet, which is always v1 (protocol 2.2).
    """
    length = V1_HEADER.size + VERSION_BODY.size
    return V1_HEADER.pack(MuxProtocol.VERSION, length) + VERSION_BODY.pack(major, minor, 0)


def encodePacketV1(protocol: int, body: bytes) -> bytes:
    """
    A whole packet under v1 framing.
    """
    return V1_HEADER.pack(protocol, V1_HEADER.size + len(body)) + body


def encodePacketV2(
    protocol: int, body: bytes, transmitted: int, received: int, magic: int = MAGIC
) -> bytes:
    """
    A whole packet under v2 framing.

    @param transmitted: Our counter of this packet, 16 bits.
    @param received: The last counter we saw from the other side, 16 bits.
    """
    length = V2_HEADER.size + len(body)
    return V2_HEADER.pack(protocol, length, magic, transmitted, received) + body


def phoneText(payload: bytes | bytearray | memoryview) -> str:
    """
    What the phone says in a RST or CONTROL: text without a terminator, as it may be
    shown.
    """
    text = bytes(payload[: 4 * LONGEST_TEXT]).decode("utf-8", "replace")
    return printable(text.rstrip("\r\n\0"))
