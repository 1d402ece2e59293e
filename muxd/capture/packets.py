# -*- test-case-name: tests.capture.test_packets -*-
"""
Segments of the mux protocol as TCP over IPv6, between addresses that are made up.

A segment's header is TCP's already, but for two things (protocol 3.1).  Its window is
always in units of 256 bytes, in a SYN as well, where TCP agrees on the unit first: so the
SYNs here get the option that does it.  And it has no checksum; nor has it one here, since
to count a stream's bytes together would cost more than all the rest of a capture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from struct import Struct

from muxd.wire.mux import DATA_OFFSET, TCP_HEADER, WINDOW_SHIFT, Flags

VERSION = 6 << 28
NEXT_IS_TCP = 6
HOP_LIMIT = 64
MOST_WINDOW = 0xFFFF

SYN_OPTIONS = bytes((2, 4, 0xFF, 0xC3, 3, 3, WINDOW_SHIFT, 1))
"""
The largest segment that IPv6 has room for (RFC 9293, 3.7.1), the unit of windows (RFC 7323,
2.2), and an option that does nothing, to fill a word.
"""

LARGEST = 0xFFFF - len(SYN_OPTIONS)
"""The most bytes of a segment: no packet of a phone has more (protocol 1.1)."""

SYN = int(Flags.SYN)
RST = int(Flags.RST)

_IPV6 = Struct(">IHBB16s16s")
_PORTS = Struct(">HH")

_FLAGS_AT = 13
_WINDOW_AT = 14


@dataclass(frozen=True)
class Addresses:
    """
    The two addresses of a phone's interface, in a network that is its own
    alone (RFC 4193): 40 bits of a hash of its UDID are that network's number.

    They are the same in each capture, on each machine.

    @ivar udid: The phone's.
    """

    udid: str

    @cached_property
    def network(self) -> bytes:
        """
        The upper 64 bits.
        """
        digest = sha256(self.udid.encode("utf-8", "replace")).digest()
        return b"\xfd" + digest[:5] + b"\0\0"

    @cached_property
    def host(self) -> bytes:
        """
        This machine's.
        """
        return self.network + (1).to_bytes(8, "big")

    @cached_property
    def phone(self) -> bytes:
        """
        The phone's.
        """
        return self.network + (2).to_bytes(8, "big")


def portsOf(segment: bytes) -> tuple[int, int]:
    """
    Source and destination port of a segment.
    """
    source, destination = _PORTS.unpack_from(segment)
    return source, destination


def flagsOf(segment: bytes) -> int:
    """
    The flags of a segment.
    """
    return segment[_FLAGS_AT]


def packetParts(addresses: Addresses, segment: bytes, *, isInbound: bool) -> tuple[bytes, ...]:
    """
    The packet that carries a segment, in parts that are to be put together.

    @param segment: Header and payload, well-formed.
    @param isInbound: Whether it has come from the phone.
    """
    source, destination = addresses.host, addresses.phone
    if isInbound:
        source, destination = destination, source
    parts: tuple[bytes, ...] = (segment,)
    size = len(segment)
    if segment[_FLAGS_AT] & SYN:
        parts = withOptions(segment)
        size += len(SYN_OPTIONS)
    header = _IPV6.pack(VERSION, size & 0xFFFF, NEXT_IS_TCP, HOP_LIMIT, source, destination)
    return (header, *parts)


def withOptions(segment: bytes) -> tuple[bytes, bytes, bytes]:
    """
    A SYN as TCP has it: with the unit of the windows to come, and its own in bytes.
    """
    header = bytearray(segment[: TCP_HEADER.size])
    header[_FLAGS_AT - 1] = DATA_OFFSET + (len(SYN_OPTIONS) // 4 << 4)
    window = int.from_bytes(header[_WINDOW_AT : _WINDOW_AT + 2], "big") << WINDOW_SHIFT
    header[_WINDOW_AT : _WINDOW_AT + 2] = min(window, MOST_WINDOW).to_bytes(2, "big")
    return bytes(header), SYN_OPTIONS, segment[TCP_HEADER.size :]
