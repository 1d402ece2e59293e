# -*- test-case-name: tests.device.test_opening -*-
"""
The deadlines of many that all have as long as the others.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Due(Protocol):
    """
    What has a deadline.
    """

    def timedOut(self) -> None:
        """
        It is over.
        """


class Deadlines:
    """
    All have as long, so the first that comes is the first that is due, and one timer does
    for all of them: most are met, and then a timer each would have been made for nothing.
    It is not cancelled either when the last one is met, as the next may follow at once: it
    finds nothing to do when its time comes.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        """
        @param seconds: How long each has.
        """
        self._clock = clock
        self._seconds = seconds
        self._began: dict[Due, float] = {}
        self._timer: IDelayedCall | None = None

    def add(self, one: Due, began: float) -> None:
        """
        The time of one begins, or has begun: now, by the clock.
        """
        self._began[one] = began
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._expired)

    def remove(self, one: Due) -> None:
        """
        One has no deadline any more.  Harmless if it had none.
        """
        self._began.pop(one, None)

    def stop(self) -> None:
        """
        None has one any more, nor will have: leave no timer behind.
        """
        self._began.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        try:
            for one, began in list(self._began.items()):
                if began + self._seconds > now:
                    break
                # What is told may have ended others.
                if self._began.pop(one, None) is not None:
                    one.timedOut()
        finally:
            if self._began and self._timer is None:
                due = next(iter(self._began.values())) + self._seconds
                self._timer = self._clock.callLater(max(due - now, 0), self._expired)
