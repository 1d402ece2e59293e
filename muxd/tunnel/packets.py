# -*- test-case-name: tests.tunnel.test_codecs -*-
"""
TCP segments in IPv6 packets, as bytes and as values (RFC 8200, RFC 9293).

There are two ends and a stream between them that loses nothing, so packets are neither
fragmented nor routed, and what is no TCP is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

IPV6 = Struct(">IHBB16s16s")
TCP = Struct(">HHIIHHHH")
HEADERS = IPV6.size + TCP.size
"""What every segment takes of a packet, without options."""

TCP_PROTOCOL = 6
_VERSION = 6 << 28
_HOP_LIMIT = 64
_LENGTH_AT = 4

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_END, _NOTHING, _MSS, _SCALE = 0, 1, 2, 3
LARGEST_SCALE = 14


class MalformedPacket(ValueError):
    """
    A packet is no TCP segment for us.

    @ivar kind: One word for what is wrong, by which they are counted.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Segment:
    """
    A TCP segment.

    @ivar mss: The largest payload that its sender takes, if it says so.
    @ivar scale: By how many bits its sender's windows are shifted, if it says so.
    """

    source: int
    destination: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    payload: bytes = b""
    mss: int | None = None
    scale: int | None = None

    @property
    def length(self) -> int:
        """
        How many sequence numbers it takes.
        """
        return len(self.payload) + (self.flags & 1) + (self.flags >> 1 & 1)


def _sum(data: bytes | memoryview) -> int:
    """
    The sum of all words of two bytes.  That is the number modulo 65535, since 65536 is 1 then.
    """
    number = int.from_bytes(data)
    return (number << 8 if len(data) & 1 else number) % 0xFFFF


@lru_cache(maxsize=64)
def _addressSum(source: bytes, destination: bytes) -> int:
    return _sum(source + destination) + TCP_PROTOCOL


def _options(segment: Segment) -> bytes:
    found = b""
    if segment.mss is not None:
        found += bytes((_MSS, 4)) + segment.mss.to_bytes(2)
    if segment.scale is not None:
        found += bytes((_NOTHING, _SCALE, 3, segment.scale))
    return found


def writePacket(source: bytes, destination: bytes, segment: Segment) -> bytes:
    """
    A segment as a packet.
    """
    options = _options(segment) if segment.flags & SYN else b""
    size = TCP.size + len(options)
    payload = segment.payload
    fields = (
        segment.source,
        segment.destination,
        segment.sequence,
        segment.acknowledgement,
        size << 10 | segment.flags,
        segment.window,
    )
    length = size + len(payload)
    total = _addressSum(source, destination) + length + _sum(payload)
    total += _sum(TCP.pack(*fields, 0, 0) + options)
    # A sum of 0 is not possible: the protocol is a part of it.  So 0 here is 0xFFFF.
    rest = total % 0xFFFF
    checksum = 0xFFFF - rest if rest else 0
    return b"".join(
        (
            IPV6.pack(_VERSION, length, TCP_PROTOCOL, _HOP_LIMIT, source, destination),
            TCP.pack(*fields, checksum, 0),
            options,
            payload,
        )
    )


def readPacket(packet: bytes, source: bytes, destination: bytes) -> Segment:
    """
    The segment that a packet carries.

    @param packet: A whole one, see L{PacketSplitter}.
    @param source: The address that it must be from.
    @param destination: The address that it must be for.
    @raise MalformedPacket: There is none in it, or it is for others.
    """
    if packet[0] >> 4 != 6:
        raise MalformedPacket("version", f"expected IPv6, got version {packet[0] >> 4}")
    _, length, protocol, _, itsSource, itsDestination = IPV6.unpack_from(packet)
    if protocol != TCP_PROTOCOL:
        raise MalformedPacket("protocol", f"expected TCP, got protocol {protocol}")
    if itsSource != source or itsDestination != destination:
        raise MalformedPacket("address", "it is not between the two ends of the tunnel")
    if length < TCP.size:
        raise MalformedPacket("short", f"expected at least {TCP.size} bytes, got {length}")
    fields = TCP.unpack_from(packet, IPV6.size)
    sourcePort, destinationPort, sequence, acknowledgement, flags, window, _, _ = fields
    size = flags >> 12 << 2
    if not TCP.size <= size <= length:
        raise MalformedPacket("offset", f"data begins at {size} of {length} bytes")
    view = memoryview(packet)[IPV6.size :]
    if (_addressSum(source, destination) + length + _sum(view)) % 0xFFFF:
        raise MalformedPacket("checksum", "its checksum is wrong")
    mss = scale = None
    if flags & SYN and size > TCP.size:
        mss, scale = _readOptions(bytes(view[TCP.size : size]))
    return Segment(
        sourcePort,
        destinationPort,
        sequence,
        acknowledgement,
        flags & 0x3F,
        window,
        packet[IPV6.size + size :],
        mss,
        scale,
    )


def _readOptions(data: bytes) -> tuple[int | None, int | None]:
    mss = scale = None
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _NOTHING:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or at + length > len(data):
            raise MalformedPacket("options", f"an option of {length} bytes")
        value = data[at + 2 : at + length]
        if data[at] == _MSS and length == 4:
            mss = int.from_bytes(value)
        elif data[at] == _SCALE and length == 3:
            scale = min(value[0], LARGEST_SCALE)
        at += length
    return mss, scale


class PacketSplitter:
    """
    Cuts a stream into packets, by their lengths.  It never holds more than one packet.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take bytes.

        @return: The packets that are whole now.
        """
        held = self._held
        held += data
        found: list[bytes] = []
        at, end = 0, len(held)
        with memoryview(held) as view:
            while end - at >= IPV6.size:
                size = IPV6.size + (held[at + _LENGTH_AT] << 8 | held[at + _LENGTH_AT + 1])
                if end - at < size:
                    break
                found.append(bytes(view[at : at + size]))
                at += size
        del held[:at]
        return found
