# -*- test-case-name: tests.phone.test_session -*-
"""
What the host has sent, from its segment to the service.
"""

from __future__ import annotations

from collections import deque

from muxd.wire.mux import WINDOW_SHIFT
from muxd.wire.sequence import advance, distance

LARGEST_WINDOW = 0xFFFF << WINDOW_SHIFT


class Inflow:
    """
    The numbers of the receiving side, and the bytes between them.

    @ivar expected: The sequence number of the next byte from the host.
    @ivar taken: Of the next byte that the service gets.
    """

    def __init__(self) -> None:
        self.expected = 0
        self.taken = 0
        self._told = 0
        self._edge = 0
        self._chunks: deque[bytes] = deque()

    def __len__(self) -> int:
        return distance(self.taken, self.expected)

    @property
    def room(self) -> int:
        """
        How many bytes more the host was allowed.
        """
        return distance(self.expected, self._edge)

    @property
    def owed(self) -> bool:
        """
        Whether the service has had bytes that the host has not been told of.
        """
        return self._told != self.taken

    def begin(self, seq: int) -> None:
        """
        The host's SYN, which counts as a byte.
        """
        self.expected = self.taken = self._told = self._edge = advance(seq, 1)

    def append(self, payload: bytes) -> None:
        """
        Bytes in sequence, within the room.
        """
        self.expected = advance(self.expected, len(payload))
        self._chunks.append(payload)

    def take(self) -> bytes:
        """
        The next bytes for the service.
        """
        data = self._chunks.popleft()
        self.taken = advance(self.taken, len(data))
        return data

    def offer(self, window: int) -> tuple[int, int]:
        """
        Tell the host of a window.  What was offered once is not taken back by a
        smaller one.

        @return: The acknowledgement, and the window as it can be told.
        """
        self._told = self.taken
        window = min(window, LARGEST_WINDOW) & ~0xFF
        if window > distance(self.taken, self._edge):
            self._edge = advance(self.taken, window)
        return self.taken, window

    def clear(self) -> None:
        """
        Forget what the service will not get; it stays unacknowledged.
        """
        self._chunks.clear()

    def __bool__(self) -> bool:
        return bool(self._chunks)
