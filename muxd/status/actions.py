# -*- test-case-name: tests.status.test_actions -*-
"""
What an operator can do to a daemon: C{POST /api/NAME} with a JSON object, answered by one.

A part of the daemon that can be told something makes an L{Action} and adds it
(L{muxd.status.server.StatusServer.addAction})::

    def release(values: Values) -> dict[str, object]:
        udid = values.text("udid")
        ...
        return {"udid": udid}

    Action(name="release", summary="let go of a phone", takes=("udid",), perform=release)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from muxd.net.credentials import peerText
from muxd.status.answers import RequestError, StatusResource, answer, answerFailure
from muxd.wire.text import printable

_log = Logger()

_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

LONGEST_TEXT = 4096
"""Characters of a text that an action takes."""


LONGEST_SHOWN = 80
"""Characters of a value in the log."""


class Values:
    """
    What an action was given, by name.

    A name that is not there is an error, unless there is a default.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __str__(self) -> str:
        """
        All of them, for a line of the log.
        """
        return "".join(
            f", {name}={printable(str(value), LONGEST_SHOWN)}"
            for name, value in self._values.items()
        )

    def text(self, name: str, default: str | None = None) -> str:
        """
        A text.

        @raise RequestError: It is none, or too long.
        """
        value = self._get(name, str, default)
        assert isinstance(value, str)
        if len(value) > LONGEST_TEXT:
            raise RequestError(400, f"{name}: expected at most {LONGEST_TEXT} characters")
        return value

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """
        A whole number within these bounds.

        @raise RequestError: It is none.
        """
        value = self._get(name, int, default)
        assert isinstance(value, int)
        if not least <= value <= most:
            raise RequestError(400, f"{name}: expected {least} to {most}, got {value}"[:200])
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """
        True or false.

        @raise RequestError: It is neither.
        """
        value = self._get(name, bool, default)
        assert isinstance(value, bool)
        return value

    def any(self, name: str, default: object = None) -> object:
        """
        Whatever JSON has, for the caller to look at.
        """
        return self._values.get(name, default)

    def _get(self, name: str, kind: type, default: object) -> object:
        value = self._values.get(name, default)
        if value is None and name not in self._values:
            raise RequestError(400, f"{name} is missing: expected {_KINDS[kind]}")
        # A bool is an int to Python, and not to an operator.
        if type(value) is not kind:
            raise RequestError(
                400, f"{name}: expected {_KINDS[kind]}, got {_KINDS.get(type(value), 'else')}"
            )
        return value


Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """
    Something that can be done.

    @ivar name: The last part of its path.
    @ivar summary: What it does, for C{GET /api}.
    @ivar takes: The names of what it is given; any other is an error.
    @ivar perform: Does it: returns what to answer, or a C{Deferred} with that.  It raises
        a L{RequestError} for what an operator can do something about.
    """

    name: str
    summary: str
    perform: Callable[[Values], Answer] | Callable[[Values], Deferred[Answer]]
    takes: tuple[str, ...] = ()


class ActionResource(StatusResource):
    """
    The door to an action.
    """

    isLeaf = True

    def __init__(self, action: Action, clock: IReactorTime, timeout: float) -> None:
        """
        @param timeout: How long it may take, in seconds.
        """
        super().__init__()
        self._action = action
        self._clock = clock
        self._timeout = timeout

    def render_POST(self, request: Request) -> Any:
        """
        Do it, and answer when it is done.
        """
        values = self._valuesOf(request)
        _log.info(
            "{action}{values}, asked for by {peer}",
            action=self._action.name,
            values=str(values),
            peer=peerText(request.channel.transport),
        )
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)
        perform: Callable[[Values], Any] = self._action.perform
        done: Deferred[Answer] = maybeDeferred(perform, values)
        done.addTimeout(self._timeout, self._clock)
        done.addErrback(self._failed)

        def reply(result: Answer | Failure) -> None:
            if gone:
                return
            if isinstance(result, Failure):
                request.write(answerFailure(request, result))
            else:
                request.write(answer(request, result))
            request.finish()

        done.addBoth(reply)
        return NOT_DONE_YET

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(DeferredTimeout):
            text = f"{self._action.name} is not done after {self._timeout:g} s"
            return Failure(RequestError(504, text, "see the daemon's log"))
        return failure

    def _valuesOf(self, request: Request) -> Values:
        """
        @raise RequestError: The body is not what it should be.
        """
        assert request.content is not None
        try:
            given = json.loads(request.content.read() or b"{}")
        except (ValueError, RecursionError) as error:
            raise RequestError(400, f"expected JSON: {error}"[:200]) from error
        if not isinstance(given, dict):
            raise RequestError(400, "expected a JSON object")
        unknown = sorted(set(given) - set(self._action.takes))
        if unknown:
            takes = ", ".join(self._action.takes) or "nothing"
            raise RequestError(400, f"{self._action.name} takes {takes}, got {unknown[0][:64]!a}")
        return Values(given)
