# -*- test-case-name: tests.fleet.etcd.test_gateway -*-
"""
What etcd's JSON gateway is asked, and what it answers, as values.

Its numbers are text, what is zero is left out, keys and values are base64, and a stream has one
object on each line.  Nothing of it is believed: what makes no sense is a L{BadAnswer}.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any


class BadAnswer(Exception):
    """
    An answer makes no sense; the text says what was expected.
    """


@dataclass(frozen=True, slots=True)
class KeyValue:
    """
    A key and what there is about it.

    @ivar created: The revision in which it came to be.
    @ivar modified: The revision of its last change, or of its end.
    @ivar lease: With which it ends; 0 for none.
    """

    key: bytes
    value: bytes
    created: int
    modified: int
    lease: int


@dataclass(frozen=True, slots=True)
class Event:
    """
    A key has changed, or has ended.
    """

    pair: KeyValue
    isEnd: bool


@dataclass(frozen=True, slots=True)
class WatchAnswer:
    """
    A line of a watch.

    @ivar cluster: The number of the cluster, which changes when it is set up anew.
    @ivar revision: Up to which all is told; 0 if it is not said.
    @ivar isCreated: Whether this is the first line.
    @ivar trouble: Why nothing more comes; empty if more does.
    @ivar isCompacted: Whether that is because what was asked for has been forgotten.
    """

    cluster: int
    revision: int
    events: tuple[Event, ...] = ()
    isCreated: bool = False
    trouble: str = ""
    isCompacted: bool = False


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """
    Keys, in order.

    @ivar hasMore: Whether there are more than these.
    """

    cluster: int
    revision: int
    pairs: tuple[KeyValue, ...]
    hasMore: bool


def encoded(data: bytes) -> str:
    """
    Bytes as they are in a request.
    """
    return b64encode(data).decode()


def put(key: bytes, value: bytes, lease: int = 0) -> dict[str, Any]:
    """
    A part of a transaction: a key has a value.
    """
    said = {"key": encoded(key), "value": encoded(value)}
    if lease:
        said["lease"] = str(lease)
    return {"request_put": said}


def delete(key: bytes) -> dict[str, Any]:
    """
    A part of a transaction: a key ends.
    """
    return {"request_delete_range": {"key": encoded(key)}}


def modifiedIn(key: bytes, revision: int) -> dict[str, Any]:
    """
    A condition of a transaction: a key was changed last in a revision; 0 for that there is none.
    """
    return _compare(key, "MOD", "mod_revision", revision, "EQUAL")


def isThere(key: bytes) -> dict[str, Any]:
    """
    A condition of a transaction: there is such a key.
    """
    return _compare(key, "CREATE", "create_revision", 0, "GREATER")


def _compare(key: bytes, target: str, field: str, value: int, result: str) -> dict[str, Any]:
    return {"key": encoded(key), "target": target, "result": result, field: str(value)}


def objectOf(data: bytes) -> dict[str, Any]:
    """
    An answer as JSON.

    @raise BadAnswer: It is no object.
    """
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        raise BadAnswer(f"expected JSON, got {data[:80]!r}") from None
    if type(said) is not dict:
        raise BadAnswer(f"expected an object, got {data[:80]!r}")
    return said


def number(said: dict[str, Any], name: str) -> int:
    """
    A number of an answer; 0 if it is left out.

    @raise BadAnswer: It is something else.
    """
    found = said.get(name, 0)
    if type(found) is str and found.isascii() and found.isdecimal() and len(found) < 21:
        found = int(found)
    if type(found) is not int or found < 0:
        raise BadAnswer(f"{name}: expected a number, got {found!r:.80}")
    return found


def flag(said: dict[str, Any], name: str) -> bool:
    """
    Whether something is true; it is not if it is left out.

    @raise BadAnswer: It is something else.
    """
    found = said.get(name, False)
    if type(found) is not bool:
        raise BadAnswer(f"{name}: expected true or false, got {found!r:.80}")
    return found


def part(said: dict[str, Any], name: str) -> dict[str, Any]:
    """
    An object within; empty if it is left out.

    @raise BadAnswer: It is something else.
    """
    found = said.get(name, {})
    if type(found) is not dict:
        raise BadAnswer(f"{name}: expected an object, got {found!r:.80}")
    return found


def parts(said: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """
    Objects within; none if they are left out.

    @raise BadAnswer: It is something else.
    """
    found = said.get(name, [])
    if type(found) is not list or any(type(each) is not dict for each in found):
        raise BadAnswer(f"{name}: expected objects, got {found!r:.80}")
    return found


def words(said: dict[str, Any], name: str) -> str:
    """
    Text of an answer, to be shown; empty if it is left out.
    """
    found = said.get(name, "")
    text = found if type(found) is str else repr(found)
    return "".join(each if each.isprintable() else "?" for each in text[:200])


def revisionOf(said: dict[str, Any]) -> int:
    """
    The revision that an answer is true of.

    @raise BadAnswer: It makes no sense.
    """
    return number(part(said, "header"), "revision")


def clusterOf(said: dict[str, Any]) -> int:
    """
    The cluster that an answer is of.

    @raise BadAnswer: It makes no sense.
    """
    return number(part(said, "header"), "cluster_id")


def rangeAnswer(said: dict[str, Any]) -> RangeAnswer:
    """
    Keys of an answer.

    @raise BadAnswer: It makes no sense.
    """
    pairs = tuple(map(_pair, parts(said, "kvs")))
    return RangeAnswer(clusterOf(said), revisionOf(said), pairs, flag(said, "more"))


def watchAnswer(line: bytes) -> WatchAnswer:
    """
    A line of a watch.

    @raise BadAnswer: It makes no sense.
    """
    said = objectOf(line)
    if "error" in said:
        error = said["error"]
        text = words(error, "message") if type(error) is dict else words(said, "error")
        return WatchAnswer(0, 0, trouble=text or "an error without a text")
    result = part(said, "result")
    compacted = number(result, "compact_revision")
    trouble = ""
    if flag(result, "canceled") or compacted:
        trouble = words(result, "cancel_reason") or "the watch was cancelled"
    return WatchAnswer(
        clusterOf(result),
        revisionOf(result),
        tuple(map(_event, parts(result, "events"))),
        flag(result, "created"),
        trouble,
        compacted > 0,
    )


def _event(said: dict[str, Any]) -> Event:
    kind = said.get("type", "PUT")
    if kind not in ("PUT", "DELETE"):
        raise BadAnswer(f"expected PUT or DELETE, got {kind!r:.80}")
    return Event(_pair(part(said, "kv")), kind == "DELETE")


def _pair(said: dict[str, Any]) -> KeyValue:
    return KeyValue(
        _bytes(said, "key"),
        _bytes(said, "value"),
        number(said, "create_revision"),
        number(said, "mod_revision"),
        number(said, "lease"),
    )


def _bytes(said: dict[str, Any], name: str) -> bytes:
    found = said.get(name, "")
    try:
        return b64decode(found, validate=True)
    except (TypeError, ValueError):
        raise BadAnswer(f"{name}: expected base64, got {found!r:.80}") from None


class Lines:
    """
    A stream's lines, as they become whole.
    """

    def __init__(self, longest: int) -> None:
        """
        @param longest: Bytes of a line.
        """
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0

    def push(self, data: bytes) -> list[bytes]:
        """
        More has come.

        @raise BadAnswer: A line is longer than any may be.
        """
        *whole, rest = data.split(b"\n")
        lines = []
        for each in whole:
            lines.append(b"".join([*self._parts, each]))
            self._parts, self._size = [], 0
        self._size += len(rest)
        if self._size > self._longest or any(len(line) > self._longest for line in lines):
            raise BadAnswer(f"expected lines of up to {self._longest} bytes")
        self._parts.append(rest)
        return [line for line in lines if line.strip()]
