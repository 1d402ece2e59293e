# -*- test-case-name: tests.fleet.test_attempts -*-
"""
Attempts, of which one is to succeed: one after the other where they fail, and beside each other
where they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

P = TypeVar("P")
T = TypeVar("T")


class Attempts(Generic[P, T]):
    """
    Attempts at several places.

    @ivar result: Fires with the first place where it succeeds, and what comes of it there; the
        others are cancelled.  It fails as the last one does.  It can be cancelled.
    """

    def __init__(
        self,
        clock: IReactorTime,
        places: Iterable[P],
        attempt: Callable[[P], Deferred[T]],
        apart: float,
        failed: Callable[[P], object],
    ) -> None:
        """
        @param places: In the order in which they are tried.
        @param apart: Seconds until the next place is tried beside one of which nothing is heard.
        @param failed: Called with each where it fails.
        """
        self.result: Deferred[tuple[P, T]] = Deferred(lambda _: self._end())
        self._clock = clock
        self._left = list(places)
        self._attempt = attempt
        self._apart = apart
        self._failed = failed
        self._trying: list[Deferred[T]] = []
        self._timer: IDelayedCall | None = None
        self._isOver = False

    def start(self) -> Deferred[tuple[P, T]]:
        """
        Begin.
        """
        self._next()
        return self.result

    def _next(self) -> None:
        place = self._left.pop(0)
        self._stopTimer()
        if self._left:
            self._timer = self._clock.callLater(self._apart, self._next)
        trying: Deferred[T] = maybeDeferred(self._attempt, place)

        def done(result: T | Failure) -> None:
            self._trying.remove(trying)
            if self._isOver:
                return
            if not isinstance(result, Failure):
                self._end()
                self.result.callback((place, result))
                return
            self._failed(place)
            if self._left:
                self._next()
            elif not self._trying:
                self._isOver = True
                self.result.errback(result)

        self._trying.append(trying)
        trying.addBoth(done)

    def _end(self) -> None:
        self._isOver = True
        self._stopTimer()
        for each in list(self._trying):
            each.cancel()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
