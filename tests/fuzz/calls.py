# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
What rules that are wrong may ask of the compiled modules: anything, in any order.  Their
twins in Python are asked for the same, and have to say the same; where there are no
compiled modules, the twins are asked alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from unittest import SkipTest

from tests import twins
from tests.fuzz.script import Script
from tests.fuzz.watching import demand
from tests.net.twin import SIZE, SOCKETS, Twin

BITS = (8, 16, 31, 32, 62, 63, 64, 70)
METHODS = ("read", "readHeader", "readSegment", "submit", "cancel", "write", "free")
ON_SOCKETS = ("waiting", "shutdown", "send", "close")
ODD: tuple[Any, ...] = (None, "1", 1.5, b"1", True)
EVENTS = (1, 4, 5, 1 | 1 << 31, 0x2000)


def builds() -> list[dict[str, Any]]:
    """
    Those that there are.
    """
    try:
        return [twins.pure(), twins.compiled()]
    except SkipTest:
        return [twins.pure()]


BUILDS = builds()


def number(script: Script) -> Any:
    """
    One that is good, mostly.
    """
    kind = script.byte()
    if kind < 200:
        return kind % (SIZE + 2) - 1
    if kind < 240:
        return (1 << script.choose(BITS)) - script.byte() % 3
    if kind < 250:
        return -(1 << script.choose(BITS))
    return script.choose(ODD)


def call(script: Script) -> tuple[Any, ...]:
    """
    A method of L{Twin}, and what it is to be called with.
    """
    kind, index = script.byte() % 18, script.byte() % SOCKETS
    if kind == 0:
        return "receive", index, script.choose((0, 1, 2, None, 7)), number(script), number(script)
    if kind == 1:
        return "send", index, script.choose((0, 1, 2, None, 7)), number(script), number(script)
    if kind == 2:
        method = script.choose(METHODS)
        if method == "write":
            return "call", index, method, number(script), script.piece()
        count = {"read": 2, "readSegment": 2, "cancel": 0, "free": 0}.get(method, 1)
        return "call", index, method, *(number(script) for _ in range(count))
    if kind == 3:
        return "writeSegment", index, *(number(script) for _ in range(10))
    if kind == 4:
        return "call", index, "writeCounters", number(script), number(script)
    if kind == 5:
        return "ends", index, script.byte() % 7, script.byte() % (SIZE + 4) - 2
    if kind == 6:
        return "refuse", index, script.choose((-11, -4, -1))
    if kind == 7:
        return "make", index, number(script), number(script)
    if kind == 8:
        return "peerSends", index, script.piece()
    if kind == 9:
        method = script.choose(ON_SOCKETS)
        rest = (script.piece(), number(script)) if method == "send" else ()
        return "onSocket", index, method, *rest
    if kind == 10:
        return "add", index, script.choose(EVENTS), script.byte()
    if kind == 11:
        return "add", index, number(script), script.choose((1, None))
    if kind == 12:
        return "modify", index, script.choose((*EVENTS, number(script)))
    if kind == 13:
        return "oddly", index, "remove", -1 - script.byte()
    if kind == 14:
        return "call", index, "submit", script.byte() % (SIZE + 1)
    return (script.choose(("events", "remove", "peerReads", "peerCloses")), index)


def run(data: bytes) -> None:
    """
    A script of calls.
    """
    script = Script(data)
    with ExitStack() as stack:
        both = [Twin(build, stack) for build in BUILDS]
        while script:
            asked = call(script)
            said = [one.perform(*asked) for one in both]
            demand(said[0] == said[-1], f"{asked}: {said[0]} and {said[-1]}")
            if asked[0] != "oddly":
                for one in both:
                    one.perform("wait", 0, 0)
            seen = [one.look() for one in both]
            demand(seen[0] == seen[-1], f"{asked}: {seen[0]} and {seen[-1]}")
