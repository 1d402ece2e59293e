# -*- test-case-name: tests.capture.test_sinks -*-
"""
Where captures go: a file, or a stream whose reader may be slow.

Each holds a bounded number of bytes that have nowhere to go yet, and tells how many more it
has room for.  A file is written in a thread, as a disk may take its time; a stream says
itself when it takes no more, and when it does again.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

MODE = 0o600
"""Payloads are private: a file of them is its owner's alone."""

AT_ONCE = 256
"""Blocks that are written by one call: the kernel takes up to 1024."""


class FileSink:
    """
    A file.

    After an error it takes what comes and forgets it: a capture is no reason to stop.

    @ivar path: Its name.
    @ivar error: Why nothing is written any more; None while something is.
    """

    def __init__(
        self,
        path: str,
        limit: int,
        inThread: Callable[..., Deferred[Any]],
        failed: Callable[[OSError], object],
    ) -> None:
        """
        @param limit: How many bytes may wait for the disk.
        @param inThread: Calls its arguments where a disk may be waited for, one after the
            other.
        @param failed: Told why the file cannot be written any more, once.
        """
        self.path = path
        self.error: OSError | None = None
        self._limit = limit
        self._inThread = inThread
        self._failed = failed
        self._descriptor = -1
        self._size = 0
        self._blocks: list[bytes] = []
        self._waiting = 0
        self._isWriting = False
        self._ending: Deferred[None] | None = None

    def open(self) -> None:
        """
        Make the file, or take the one that is there, which keeps its content until the
        first block is written.

        @raise OSError: That cannot be, or it is no regular file.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.path, flags, MODE)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("expected a regular file")
            os.fchmod(descriptor, MODE)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def room(self) -> int:
        """
        See L{PacketSink}.
        """
        return self._limit - self._waiting

    def write(self, data: bytes) -> None:
        """
        See L{PacketSink}.
        """
        if self.error is not None or self._ending is not None:
            return
        self._blocks.append(data)
        self._waiting += len(data)
        if not self._isWriting:
            self._next()

    def end(self) -> Deferred[None]:
        """
        See L{PacketSink}.
        """
        if self._ending is None:
            self._ending = Deferred()
            if not self._isWriting:
                self._next()
        return self._ending

    def _next(self) -> None:
        """
        Have what waits written, or the file closed if that is all.
        """
        blocks, self._blocks = self._blocks, []
        if blocks:
            self._isWriting = True
            size = sum(map(len, blocks))
            self._inThread(self._writeAll, blocks).addCallbacks(
                self._written, self._lost, callbackArgs=(size,)
            )
        elif self._ending is not None:
            self._close()
            self._ending.callback(None)

    def _written(self, _: None, size: int) -> None:
        self._isWriting = False
        self._waiting -= size
        self._next()

    def _lost(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, OSError):
            error = OSError(str(error))
        self._isWriting = False
        self.error = error
        self._blocks, self._waiting = [], 0
        self._failed(error)
        if self._ending is not None:
            self._next()
        else:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # In the thread

    def _writeAll(self, blocks: Sequence[bytes]) -> None:
        """
        Write blocks; those that cannot be are not begun, so that the file stays whole.

        @raise OSError: The disk is full, or gone.
        """
        if not self._size:
            os.ftruncate(self._descriptor, 0)
        for start in range(0, len(blocks), AT_ONCE):
            part = blocks[start : start + AT_ONCE]
            wanted = sum(map(len, part))
            try:
                written = os.writev(self._descriptor, part)
                if written < wanted:
                    rest = memoryview(b"".join(part))[written:]
                    while rest:
                        rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
            self._size += wanted


class Stream(Protocol):
    """
    A stream to a reader.
    """

    @property
    def hasRoom(self) -> bool:
        """
        Whether more should be written now.
        """

    def write(self, data: bytes) -> None:
        """
        Send more.
        """

    def finish(self) -> None:
        """
        There is no more to come.
        """


class StreamSink:
    """
    A stream whose reader may be slow, and may go.
    """

    def __init__(self, limit: int) -> None:
        """
        @param limit: How many bytes may wait for the reader.
        """
        self._stream: Stream | None = None
        self._limit = limit
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        self._ending: Deferred[None] | None = None

    def begin(self, stream: Stream) -> None:
        """
        Write to a stream, from the first block on.
        """
        self._stream = stream
        self.resumed()

    def room(self) -> int:
        """
        See L{PacketSink}.
        """
        return self._limit - self._waiting

    def write(self, data: bytes) -> None:
        """
        See L{PacketSink}.
        """
        if self._ending is not None:
            return
        if self._stream is not None and self._stream.hasRoom and not self._blocks:
            self._stream.write(data)
        else:
            self._blocks.append(data)
            self._waiting += len(data)

    def end(self) -> Deferred[None]:
        """
        See L{PacketSink}.  What waits is written when the reader takes it.
        """
        if self._ending is None:
            self._ending = Deferred()
            self.resumed()
        return self._ending

    def resumed(self) -> None:
        """
        The reader takes more.
        """
        stream, blocks = self._stream, self._blocks
        if stream is None:
            return
        while blocks and stream.hasRoom:
            data = blocks.popleft()
            self._waiting -= len(data)
            stream.write(data)
        if self._ending is not None and not blocks:
            self._stream = None
            stream.finish()
            self._fire()

    def gone(self) -> None:
        """
        The reader has gone: nothing waits for it.
        """
        self._stream = None
        self._blocks.clear()
        self._waiting = 0
        if self._ending is None:
            self._ending = Deferred()
        self._fire()

    def _fire(self) -> None:
        assert self._ending is not None
        if not self._ending.called:
            self._ending.callback(None)
