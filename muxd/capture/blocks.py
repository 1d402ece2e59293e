# -*- test-case-name: tests.capture.test_blocks -*-
"""
The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as far as captures need them.

A file is one section: its header, then blocks of all kinds.  An interface is described
before its first packet, and a reader numbers interfaces in the order of their
descriptions.  Numbers have this machine's order of bytes, which the header says: dumpcap,
which Wireshark reads pipes with, takes no other.
"""

from __future__ import annotations

from struct import Struct

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
"""The types of blocks (draft, section 10.1)."""

BYTE_ORDER = 0x1A2B3C4D
LINKTYPE_IPV6 = 229
"""Packets begin with their IPv6 header (the registry of link types)."""

END_OF_OPTIONS = 0
COMMENT = 1

OPERATING_SYSTEM = 3
APPLICATION = 4
"""Of a section header."""

INTERFACE_NAME = 2
INTERFACE_DESCRIPTION_TEXT = 3
INTERFACE_IPV6 = 5
"""Of an interface description."""

PACKET_FLAGS = 2
PACKET_DROPS = 4
INBOUND = 1
OUTBOUND = 2
"""Of a packet: options, and the directions that its flags tell."""

STATISTICS_START = 2
STATISTICS_END = 3
STATISTICS_RECEIVED = 4
STATISTICS_DROPPED = 5
"""Of interface statistics."""

NAME_OF_IPV6 = 2

LONGEST_TEXT = 1000
"""How many bytes of a text are written: readers have limits of their own."""

_HEAD = Struct("=II")
_LENGTH = Struct("=I")
_OPTION = Struct("=HH")
_SECTION = Struct("=IHHq")
_INTERFACE = Struct("=HHI")
_PACKET = Struct("=IIIII")
_STATISTICS = Struct("=III")
_TIME = Struct("=II")
_DROPS = Struct("=Q")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")

Option = tuple[int, bytes]


def block(kind: int, body: bytes, options: list[Option] | None = None) -> bytes:
    """
    A whole block.

    @param body: What it has before its options, padded to words.
    """
    if options:
        body += b"".join(map(option, options)) + _OPTION.pack(END_OF_OPTIONS, 0)
    length = len(body) + 12
    return _HEAD.pack(kind, length) + body + _LENGTH.pack(length)


def option(code: tuple[int, bytes]) -> bytes:
    """
    One option: its number, and its value as it is written.
    """
    number, value = code
    return _OPTION.pack(number, len(value)) + value + _PADDING[len(value) & 3]


def text(value: str) -> bytes:
    """
    A text as the value of an option, cut between characters where it is too long.
    """
    return value.encode("utf-8", "replace")[:LONGEST_TEXT].decode("utf-8", "ignore").encode()


def timestamp(seconds: float) -> bytes:
    """
    A time, in microseconds since the epoch, as two words.
    """
    micros = max(round(seconds * 1e6), 0)
    return _TIME.pack(micros >> 32 & 0xFFFFFFFF, micros & 0xFFFFFFFF)


def sectionHeader(application: str, system: str, comment: str) -> bytes:
    """
    What a file begins with.

    @param application: What writes it.
    @param system: What that runs on.
    """
    return block(
        SECTION_HEADER,
        _SECTION.pack(BYTE_ORDER, 1, 0, -1),
        [
            (COMMENT, text(comment)),
            (OPERATING_SYSTEM, text(system)),
            (APPLICATION, text(application)),
        ],
    )


def interfaceDescription(name: str, description: str, address: bytes) -> bytes:
    """
    An interface of IPv6 packets of any size.

    @param address: Its own, 16 bytes, in a network of 64 bits.
    """
    return block(
        INTERFACE_DESCRIPTION,
        _INTERFACE.pack(LINKTYPE_IPV6, 0, 0),
        [
            (INTERFACE_NAME, text(name)),
            (INTERFACE_DESCRIPTION_TEXT, text(description)),
            (INTERFACE_IPV6, address + b"\x40"),
        ],
    )


def nameResolution(names: dict[bytes, str]) -> bytes:
    """
    What addresses are called.

    @param names: By address, of 16 bytes.
    """
    body = b"".join(
        option((NAME_OF_IPV6, address + text(name) + b"\0")) for address, name in names.items()
    )
    return block(NAME_RESOLUTION, body + _OPTION.pack(END_OF_OPTIONS, 0))


def enhancedPacket(
    interface: int,
    seconds: float,
    parts: tuple[bytes, ...],
    *,
    isInbound: bool,
    comment: str = "",
    dropped: int = 0,
) -> bytes:
    """
    A packet.

    @param interface: The number of its interface, from 0.
    @param seconds: When it was seen, since the epoch.
    @param parts: Its bytes, put together.
    @param isInbound: Whether it has come from the phone.
    @param dropped: How many packets of the interface are missing before it.
    """
    size = sum(map(len, parts))
    options = b"" if not comment else option((COMMENT, text(comment)))
    options += _OPTION.pack(PACKET_FLAGS, 4) + _LENGTH.pack(INBOUND if isInbound else OUTBOUND)
    if dropped:
        options += option((PACKET_DROPS, _DROPS.pack(dropped)))
    options += _OPTION.pack(END_OF_OPTIONS, 0)
    padding = _PADDING[size & 3]
    length = 12 + _PACKET.size + size + len(padding) + len(options)
    high, low = _TIME.unpack(timestamp(seconds))
    return b"".join(
        (
            _HEAD.pack(ENHANCED_PACKET, length),
            _PACKET.pack(interface, high, low, size, size),
            *parts,
            padding,
            options,
            _LENGTH.pack(length),
        )
    )


def interfaceStatistics(
    interface: int, started: float, now: float, received: int, dropped: int
) -> bytes:
    """
    What has become of an interface's packets until now.

    @param received: How many there were, those included that were dropped.
    """
    high, low = _TIME.unpack(timestamp(now))
    return block(
        INTERFACE_STATISTICS,
        _STATISTICS.pack(interface, high, low),
        [
            (STATISTICS_START, timestamp(started)),
            (STATISTICS_END, timestamp(now)),
            (STATISTICS_RECEIVED, _DROPS.pack(received)),
            (STATISTICS_DROPPED, _DROPS.pack(dropped)),
        ],
    )
