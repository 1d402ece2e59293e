# -*- test-case-name: tests.fuzz.test_watching -*-
"""
What must never happen, whatever comes in.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher

LONGEST_LINE = 1000
"""Characters of a line in the log: somebody has to read it."""


class Violation(AssertionError):
    """
    Something happened that is not documented.
    """


def demand(condition: object, text: str) -> None:
    """
    Unlike C{assert}, this is there under C{python -O}, too.
    """
    if not condition:
        raise Violation(text)


def objection(event: LogEvent, documented: frozenset[str]) -> str | None:
    """
    What is wrong with a line of the log: a traceback or an error that is not
    C{documented}, or what should not be shown to a terminal.
    """
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        return f"traceback in the log: {text}\n{failure.getTraceback()}"
    level = event.get("log_level", LogLevel.info)
    if level >= LogLevel.error and event.get("log_format") not in documented:
        return f"logged at level {level.name}: {text}"
    if event.get("log_format") is not None and "nable to format" in text:
        return f"cannot be formatted: {text!r}"
    if len(text) > LONGEST_LINE:
        return f"a line of {len(text)} characters in the log: {text[:100]!r}..."
    if not text.isprintable():
        return f"control characters in the log: {text!r}"
    return None


@contextmanager
def watching(documented: frozenset[str] = frozenset()) -> Iterator[None]:
    """
    Fail at the end if something was logged that should not be.

    @param documented: Formats of errors that may be logged.
    """
    objections: list[str] = []

    def observe(event: LogEvent) -> None:
        found = objection(event, documented)
        if found is not None:
            objections.append(found)

    observer = cast(ILogObserver, observe)
    globalLogPublisher.addObserver(observer)
    try:
        yield
        # A Deferred whose failure nobody has taken says so when it goes away.
        gc.collect()
    finally:
        globalLogPublisher.removeObserver(observer)
    demand(not objections, "; ".join(objections[:3]))


def settle(clock: Clock) -> None:
    """
    Let everything happen that waits for the next turn of the reactor only.
    """
    for _ in range(8):
        clock.advance(0)


def expire(clock: Clock, seconds: float = 120.0) -> None:
    """
    Let so much time pass that every timer has done its work.

    @raise Violation: One is left.
    """
    end = clock.seconds() + seconds
    while clock.seconds() < end:
        clock.advance(1)
    left = clock.getDelayedCalls()
    demand(not left, f"timers are left: {left}")
