# -*- test-case-name: tests.fleet.test_patience -*-
"""
Time-outs of a process that may be too busy to read what has come.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")

LATE = 1.0
"""Seconds by which a timer has to be late for this process to have done nothing meanwhile; and
for which it waits then, as the answer may have come and not have been read."""


def inTime(awaited: Deferred[T], seconds: float, clock: IReactorTime) -> Deferred[T]:
    """
    Cancel something that does not come in time; it fails with Python's C{TimeoutError} then.

    Timers are called before sockets are read.  So after a while in which this process got no
    processor everything would be too late at once, would be asked for again, and make it busier
    than it was.
    """
    due = clock.seconds() + seconds
    isLate = False
    timer: IDelayedCall

    def late() -> None:
        nonlocal due, isLate, timer
        now = clock.seconds()
        if now - due > LATE:
            due = now + LATE
            timer = clock.callLater(LATE, late)
        else:
            isLate = True
            awaited.cancel()

    def ended(result: T | Failure) -> T | Failure:
        if timer.active():
            timer.cancel()
        if isLate and isinstance(result, Failure):
            return Failure(TimeoutError(f"nothing has come for {seconds:g} s"))
        return result

    timer = clock.callLater(seconds, late)
    return awaited.addBoth(ended)
