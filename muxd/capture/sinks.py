# -*- test-case-name: tests.capture.test_sinks -*-
"""
Where captures go: a file, or a stream whose reader may be slow.

Each holds a bounded number of bytes that have nowhere to go yet, and tells how many more it
has room for.  A file is written in a thread, as a disk may take its time; a stream is a
push producer for its transport.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

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


@implementer(IPushProducer)
class StreamSink:
    """
    The transport of a reader, or what writes to one, such as an answer of HTTP.
    """

    def __init__(
        self,
        consumer: Any,
        limit: int,
        gone: Callable[[], object],
        finish: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param consumer: Provides C{IConsumer}.
        @param limit: How many bytes may wait for the reader.
        @param gone: Called when it has gone by itself.
        @param finish: Called after the last byte.
        """
        self._consumer: IConsumer | None = consumer
        self._limit = limit
        self._gone = gone
        self._finish = finish
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        self._isPaused = False
        self._ending: Deferred[None] | None = None
        consumer.registerProducer(self, True)

    def room(self) -> int:
        """
        See L{PacketSink}.
        """
        return self._limit - self._waiting

    def write(self, data: bytes) -> None:
        """
        See L{PacketSink}.
        """
        if self._consumer is None or self._ending is not None:
            return
        if self._isPaused:
            self._blocks.append(data)
            self._waiting += len(data)
        else:
            self._consumer.write(data)

    def end(self) -> Deferred[None]:
        """
        See L{PacketSink}.  What waits is written when the reader takes it.
        """
        if self._ending is None:
            self._ending = Deferred()
            self._checkEnd()
        return self._ending

    def pauseProducing(self) -> None:
        """
        The reader is slow.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        It takes more.
        """
        self._isPaused = False
        blocks = self._blocks
        while blocks and not self._isPaused and self._consumer is not None:
            data = blocks.popleft()
            self._waiting -= len(data)
            self._consumer.write(data)
        self._checkEnd()

    def stopProducing(self) -> None:
        """
        It has gone.
        """
        self._consumer = None
        self._blocks.clear()
        self._waiting = 0
        if self._ending is None:
            self._ending = succeed(None)
            self._gone()
        elif not self._ending.called:
            self._ending.callback(None)

    def _checkEnd(self) -> None:
        if self._ending is None or self._blocks or self._consumer is None:
            return
        consumer, self._consumer = self._consumer, None
        consumer.unregisterProducer()
        self._finish()
        self._ending.callback(None)
