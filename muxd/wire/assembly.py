# -*- test-case-name: tests.wire.test_assembly -*-
"""
Bulk IN transfers put together to mux packets (protocol 1.8).

What a phone sends is read as a stream: eight bytes of header, then as many
bytes as the header says.  Packets may share a transfer or span several.

A stream that has lost its place would stay lost forever, and this is where the
bus helps: a phone ends a packet with a short transfer, so that a packet begins
at the next byte after one.  Hence two rules.  A short transfer inside a packet
drops what there is of it.  A length that cannot be one drops everything up to
the next short transfer, or up to a chunk that is exactly one packet: a phone
that ends its garbage on a full transfer is not punished twice.

Zero-length chunks carry nothing.  They are no end of a packet either: after a
transfer of exactly the requested size, the phone's zero-length one arrives on
its own, in the middle of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from muxd.wire.mux import DEVICE_MRU, V1_HEADER

_LENGTH = Struct(">I")
_unpackLength = _LENGTH.unpack_from
_LENGTH_AT = 4

SHORTEST = V1_HEADER.size
"""The smallest length of a packet under either version (protocol 2.1)."""


def _ignoreDrop(count: int, reason: str) -> None:
    """
    The default: ignore drops.
    """


class PacketAssembler:
    """
    Puts packets together.  Never holds more than one packet of
    L{DEVICE_MRU} bytes.

    @ivar isClean: Whether a packet begins with the next chunk, as far as can be told.
    @ivar dropped: Bytes that became no packet.
    @ivar drops: How many times some were dropped.
    """

    __slots__ = ("_held", "_onDropped", "dropped", "drops", "isClean")

    def __init__(
        self,
        onDropped: Callable[[int, str], None] = _ignoreDrop,
    ) -> None:
        self.dropped = 0
        self.drops = 0
        self._onDropped = onDropped
        self._held = bytearray()
        # Neither in the middle of a packet nor looking for the next one.
        self.isClean = True

    def __len__(self) -> int:
        """
        How many bytes are held.
        """
        return len(self._held)

    def feed(self, chunk: memoryview, transferSize: int, partial: bool = False) -> list[memoryview]:
        """
        Take what one read brought.

        @param chunk: The bytes.  Packets that lie within it are returned as
            parts of it, not copied; of what is returned later, nothing is.
        @param transferSize: How many bytes were asked for.
        @param partial: A chunk that is shorter than that is B{not} (or not for
            sure) the end of a transfer, for instance because a time-out cut it.
        @return: The packets that are complete now, in order.
        """
        if self.isClean and self._isWholePacket(chunk):
            return [chunk]
        return self._feedStream(chunk, not partial and len(chunk) < transferSize)

    def _feedStream(self, chunk: memoryview, ended: bool) -> list[memoryview]:
        """
        All but the common case of one whole packet.

        @param ended: A transfer ended behind this chunk.
        """
        if not len(chunk):
            # An end of a transfer is found only by looking for it.
            self.isClean = not self._held
            return []
        placeIsLost = not self.isClean and not self._held
        if placeIsLost and not self._isWholePacket(chunk):
            self.isClean = ended
            self._drop(len(chunk), "no packet begins here")
            return []
        packets: list[memoryview] = []
        rest = self._completeHeld(chunk, packets)
        while rest is not None and len(rest) >= V1_HEADER.size:
            length = _unpackLength(rest, _LENGTH_AT)[0]
            if not SHORTEST <= length <= DEVICE_MRU:
                self._loseThePlace(length, len(rest))
                rest = None
            elif length > len(rest):
                break
            else:
                packets.append(rest[:length])
                rest = rest[length:]
        if rest is None:
            self.isClean = ended
            return packets
        self._held += rest
        if ended and self._held:
            self._drop(len(self._held), "the transfer ended inside a packet")
            self._held.clear()
        self.isClean = not self._held
        return packets

    def _completeHeld(self, chunk: memoryview, packets: list[memoryview]) -> memoryview | None:
        """
        Add to the packet that is held as much of the chunk as belongs to it.

        @return: What is left of the chunk; None if the place was lost.
        """
        held = self._held
        if not held:
            return chunk
        # A few bytes of a header were held: it has to be whole to say more.
        missing = max(0, V1_HEADER.size - len(held))
        held += chunk[:missing]
        rest = chunk[missing:]
        if len(held) < V1_HEADER.size:
            return rest
        length = _unpackLength(held, _LENGTH_AT)[0]
        if not SHORTEST <= length <= DEVICE_MRU:
            self._held = bytearray()
            self._loseThePlace(length, len(held) + len(rest))
            return None
        missing = length - len(held)
        held += rest[:missing]
        if len(held) == length:
            packets.append(memoryview(held))
            self._held = bytearray()
        return rest[missing:]

    def _isWholePacket(self, chunk: memoryview) -> bool:
        """
        Whether the chunk can be nothing but one packet.
        """
        size = len(chunk)
        return SHORTEST <= size <= DEVICE_MRU and _unpackLength(chunk, _LENGTH_AT)[0] == size

    def _loseThePlace(self, length: int, count: int) -> None:
        """
        No packet can have this length.
        """
        self._drop(count, f"expected a length of {SHORTEST} to {DEVICE_MRU}, got {length}")

    def _drop(self, count: int, reason: str) -> None:
        self.dropped += count
        self.drops += 1
        self._onDropped(count, reason)
