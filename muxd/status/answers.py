# -*- test-case-name: tests.status.test_answers -*-
"""
Answers in JSON, errors among them.

An error is C{{"error": ..., "remedy": ...}}: one line that says what was expected and what
came, and one that says what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

JSON = b"application/json"

_log = Logger()


class RequestError(Exception):
    """
    A request cannot be answered as it was meant.

    @ivar status: The number that HTTP has for it.
    @ivar text: What is wrong, in one line.
    @ivar remedy: What to do about it; "" if the text says it.
    """

    def __init__(self, status: int, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.remedy = remedy


def encode(values: Any) -> bytes:
    """
    Values as JSON, in one line.
    """
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def answer(request: Request, values: Mapping[str, Any], status: int = 200) -> bytes:
    """
    Make an answer.

    @return: Its body, for C{render}.
    """
    body = encode(values)
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", JSON)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def answerError(request: Request, error: RequestError) -> bytes:
    """
    Make the answer to a request that failed.

    @return: Its body, for C{render}.
    """
    values = {"error": error.text}
    if error.remedy:
        values["remedy"] = error.remedy
    return answer(request, values, error.status)


def answerFailure(request: Request, failure: Failure) -> bytes:
    """
    Make the answer to a request that failed, perhaps by a mistake of ours.

    @return: Its body, for C{render}.
    """
    if isinstance(failure.value, RequestError):
        return answerError(request, failure.value)
    _log.failure("a request to the status socket failed", failure)
    return answerError(
        request, RequestError(500, "the daemon made a mistake", "see its log for what it was")
    )


class StatusResource(Resource):
    """
    A resource whose errors are JSON, whatever goes wrong.

    A subclass has C{render_GET} or C{render_POST}, or both.

    @cvar isStream: Whether its answer has no end, so that there is no asking for its head.
    """

    isStream = False

    def render(self, request: Request) -> Any:
        """
        Answer a request; HEAD is GET whose body is not sent.
        """
        word = request.method.decode("ascii", "replace")
        if word == "HEAD" and not self.isStream:
            word = "GET"
        method = getattr(self, f"render_{word}", None) if word in ("GET", "POST") else None
        try:
            if request.postpath:
                # More behind what has nothing below it.
                raise notFound(request)
            if method is None:
                raise self._notAllowed(request)
            body = method(request)
        except Exception:
            body = answerFailure(request, Failure())
        if body is NOT_DONE_YET or request.method != b"HEAD":
            return body
        request.write(b"")
        request.finish()
        return NOT_DONE_YET

    def _notAllowed(self, request: Request) -> RequestError:
        allowed = [word for word in ("GET", "POST") if hasattr(self, f"render_{word}")]
        if not allowed:
            return notFound(request)
        request.setHeader(b"Allow", ", ".join(allowed).encode())
        return RequestError(405, f"{_shown(request.path)} takes {' and '.join(allowed)} alone")

    def getChild(self, path: bytes, request: Request) -> Resource:
        """
        There is none but those that were put here.
        """
        return Missing()


class Missing(StatusResource):
    """
    What is not there.
    """

    isLeaf = True


def notFound(request: Request) -> RequestError:
    """
    The error for a path that leads nowhere.
    """
    return RequestError(404, f"there is no {_shown(request.path)}", "see /api for what there is")


def _shown(path: bytes) -> str:
    text = path[:80].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)
