# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
Pieces of a stream that have overtaken others.
"""

from __future__ import annotations

from muxd.wire.sequence import MODULUS, distance

MOST_PIECES = 256
"""Pieces that are held; one more is dropped, and will be sent again."""

_HALF = 1 << 31


def signed(start: int, end: int) -> int:
    """
    How far it is from one sequence number to another, forward or, below 0, back.
    """
    found = distance(start, end)
    return found if found < _HALF else found - MODULUS


class Reassembly:
    """
    Holds them until the gap before them is closed.

    @ivar size: How many bytes are held.
    """

    __slots__ = ("_most", "_pieces", "size")

    def __init__(self, most: int) -> None:
        """
        @param most: Bytes that may be held.
        """
        self._most = most
        self._pieces: dict[int, bytes] = {}
        self.size = 0

    def hold(self, sequence: int, data: bytes) -> bool:
        """
        Hold a piece.

        @return: Whether there was room for it.
        """
        known = self._pieces.get(sequence, b"")
        if len(data) <= len(known):
            return True
        if self.size + len(data) - len(known) > self._most:
            return False
        if not known and len(self._pieces) >= MOST_PIECES:
            return False
        self._pieces[sequence] = data
        self.size += len(data) - len(known)
        return True

    def take(self, expected: int) -> bytes:
        """
        What comes next of the stream; empty if it is not here.

        @param expected: The sequence number that comes next.
        """
        if not self._pieces:
            return b""
        found = b""
        for sequence in tuple(self._pieces):
            skipped = signed(sequence, expected)
            if skipped >= 0:
                data = self._pieces.pop(sequence)
                self.size -= len(data)
                if len(data) - skipped > len(found):
                    found = data[skipped:]
        return found

    def clear(self) -> None:
        """
        Forget all of it.
        """
        self._pieces.clear()
        self.size = 0
