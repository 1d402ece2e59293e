# -*- test-case-name: tests.bench.test_soakstalls -*-
"""
Stalls of the daemon's reactor, measured by a timer of 10 milliseconds and by how much it
misses.

A machine that has no processor to spare makes every process late.  The kernel knows
how long a thread that could have run did not get to, so that time can be told from
what the daemon itself has spent or waited for.
"""

from __future__ import annotations

import gc
import os
import signal
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 0.010
EDGES = (0.001, 0.002, 0.005, 0.010, 0.020, 0.050, 0.100, 0.200, 0.500)
"""Upper ends of the histogram's classes; one more class has what is beyond."""

LONG = 0.050
"""What takes longer is looked into."""

MOST_KEPT = 40
DEPTH = 7


@dataclass(frozen=True, slots=True)
class Clocks:
    """
    What the kernel says of the reactor's thread.

    @ivar worked: Seconds of processor time that it has had.
    @ivar waited: Seconds for which it could have run and there was no processor.
    """

    worked: float
    waited: float


@dataclass(frozen=True, slots=True)
class Stall:
    """
    A long stall.

    @ivar late: Seconds.
    @ivar own: Of these, those that the daemon worked.
    @ivar waited: Of these, those that it could have worked and had no processor.
    @ivar collecting: Those that Python looked for garbage, by any clock.
    @ivar stack: What was running when it had become long, innermost first.
    """

    late: float
    own: float
    waited: float
    collecting: float
    stack: tuple[str, ...]

    @property
    def blocked(self) -> float:
        """
        The rest: it waited for a disk, say, or the whole machine stood still.
        """
        return max(0.0, self.late - self.own - self.waited)


def threadClocks(descriptor: int) -> Clocks:
    """
    @param descriptor: The thread's C{/proc/.../schedstat}.
    """
    worked, waited, _ = os.pread(descriptor, 100, 0).split()
    return Clocks(int(worked) / 1e9, int(waited) / 1e9)


class Ticker:
    """
    A ticker watches a reactor from within.

    @ivar late: The histogram.
    @ivar own: The same of what the daemon itself has worked meanwhile.
    @ivar long: The long ones.
    """

    def __init__(self, clock: IReactorTime, clocks: Callable[[], Clocks]) -> None:
        """
        @param clocks: Those of the reactor's thread.
        """
        self._clock = clock
        self._clocks = clocks
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self._before = Clocks(0, 0)
        self._collecting = 0.0
        self._collectionBegan = 0.0
        self._stack: tuple[str, ...] = ()
        self._alarm: Callable[[float], object] = _noAlarm
        self.clear()

    def clear(self) -> None:
        """
        Forget what has been.
        """
        self.late = [0] * (len(EDGES) + 1)
        self.own = [0] * (len(EDGES) + 1)
        self.long: list[Stall] = []

    def start(self) -> None:
        """
        Begin to watch.
        """
        if self._call is None:
            self._schedule()

    def stop(self) -> None:
        """
        Do not look for a while.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._alarm(0)

    def watchProcess(self) -> None:
        """
        See when Python looks for garbage, and what runs when a stall has become
        long: for the master of a process.
        """
        gc.callbacks.append(self._collector)
        signal.signal(signal.SIGALRM, self._alarmed)
        signal.siginterrupt(signal.SIGALRM, False)
        self._alarm = partial(signal.setitimer, signal.ITIMER_REAL)

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._before = self._clocks()
        self._collecting = 0.0
        self._stack = ()
        self._call = self._clock.callLater(INTERVAL, self._tick)
        self._alarm(INTERVAL + LONG)

    def _tick(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        clocks = self._clocks()
        own = min(late, clocks.worked - self._before.worked)
        waited = min(late, clocks.waited - self._before.waited)
        self.late[bisect_left(EDGES, late)] += 1
        self.own[bisect_left(EDGES, own)] += 1
        if late > LONG:
            stall = Stall(late, own, waited, self._collecting, self._stack)
            # Those first that are the daemon's doing, or its disk's.
            self.long.append(stall)
            self.long.sort(key=lambda one: one.waited - one.late)
            del self.long[MOST_KEPT:]
        self._schedule()

    def _alarmed(self, number: int, frame: FrameType | None) -> None:
        # Not with the module traceback, which would read all the sources.
        stack: list[str] = []
        while frame is not None and len(stack) < DEPTH:
            code = frame.f_code
            name = os.path.basename(code.co_filename)
            stack.append(f"{name}:{frame.f_lineno} {code.co_name}")
            frame = frame.f_back
        self._stack = tuple(stack)

    def _collector(self, phase: str, information: dict[str, Any]) -> None:
        now = self._clock.seconds()
        if phase == "start":
            self._collectionBegan = now
        else:
            self._collecting += now - self._collectionBegan


def _noAlarm(seconds: float) -> None:
    """
    Set no alarm: the reactor's process belongs to another program.
    """
