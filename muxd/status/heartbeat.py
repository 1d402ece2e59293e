# -*- test-case-name: tests.status.test_heartbeat -*-
"""
The reactor's own heartbeat: each second, how late that was, and how much was carried.

It is kept for five minutes, so that a page that is opened now has something to draw.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.device.muxer import Muxer

PERIOD = 1.0
"""Seconds between two beats."""

KEPT = 300
"""Beats that are kept."""

RECENT = 60
"""Beats that are looked at to say how late the reactor is."""


@dataclass(frozen=True, slots=True)
class Beat:
    """
    One of them.

    @ivar at: When it was, by the reactor's clock.
    @ivar late: How many seconds after it was due.
    @ivar toPhones: Bytes since the one before.
    @ivar fromPhones: Bytes since the one before.
    """

    at: float
    late: float
    toPhones: int
    fromPhones: int


class Heartbeat:
    """
    The last five minutes.

    @ivar beats: What they were like, the oldest first.
    """

    def __init__(self, clock: IReactorTime, muxers: Callable[[], list[Muxer]]) -> None:
        """
        @param muxers: Gives those of all phones.
        """
        self.beats: deque[Beat] = deque(maxlen=KEPT)
        self._clock = clock
        self._muxers = muxers
        self._before: dict[Muxer, tuple[int, int]] = {}
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """
        Begin.
        """
        if self._timer is None:
            self._carried()
            self._next()

    def stop(self) -> None:
        """
        End.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def lateness(self) -> float:
        """
        How late the reactor was at the worst of the last minute's beats, or is now, in
        seconds.
        """
        recent = list(self.beats)[-RECENT:]
        now = self._clock.seconds() - self._due if self._timer is not None else 0.0
        return max([0.0, now, *(beat.late for beat in recent)])

    def _next(self) -> None:
        self._due = self._clock.seconds() + PERIOD
        self._timer = self._clock.callLater(PERIOD, self._beat)

    def _beat(self) -> None:
        now = self._clock.seconds()
        toPhones, fromPhones = self._carried()
        self.beats.append(Beat(now, max(now - self._due, 0.0), toPhones, fromPhones))
        self._next()

    def _carried(self) -> tuple[int, int]:
        """
        What has been carried since this was asked before.
        """
        before, self._before = self._before, {}
        toPhones = fromPhones = 0
        for muxer in self._muxers():
            counters = muxer.counters
            sent, received = counters.bytesSent, counters.bytesReceived
            sentBefore, receivedBefore = before.get(muxer, (0, 0))
            toPhones += sent - sentBefore
            fromPhones += received - receivedBefore
            self._before[muxer] = sent, received
        return toPhones, fromPhones
