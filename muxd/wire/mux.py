# -*- test-case-name: tests.wire.test_mux -*-
"""
Mux packets and the pseudo-TCP segments inside them (protocol 2 and 3.1).

All numbers are big-endian.  A packet is a v1 header of 8 bytes or a v2 header
of 16 and a body; which one is negotiated, except that VERSION is always v1.

The C{struct.Struct}s are public because the muxer's path of a byte uses them directly.
Tests read packets with L{muxd.testing.packets}.
"""

from __future__ import annotations

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

LONE_PAYLOAD = LARGE_PAYLOAD // 3 * 2
"""
The same for a session that no other one has interrupted for a while: a third less to do for
a byte, and three still fit a phone's window.
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
