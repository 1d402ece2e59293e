# -*- test-case-name: tests.phone.examine.test_report -*-
"""
What was said during an examination, a line for each packet, for readers of its report.
"""

from __future__ import annotations

import plistlib
from collections import deque

from muxd.wire.messages import HEADER
from muxd.wire.mux import (
    TCP_HEADER,
    V1_HEADER,
    V2_HEADER,
    WINDOW_SHIFT,
    Flags,
    MuxProtocol,
)

KEPT = 12
"""Lines; what is wrong shows in the last ones."""

SHOWN = 16
"""Bytes of a payload."""

LONGEST = 160
"""Characters of a property list."""


def shown(data: bytes) -> str:
    """
    The beginning of some bytes, and how many there are.
    """
    if not data:
        return ""
    more = "..." if len(data) > SHOWN else ""
    return f" + {len(data)} bytes: {data[:SHOWN].hex()}{more}"


def packetLine(data: bytes, version: int) -> str:
    """
    A mux packet in words.

    @param version: Of the protocol, as agreed; 0 before.
    """
    if len(data) < V1_HEADER.size:
        return f"a transfer{shown(data)}"
    protocol, length = V1_HEADER.unpack_from(data)
    if length != len(data):
        return f"a transfer with a packet length of {length}{shown(data)}"
    start, counters = V1_HEADER.size, ""
    if version >= 2 and protocol != MuxProtocol.VERSION and len(data) >= V2_HEADER.size:
        _, _, magic, transmitted, received = V2_HEADER.unpack_from(data)
        start, counters = V2_HEADER.size, f" [tx {transmitted} rx {received} magic {magic:x}]"
    body = data[start:]
    if protocol == MuxProtocol.TCP and len(body) >= TCP_HEADER.size:
        return _segmentLine(body) + counters
    known = protocol in set(MuxProtocol)
    name = MuxProtocol(protocol).name if known else f"protocol {protocol}"
    return f"{name}{counters}{shown(body)}"


def _segmentLine(body: bytes) -> str:
    source, destination, seq, ack, _, flags, window, _, _ = TCP_HEADER.unpack_from(body)
    names = [flag.name for flag in Flags if flags & flag]
    return (
        f"{source}->{destination} {'|'.join(map(str, names)) or 'no flags'} seq {seq} ack {ack}"
        f" window {window << WINDOW_SHIFT}{shown(body[TCP_HEADER.size :])}"
    )


class Recording:
    """
    The last lines of what was said.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)

    def note(self, line: str) -> None:
        """
        Add a line.
        """
        self._lines.append(line)

    def packet(self, data: bytes, version: int, isHosts: bool) -> None:
        """
        Add a packet of the cable.
        """
        self.note(f"{'host ' if isHosts else 'phone'} > {packetLine(data, version)}")

    def message(self, data: bytes, isClients: bool) -> None:
        """
        Add a message between client and daemon.
        """
        self.note(f"{'client' if isClients else 'daemon'} > {messageLine(data)}")

    def begin(self) -> None:
        """
        Forget what was said.
        """
        self._lines.clear()

    def lines(self) -> tuple[str, ...]:
        """
        All that is kept.
        """
        return tuple(self._lines)


def messageLine(data: bytes) -> str:
    """
    A message of the client protocol, in one line.
    """
    if len(data) < HEADER.size:
        return f"a message{shown(data)}"
    length, version, kind, tag = HEADER.unpack_from(data)
    start = f"version {version} message {kind} tag {tag}"
    if length != len(data):
        start = f"length {length} {start}"
    body = data[HEADER.size :]
    try:
        value = plistlib.loads(body, fmt=plistlib.FMT_XML)
    except Exception:  # whatever a parser makes of bytes that are none
        return f"{start}{shown(body)}"
    text = repr(value)
    return f"{start} {text[:LONGEST]}{'...' if len(text) > LONGEST else ''}"
