# -*- test-case-name: tests.status.test_logtail -*-
"""
C{/api/log}: the last lines of the daemon's log, and those that come.

Without C{follow=1} it is one object with the lines that are kept, or the last of them,
C{lines=N}.  With it, each line is an
object of its own, for as long as the reader likes.  What a reader has not taken, or comes
too fast, is left out and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from muxd.status.answers import RequestError, StatusResource, answer, encode
from muxd.status.streaming import AnswerStream

KEPT = 500
"""Lines that are kept."""

LONGEST = 2000
"""Characters of a line."""

LONGEST_NUMBER = 6
"""Digits of a number of lines."""

PER_SECOND = 200
"""Lines that a reader is sent in a second; the others are counted."""


@implementer(ILogObserver)
class LogTail:
    """
    The end of a log.

    @ivar level: What is below is not kept.
    """

    def __init__(self, level: Any = LogLevel.info) -> None:
        self.level = level
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._readers: list[Callable[[dict[str, Any]], None]] = []

    def __call__(self, event: LogEvent) -> None:
        """
        Something is logged.
        """
        level = event.get("log_level") or LogLevel.info
        if level < self.level:
            return
        text = formatEvent(event)
        if not text:
            return
        line = {
            "time": round(event.get("log_time", 0.0), 3),
            "level": level.name,
            "system": str(event.get("log_namespace") or event.get("log_system") or "-")[:200],
            "text": text[:LONGEST],
        }
        self._lines.append(line)
        for reader in tuple(self._readers):
            reader(line)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """
        Those that are kept, the oldest first.
        """
        return list(self._lines)

    def follow(self, reader: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """
        Tell of each line that comes.

        @return: what ends it.
        """
        self._readers.append(reader)
        return lambda: self._readers.remove(reader)


class _Follower:
    """
    One reader of a log that goes on.
    """

    def __init__(
        self, request: Request, tail: LogTail, lines: list[dict[str, Any]], clock: IReactorTime
    ) -> None:
        """
        @param lines: What to begin with.
        """
        self._clock = clock
        self._stop: Callable[[], None] | None = None
        self._skipped = 0
        self._second = -1
        self._sent = 0
        self.stream = AnswerStream(request, b"application/x-ndjson", self._ended)
        # The reader is told that it has begun also when there is nothing yet.
        self.stream.write(b"".join(map(encode, lines)) or b"\n")
        self._stop = tail.follow(self._heard)

    def _heard(self, line: dict[str, Any]) -> None:
        second = int(self._clock.seconds())
        if second != self._second:
            self._second, self._sent = second, 0
        if not self.stream.hasRoom or self._sent >= PER_SECOND:
            self._skipped += 1
            return
        self._sent += 1
        if self._skipped:
            self.stream.write(encode({"skipped": self._skipped}))
            self._skipped = 0
        self.stream.write(encode(line))

    def _ended(self) -> None:
        if self._stop is not None:
            self._stop()


class LogResource(StatusResource):
    """
    The door to a log's end.
    """

    isLeaf = True
    isStream = True

    def __init__(self, tail: LogTail, clock: IReactorTime) -> None:
        super().__init__()
        self._tail = tail
        self._clock = clock

    def render_GET(self, request: Request) -> Any:
        """
        Answer with what there is, and perhaps go on.
        """
        asked = request.args or {}
        text = asked.get(b"lines", [b"%d" % KEPT])[0]
        if not text.isdigit() or len(text) > LONGEST_NUMBER:
            raise RequestError(400, f"lines: expected a number, got {text[:20]!a}")
        count = int(text)
        lines = self._tail.lines[-count:] if count else []
        if asked.get(b"follow") != [b"1"]:
            return answer(request, {"lines": lines})
        _Follower(request, self._tail, lines, self._clock)
        return NOT_DONE_YET
