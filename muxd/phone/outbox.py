# -*- test-case-name: tests.phone.test_session -*-
"""
Bytes written and not sent.
"""

from __future__ import annotations

from collections import deque


class Outbox:
    """
    A queue of bytes that is written in any pieces and taken in other ones.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """
        Add to the end.
        """
        if data:
            self._chunks.append(data)
            self._size += len(data)

    def take(self, count: int) -> bytes:
        """
        Take from the front, at most so many.
        """
        parts: list[bytes] = []
        count = min(count, self._size)
        self._size -= count
        while count:
            head = self._chunks[0]
            part = head[self._offset : self._offset + count]
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
            if self._offset == len(head):
                self._chunks.popleft()
                self._offset = 0
        return b"".join(parts)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._chunks.clear()
        self._offset = self._size = 0
