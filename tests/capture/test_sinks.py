"""
Tests of L{muxd.capture.sinks}.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from muxd.capture.sinks import FileSink, StreamSink


class LaterThread:
    """
    Makes calls when the test says so.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Keep the call.
        """
        done: Deferred[Any] = Deferred()
        self.calls.append((done, work, args))
        return done

    def work(self) -> None:
        """
        Make the first one.
        """
        done, work, args = self.calls.pop(0)
        execute(work, *args).chainDeferred(done)


class FileSinkTests(SynchronousTestCase):
    """
    A file.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        self.path = Path(self.mktemp())
        self.thread = LaterThread()
        self.errors: list[OSError] = []
        self.sink = FileSink(str(self.path), 100, self.thread.run, self.errors.append)

    def finish(self) -> None:
        """
        End it, and see it end.
        """
        ended = self.sink.end()
        while self.thread.calls:
            self.assertNoResult(ended)
            self.thread.work()
        self.successResultOf(ended)

    def test_written(self) -> None:
        """
        All that is written is in the file, in its order, however it was put together.
        """
        self.sink.open()
        for number in range(20):
            self.sink.write(b"%d " % number)
            if number % 7 == 0 and self.thread.calls:
                self.thread.work()
        self.finish()
        self.assertEqual(self.path.read_bytes(), b"".join(b"%d " % each for each in range(20)))
        self.assertEqual(self.errors, [])

    def test_many(self) -> None:
        """
        More blocks than one call of the kernel takes are written in several.
        """
        self.sink.open()
        for _ in range(3000):
            self.sink.write(b"x")
        self.finish()
        self.assertEqual(self.path.read_bytes(), b"x" * 3000)

    def test_oneCall(self) -> None:
        """
        While something is written, what comes waits, and is then written at once.
        """
        self.sink.open()
        for _ in range(5):
            self.sink.write(b"x")
        self.assertEqual(len(self.thread.calls), 1)
        self.thread.work()
        self.assertEqual(len(self.thread.calls), 1)
        self.thread.work()
        self.assertEqual(self.thread.calls, [])

    def test_room(self) -> None:
        """
        What waits for the disk takes room, until it is written.
        """
        self.sink.open()
        self.sink.write(b"x" * 30)
        self.sink.write(b"x" * 50)
        self.assertEqual(self.sink.room(), 20)
        self.thread.work()
        self.assertEqual(self.sink.room(), 50)
        self.thread.work()
        self.assertEqual(self.sink.room(), 100)
        self.finish()

    def test_private(self) -> None:
        """
        The file is its owner's alone, also if it was there and others could read it.
        """
        self.path.write_bytes(b"old and long")
        self.path.chmod(0o644)
        self.sink.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.sink.write(b"new")
        self.finish()
        self.assertEqual(self.path.read_bytes(), b"new")

    def test_keeps(self) -> None:
        """
        What was in the file stays there until something is written.
        """
        self.path.write_bytes(b"old and long")
        self.sink.open()
        self.finish()
        self.assertEqual(self.path.read_bytes(), b"old and long")

    def test_noFile(self) -> None:
        """
        A directory, a FIFO and a device are refused, and not waited for.
        """
        os.mkfifo(self.path)
        self.assertRaises(OSError, self.sink.open)
        for wrong in ("/dev/null", "/", "/nowhere/x"):
            sink = FileSink(wrong, 100, self.thread.run, self.errors.append)
            self.assertRaises(OSError, sink.open)

    def test_full(self) -> None:
        """
        A disk that is full is told of once; the file keeps what was whole; what still comes
        is forgotten, and takes no room.
        """
        self.sink.open()
        self.sink.write(b"first ")
        self.thread.work()
        write = os.writev

        def full(descriptor: int, blocks: list[bytes]) -> int:
            write(descriptor, [b"sec"])
            raise OSError(ENOSPC, "No space left on device")

        self.patch(os, "writev", full)
        self.sink.write(b"second ")
        self.sink.write(b"third ")
        self.thread.work()
        self.sink.write(b"fourth ")
        self.assertEqual([each.errno for each in self.errors], [ENOSPC])
        self.assertEqual((self.sink.room(), self.thread.calls), (100, []))
        self.assertEqual(self.path.read_bytes(), b"first ")
        self.finish()

    def test_short(self) -> None:
        """
        A write that the kernel does in part is gone on with.
        """
        self.sink.open()
        self.patch(os, "writev", lambda descriptor, blocks: os.write(descriptor, blocks[0][:2]))
        self.sink.write(b"first")
        self.finish()
        self.assertEqual(self.path.read_bytes(), b"first")

    def test_endTwice(self) -> None:
        """
        It is closed once.
        """
        self.sink.open()
        self.finish()
        self.finish()
        self.sink.write(b"late")
        self.assertEqual(self.path.read_bytes(), b"")


class SlowStream:
    """
    A stream that takes some bytes, and then has no room.
    """

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken = b""
        self.isFinished = False

    @property
    def hasRoom(self) -> bool:
        """
        Whether it has not taken all that it takes.
        """
        return len(self.taken) < self.takes

    def write(self, data: bytes) -> None:
        """
        Take it.
        """
        self.taken += data

    def finish(self) -> None:
        """
        Note it.
        """
        self.isFinished = True


class StreamSinkTests(SynchronousTestCase):
    """
    A reader that is slow.
    """

    def setUp(self) -> None:
        """
        One that takes five bytes to begin with.
        """
        self.stream = SlowStream(5)
        self.sink = StreamSink(20)

    def take(self, count: int) -> None:
        """
        Take so many bytes more.
        """
        self.stream.takes += count
        self.sink.resumed()

    def test_slow(self) -> None:
        """
        What the reader does not take waits, in its order, and takes room.
        """
        self.sink.write(b"aaa")
        self.assertEqual(self.sink.room(), 17)
        self.sink.begin(self.stream)
        for each in (b"bbb", b"ccc", b"ddd"):
            self.sink.write(each)
        self.assertEqual((self.stream.taken, self.sink.room()), (b"aaabbb", 14))
        self.take(3)
        self.assertEqual((self.stream.taken, self.sink.room()), (b"aaabbbccc", 17))
        self.take(1000)
        self.sink.write(b"eee")
        self.assertEqual((self.stream.taken, self.sink.room()), (b"aaabbbcccdddeee", 20))

    def test_end(self) -> None:
        """
        The end waits until the reader has everything.
        """
        self.sink.begin(self.stream)
        for each in (b"aaaaa", b"bbb"):
            self.sink.write(each)
        ended = self.sink.end()
        self.assertNoResult(ended)
        self.sink.write(b"late")
        self.take(1000)
        self.successResultOf(ended)
        self.assertEqual((self.stream.taken, self.stream.isFinished), (b"aaaaabbb", True))
        self.assertIs(self.sink.end(), ended)

    def test_gone(self) -> None:
        """
        What is written for a reader that has gone is forgotten.
        """
        self.sink.begin(self.stream)
        for each in (b"aaaaa", b"bbb"):
            self.sink.write(each)
        self.sink.gone()
        self.sink.write(b"ccc")
        self.assertEqual((self.stream.taken, self.sink.room()), (b"aaaaa", 20))
        self.successResultOf(self.sink.end())
        self.sink.resumed()
        self.assertFalse(self.stream.isFinished)

    def test_goneAtEnd(self) -> None:
        """
        One that goes before it has everything ends the wait for it.
        """
        self.sink.begin(self.stream)
        for each in (b"aaaaa", b"bbb"):
            self.sink.write(each)
        ended = self.sink.end()
        self.sink.gone()
        self.successResultOf(ended)
