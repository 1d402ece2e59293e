# -*- test-case-name: tests.differential.test_exchange -*-
"""
One conversation with one daemon, and all that it answered.

What ends an answer cannot be told, as a daemon may not answer at all.  So a last request
that any daemon serves goes behind each conversation; where its answer does not come, the
daemon is given time.  A difference that rests on such a time is looked at again with more
of it (L{tests.differential.run}).
"""

from __future__ import annotations

import plistlib
import select
import socket
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tests.differential.grammar import Case
from tests.differential.requests import HEADER, PLIST, requestsOf

LAST_TAG = 0x7E57
LONGEST = 1 << 20
RESULT = 1


def _last() -> bytes:
    body = plistlib.dumps({"MessageType": "ListDevices"})
    return HEADER.pack(16 + len(body), 1, PLIST, LAST_TAG) + body


LAST = _last()
"""The last request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A message of the daemon.

    @ivar content: Of a property list its values, otherwise the body.
    """

    version: int
    kind: int
    tag: int
    content: Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    What a daemon made of a conversation.

    @ivar answers: Its messages.
    @ivar rest: What came behind them and is none: of a stream, what the phone echoed.
    @ivar ending: C{open}: the last request was answered.  C{refused}: it was, with a
        Result.  C{closed}: the daemon closed before.  C{silent}: neither.  C{died}: the
        daemon has ended.
    """

    answers: tuple[Answer, ...]
    rest: bytes
    ending: str


def perform(path: str, case: Case, patience: float) -> Exchange:
    """
    Have a conversation.

    @param path: Of the daemon's socket.
    @param patience: Seconds of silence after which no more is expected.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connects = {tag for tag, request in requestsOf(case).items() if request.isConnect}
        listening = _Listening(connection, connects)
        for piece in case.pieces:
            if not listening.send(piece.data):
                break
            if piece.waits:
                listening.collect(patience, 1)
        else:
            listening.send(LAST)
        listening.collect(patience, None)
        return listening.result()


class _Listening:
    """
    The client's side.
    """

    def __init__(self, connection: socket.socket, connects: set[int]) -> None:
        """
        @param connects: Tags of requests for a stream.
        """
        self._connection = connection
        self._connects = connects
        self._isStream = False
        self._data = b""
        self._isClosed = False
        self._answers: list[Answer] = []

    def send(self, data: bytes) -> bool:
        """
        Send, unless the daemon has closed.  What it said before is there to be read.
        """
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return True

    def collect(self, patience: float, count: int | None) -> None:
        """
        Read until there are so many more answers, or the last one; or nothing has come
        for a time.
        """
        wanted = None if count is None else len(self._answers) + count
        until = monotonic() + patience
        while not self._isFinished(wanted):
            left = until - monotonic()
            if left <= 0 or not select.select([self._connection], [], [], left)[0]:
                return
            try:
                more = self._connection.recv(65536)
            except OSError:
                more = b""
            if not more:
                self._isClosed = True
                return
            self._data += more
            self._take()
            until = monotonic() + patience

    def _isFinished(self, wanted: int | None) -> bool:
        if self._isClosed or self._isOpen():
            return True
        return wanted is not None and len(self._answers) >= wanted

    def _isOpen(self) -> bool:
        return bool(self._answers) and self._answers[-1].tag == LAST_TAG

    def _take(self) -> None:
        """
        Make answers of what has come.
        """
        while len(self._data) >= HEADER.size and not self._isStream:
            length, version, kind, tag = HEADER.unpack_from(self._data)
            if not HEADER.size <= length <= LONGEST or len(self._data) < length:
                return
            body = self._data[HEADER.size : length]
            self._data = self._data[length:]
            answer = Answer(version, kind, tag, _content(kind, body))
            self._answers.append(answer)
            self._isStream = tag in self._connects and resultOf(answer) == 0

    def result(self) -> Exchange:
        """
        All of it.
        """
        answers = tuple(self._answers)
        if self._isOpen():
            # A listener may not ask for anything.
            ending = (
                "open"
                if isinstance(answers[-1].content, dict) and "DeviceList" in answers[-1].content
                else "refused"
            )
            return Exchange(answers[:-1], self._data, ending)
        return Exchange(answers, self._data, "closed" if self._isClosed else "silent")


def _content(kind: int, body: bytes) -> Any:
    if kind != PLIST:
        return body
    try:
        return plistlib.loads(body)
    except Exception:
        # What the C daemon repeats of a request is not always a property list.
        return body


def resultOf(answer: Answer) -> int | None:
    """
    The number in a Result; C{None} of anything else.
    """
    if isinstance(answer.content, dict):
        if answer.content.get("MessageType") == "Result":
            number = answer.content.get("Number")
            return number if isinstance(number, int) else None
    elif answer.kind == RESULT:
        return int.from_bytes(answer.content, "little")
    return None
