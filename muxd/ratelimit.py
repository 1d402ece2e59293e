# -*- test-case-name: tests.test_ratelimit -*-
"""
Repeated trouble, told without flooding the log.

Some programs ask every second for a device or a pair record that is not there.
The first few are worth a line each; of the rest, one line per interval says how
many there were.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST_ORIGINS = 16
"""So many origins of a kind are told apart."""

OTHERS = "others"
"""The origin of all beyond these."""


@dataclass(slots=True)
class _Window:
    """
    One kind of trouble, of one origin, in the present interval.
    """

    began: float
    seen: int = 0
    suppressed: int = 0
    summary: IDelayedCall | None = None


class RateLimit:
    """
    Admits the first few of each kind per interval and summarises the others.

    Kinds are chosen by the program, never by a peer: there is memory for each.  So there is for
    a few origins of each kind, such as users; the others are taken together.
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
        self._windows: dict[str, dict[Hashable, _Window]] = {}

    def admit(self, kind: str, origin: Hashable = None) -> bool:
        """
        Whether this one is to be told.

        @param origin: Whose trouble it is: one that has much of it does not hide another's.
        """
        now = self._clock.seconds()
        windows = self._windows.setdefault(kind, {})
        if origin not in windows and len(windows) >= MOST_ORIGINS:
            self._forget(windows, now)
            if len(windows) >= MOST_ORIGINS:
                origin = OTHERS
        window = windows.get(origin)
        if window is None or self._isOver(window, now):
            window = windows[origin] = _Window(now)
        window.seen += 1
        if window.seen <= self._burst:
            return True
        window.suppressed += 1
        if window.summary is None:
            remaining = max(0.0, window.began + self._interval - now)
            window.summary = self._clock.callLater(remaining, self._over, kind, origin)
        return False

    def stop(self) -> None:
        """
        Summarise now what was held back, and leave no timer behind.
        """
        for kind, windows in self._windows.items():
            for origin, window in list(windows.items()):
                if window.summary is not None:
                    window.summary.cancel()
                    self._over(kind, origin)
        self._windows.clear()

    def _isOver(self, window: _Window, now: float) -> bool:
        return window.summary is None and now - window.began >= self._interval

    def _forget(self, windows: dict[Hashable, _Window], now: float) -> None:
        """
        Forget origins that have had no trouble of late.
        """
        for origin in [each for each, window in windows.items() if self._isOver(window, now)]:
            del windows[origin]

    def _over(self, kind: str, origin: Hashable) -> None:
        window = self._windows[kind].pop(origin)
        text = kind if origin is None else f"{kind} ({origin})"
        self._summarise(text, window.suppressed)


class Pace:
    """
    Lets so much happen at once, and then so much in each second.

    It begins when something happens first: one that is made before the service that it belongs
    to starts may be given another clock then.
    """

    def __init__(self, clock: IReactorTime, most: float, eachSecond: float) -> None:
        """
        @param most: How often something may happen at once.
        @param eachSecond: How often in each second, in the long run.
        """
        self._clock = clock
        self._most = self._left = most
        self._eachSecond = eachSecond
        self._since: float | None = None

    def take(self) -> bool:
        """
        Whether it may happen once more, now; it counts if so.
        """
        now = self._clock.seconds()
        since = now if self._since is None else self._since
        gained = (now - since) * self._eachSecond
        self._left, self._since = min(self._most, self._left + gained), now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def spend(self) -> None:
        """
        Count what happens with something that may; if need be, the next has to wait for it.
        """
        self._left -= 1
