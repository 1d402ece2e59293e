# -*- test-case-name: tests.test_ratelimit -*-
"""
Repeated trouble, told without flooding the log.

Some programs ask every second for a device or a pair record that is not there.
The first few are worth a line each; of the rest, one line per interval says how
many there were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime


@dataclass(slots=True)
class _Window:
    """
    One kind of trouble in the present interval.
    """

    began: float
    seen: int = 0
    suppressed: int = 0
    summary: IDelayedCall | None = None


class RateLimit:
    """
    Admits the first few of each kind per interval and summarises the others.

    Kinds are chosen by the program, never by a peer: there is memory for each.
    """

    def __init__(
        self,
        clock: IReactorTime,
        summarise: Callable[[str, int], None],
        burst: int = 5,
        interval: float = 60.0,
    ) -> None:
        """
        @param summarise: Called with a kind and how many were held back, at the
            end of an interval in which some were.
        @param burst: How many of a kind are admitted per interval.
        @param interval: Seconds.
        """
        self._clock = clock
        self._summarise = summarise
        self._burst = burst
        self._interval = interval
        self._windows: dict[str, _Window] = {}

    def admit(self, kind: str) -> bool:
        """
        Whether this one is to be told.
        """
        now = self._clock.seconds()
        window = self._windows.get(kind)
        if window is None or (window.summary is None and now - window.began >= self._interval):
            window = self._windows[kind] = _Window(now)
        window.seen += 1
        if window.seen <= self._burst:
            return True
        window.suppressed += 1
        if window.summary is None:
            remaining = max(0.0, window.began + self._interval - now)
            window.summary = self._clock.callLater(remaining, self._over, kind)
        return False

    def stop(self) -> None:
        """
        Summarise now what was held back, and leave no timer behind.
        """
        for kind, window in list(self._windows.items()):
            if window.summary is not None:
                window.summary.cancel()
                self._over(kind)
        self._windows.clear()

    def _over(self, kind: str) -> None:
        window = self._windows.pop(kind)
        self._summarise(kind, window.suppressed)
