# -*- test-case-name: tests.device.test_chunks -*-
"""
Bytes on their way out, cut into segments without copying them.
"""

from __future__ import annotations

from collections import deque

from muxd.interfaces import Buffer

SMALL = 4096
"""
Chunks are put together, where they wait, up to this size: one of two bytes needs
forty times as much memory, and the sender chooses its size.  Larger ones are
not copied.
"""


def joined(last: Buffer, chunk: Buffer) -> bytearray:
    """
    The last chunk of a queue with another one behind it: the very same, if it has
    been put together here already.
    """
    if not isinstance(last, bytearray):
        last = bytearray(last)
    last += chunk
    return last


class ChunkQueue:
    """
    The chunks that a protocol has written, taken out in other sizes.

    Most sessions are idle most of the time, so an empty queue owns nothing.

    @ivar size: How many bytes are queued.
    """

    __slots__ = ("_chunks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._chunks: deque[Buffer] | None = None

    def append(self, chunk: bytes) -> None:
        """
        Add bytes at the end; not an empty chunk.
        """
        chunks = self._chunks
        size = len(chunk)
        if chunks is None:
            self._chunks = chunks = deque()
            chunks.append(chunk)
        elif size < SMALL and size + len(chunks[-1]) <= SMALL:
            chunks[-1] = joined(chunks[-1], chunk)
        else:
            chunks.append(chunk)
        self.size += size

    def take(self, limit: int) -> list[Buffer]:
        """
        Remove up to C{limit} bytes from the front: the buffers that together
        hold them.  The queue must not be empty.
        """
        chunks = self._chunks
        assert chunks is not None
        taken: list[Buffer] = []
        while chunks and limit > 0:
            chunk = chunks[0]
            length = len(chunk)
            if length <= limit:
                chunks.popleft()
                taken.append(chunk)
                self.size -= length
                limit -= length
            else:
                view = memoryview(chunk)
                taken.append(view[:limit])
                chunks[0] = view[limit:]
                self.size -= limit
                limit = 0
        if not chunks:
            self._chunks = None
        return taken

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._chunks = None
        self.size = 0
