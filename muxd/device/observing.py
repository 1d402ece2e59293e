# -*- test-case-name: tests.device.test_observing -*-
"""
What an observer of a phone's segments is shown.

A muxer has none, or one.  Having none costs each segment one comparison; an observer is
called while streams wait for it, so it copies what it wants and leaves the rest for later.
"""

from __future__ import annotations

from typing import Protocol

from muxd.net.packetmemory import PacketMemory


class SegmentObserver(Protocol):
    """
    An observer of all segments, in the order that they are handled in, strays included.

    It must not raise, and not read headers by C{memory.readSegment}: what that tells is
    still needed.
    """

    def sessionOpening(self, sourcePort: int, port: int) -> None:
        """
        A session is about to be asked for.

        @param sourcePort: Our port.
        @param port: The phone's.
        """

    def segmentReceived(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        The phone has sent a segment.

        @param memory: The link's, good for this call only.
        @param start: Where the TCP header begins there, which is well-formed.
        @param size: How many bytes that and the payload have.
        """

    def segmentSent(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        A segment is about to be handed to the link, which is described in the same way.
        """
