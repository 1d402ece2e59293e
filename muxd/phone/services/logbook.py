# -*- test-case-name: tests.phone.services.test_logbook -*-
"""
The log of a simulated phone: what its programs write, and what a file or a pipe of its owner's
feeds it, for the services that tell it to hosts.

A line that comes from outside is a JSON object with C{text} and, if wanted, C{process}, C{pid},
C{level}, C{subsystem} and C{category}; or a line as C{idevicesyslog} prints it; or any text.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

LONGEST = 1 << 15
"""Characters of a line's text; what is longer ends with L{CUT}."""

CUT = " <...>"

LEVELS = ("Notice", "Info", "Debug", "Error", "Fault")
"""The first is that of lines that have none."""

FOLLOWING = 0.5
"""Seconds between two looks at a file for what has been added to it."""

PIECE = 1 << 16
"""Bytes of a file that are read at once."""

_PRINTED = re.compile(
    r"[A-Z][a-z]{2} +\d+ [\d:.]+ (?:\S+ )?(?P<process>[^\s\[(<]+)(?:\([^)]*\))?\[(?P<pid>\d{1,9})\]"
    r" <(?P<level>[A-Za-z]+)>: (?P<text>.*)"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """
    A line.

    @ivar moment: When, in seconds since the epoch.
    @ivar process: Which of the phone's programs says so.
    @ivar text: What it says, on one line.
    @ivar level: One of L{LEVELS}.
    """

    moment: float
    process: str
    text: str
    level: str = LEVELS[0]
    pid: int = 1
    subsystem: str = ""
    category: str = ""


Reader = Callable[[LogLine], None]


def plain(text: str) -> str:
    """
    A text on one line, which is cut where no reader wants more.
    """
    if len(text) > LONGEST:
        text = text[:LONGEST] + CUT
    return " ".join(text.replace("\0", " ").split())


def parseLine(line: bytes, moment: float) -> LogLine:
    """
    A line from outside.
    """
    text = line.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if isinstance(given, dict) and isinstance(given.get("text"), str):
            return _fromJSON(given, moment)
    match = _PRINTED.fullmatch(text)
    if match is not None and match["level"] in LEVELS:
        pid = int(match["pid"])
        return LogLine(moment, match["process"], plain(match["text"]), match["level"], pid)
    return LogLine(moment, "log", plain(text))


def _fromJSON(given: dict[str, Any], moment: float) -> LogLine:
    words = {}
    for key in ("process", "level", "subsystem", "category"):
        value = given.get(key)
        words[key] = plain(value)[:255] if isinstance(value, str) else ""
    pid = given.get("pid")
    return LogLine(
        moment,
        words["process"] or "log",
        plain(given["text"]),
        words["level"] if words["level"] in LEVELS else LEVELS[0],
        pid if type(pid) is int and 0 <= pid < 1 << 31 else 1,
        words["subsystem"],
        words["category"],
    )


class SyslogBook:
    """
    The phone's log.

    Nothing is kept: a line is told to those that read at the time.  What feeds the log from outside
    is read only while a host reads along, so a phone at rest costs nothing.
    """

    def __init__(
        self,
        reactor: Any,
        host: str = "iPhone",
        feed: str | None = None,
        timeOfDay: Callable[[], float] = time.time,
    ) -> None:
        """
        @param timeOfDay: Seconds of the epoch.
        @param host: The phone's name in each line.
        @param feed: A file or a pipe with lines.  A reader gets all lines of a file, and then those
            that are added to it; those of a pipe are told as they come.
        """
        self.host = host
        self._reactor = reactor
        self._feed = feed
        self.timeOfDay = timeOfDay
        self._readers: dict[Reader, _FileFeed | None] = {}
        self._pipe: _PipeFeed | None = None
        self.processes: dict[int, str] = {1: "launchd"}

    def write(self, process: str, level: str, text: str) -> None:
        """
        Write a line.

        @param process: Which of the phone's programs says so.
        @param level: Such as C{Notice} or C{Error}.
        """
        if self._readers:
            self.tell(LogLine(self.timeOfDay(), process, plain(text), level))

    def tell(self, line: LogLine) -> None:
        """
        Tell all readers of a line.
        """
        self.note(line)
        for reader in tuple(self._readers):
            reader(line)

    def note(self, line: LogLine) -> None:
        """
        Remember which process a line is from.
        """
        if len(self.processes) < 1000:
            self.processes[line.pid] = line.process

    def read(self, reader: Reader) -> None:
        """
        Call this with every line from now on.
        """
        follower: _FileFeed | None = None
        if self._feed is not None and not _isPipe(self._feed):
            follower = _FileFeed(self._reactor, self._feed, self, reader)
        self._readers[reader] = follower
        if follower is not None:
            follower.start()
        elif self._feed is not None and self._pipe is None:
            self._pipe = _PipeFeed(self._reactor, self._feed, self)
            self._pipe.start()

    def close(self, reader: Reader) -> None:
        """
        No more.
        """
        follower = self._readers.pop(reader, None)
        if follower is not None:
            follower.stop()
        if not self._readers and self._pipe is not None:
            self._pipe.stop()
            self._pipe = None


def _isPipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


class _Lines:
    """
    Makes lines of pieces.
    """

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[bytes]:
        """
        The lines that are complete with this piece.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > 4 * LONGEST:
            # No line is that long, and it is cut in any case.
            lines.append(self._rest)
            self._rest = b""
        return [line for line in lines if line.strip()]


class _FileFeed:
    """
    The lines of a file for one reader, and what is added to it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, path: str, book: SyslogBook, reader: Reader) -> None:
        self._reactor = reactor
        self._path = path
        self._book = book
        self._reader = reader
        self._place = 0
        self._lines = _Lines()
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor
        self._hasFailed = False

    def start(self) -> None:
        """
        Begin to look.
        """
        self._loop.start(FOLLOWING)

    def stop(self) -> None:
        """
        Look no more.
        """
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        """
        Tell the next piece.  A file that is longer is not read at one go: other phones wait.
        """
        try:
            with open(self._path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._place:
                    self._place = 0
                    self._lines = _Lines()
                file.seek(self._place)
                data = file.read(PIECE)
        except OSError as error:
            if not self._hasFailed:
                self._log.warn("A simulated phone's log: {error}", error=str(error))
            self._hasFailed = True
            return
        self._place += len(data)
        for line in self._lines.take(data):
            parsed = parseLine(line, self._book.timeOfDay())
            self._book.note(parsed)
            self._reader(parsed)


@implementer(IReadDescriptor)
class _PipeFeed:
    """
    The lines of a pipe, for all that read.
    """

    _log = Logger()

    def __init__(self, reactor: Any, path: str, book: SyslogBook) -> None:
        self._reactor = reactor
        self._path = path
        self._book = book
        self._descriptor = -1
        self._lines = _Lines()

    def start(self) -> None:
        """
        Begin to read.  The pipe is opened for both directions, so that it does not end when one
        that writes to it goes.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            self._log.warn("A simulated phone's log: {error}", error=str(error))
            return
        self._reactor.addReader(self)

    def stop(self) -> None:
        """
        Read no more; what has not been read stays in the pipe.
        """
        if self._descriptor >= 0:
            self._reactor.removeReader(self)
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """
        Of the pipe.
        """
        return self._descriptor

    def logPrefix(self) -> str:
        """
        What the reactor calls it.
        """
        return "simulated log"

    def doRead(self) -> None:
        """
        Something has been written.
        """
        try:
            data = os.read(self._descriptor, PIECE)
        except BlockingIOError:
            return
        for line in self._lines.take(data):
            self._book.tell(parseLine(line, self._book.timeOfDay()))

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor ends, or the pipe has an error.
        """
        self.stop()
