# -*- test-case-name: tests.fuzz.test_metering -*-
"""
What an input may cost: memory that is held, and what one turn does.

A turn is what the reactor would do without looking at anyone else.  What it does is counted
in lines of Python, which are the same on each machine, wherever no other tool follows them;
under atheris its time on the CPU counts, too, as most of what is slow in C has no lines.  What
is too slow there has to be so without it, before it is called a failure.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from types import FrameType
from typing import Any

from tests.fuzz.watching import Violation

TRIES = 3
"""How often an input has to be too expensive before that is said of it."""

FUZZING = "MUXD_FUZZING"
"""In the environment of a fuzzer, which has no time to count the lines of each input."""

TIMED = "MUXD_FUZZING_TIMED"
"""In the environment of a process without a fuzzer where the CPU's time counts, and not lines."""

SAMPLE = 16
"""Of so many inputs of a fuzzer, the lines of one are counted."""


class Expense(Violation):
    """
    An input costs more than it may.
    """


def confirmed(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """
    Have what is too expensive tried again, and raised only if it is so each time.

    The first input of a process pays for what is kept for all others (what is imported
    late, tables of the interpreter that follows lines), and an input on a busy machine
    for what another one has thrown out of the caches.  A defect is there each time.

    @param run: Takes an input, and raises if something happens that should not.
    """

    @wraps(run)
    def again(data: bytes) -> None:
        for _ in range(TRIES - 1):
            try:
                run(data)
            except Expense:
                gc.collect()
            else:
                return
        run(data)

    return again


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    What an input may cost.

    @ivar held: Bytes that are held after a turn, whatever was sent.
    @ivar perByte: More of them, for each byte of the input.
    @ivar peak: Bytes that are needed within a turn.
    @ivar lines: Of Python, in a turn.
    @ivar seconds: On the CPU, in a turn.
    """

    held: int = 5 << 18
    perByte: int = 64
    peak: int = 8 << 20
    lines: int = 300_000
    seconds: float = 0.4


BOUNDS = Bounds()


class Meter:
    """
    Looks at what each turn costs.

    @ivar held: The most that was held after a turn, in bytes.
    @ivar peak: The most that was needed within one.
    @ivar lines: The most lines of one; 0 if they are not counted.
    """

    def __init__(
        self, size: int, bounds: Bounds, counts: bool, clock: Callable[[], float] | None
    ) -> None:
        """
        @param size: Of the input, in bytes.
        @param counts: Whether lines are counted.
        @param clock: Seconds on the CPU, if they are to count.
        """
        self.held = self.peak = self.lines = 0
        self._size = size
        self._bounds = bounds
        self._counts = counts
        self._clock = clock
        self._count = 0
        self._before = tracemalloc.get_traced_memory()[0]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """
        Let something happen.

        @raise Expense: It costs more than it may.
        """
        tracemalloc.reset_peak()
        began = 0.0 if self._clock is None else self._clock()
        self._count = 0
        if self._counts:
            sys.settrace(self._trace)
        try:
            yield
        finally:
            if self._counts:
                sys.settrace(None)
        seconds = 0.0 if self._clock is None else self._clock() - began
        self._look(seconds)

    def _look(self, seconds: float) -> None:
        bounds = self._bounds
        allowed = bounds.held + bounds.perByte * self._size
        if tracemalloc.get_traced_memory()[0] - self._before > allowed:
            # What nothing refers to is not held, however long the collector takes to see it.
            gc.collect()
        held, peak = (each - self._before for each in tracemalloc.get_traced_memory())
        self.held, self.peak = max(held, self.held), max(peak, self.peak)
        self.lines = max(self._count, self.lines)
        size = self._size
        for isMore, text in (
            (held > allowed, f"{held} bytes are held for {size} bytes that were sent"),
            (peak > bounds.peak, f"a turn needs {peak} bytes for {size} bytes that were sent"),
            (self._count > bounds.lines, f"a turn has {self._count} lines of Python"),
            (seconds > bounds.seconds, f"a turn takes {seconds:.2f} s of the CPU"),
        ):
            if isMore:
                raise Expense(text)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        """
        A function begins: have its lines counted.
        """
        return self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._count += 1
        return self._line


@contextmanager
def metering(data: bytes, bounds: Bounds = BOUNDS) -> Iterator[Meter]:
    """
    Bound what an input costs.
    """
    isFuzzing = FUZZING in os.environ
    isTimed = isFuzzing or TIMED in os.environ
    isSample = zlib.crc32(data) % SAMPLE == 0 if isFuzzing else not isTimed
    counts = sys.gettrace() is None and isSample
    wasTracing = tracemalloc.is_tracing()
    if not wasTracing:
        tracemalloc.start()
    try:
        yield Meter(len(data), bounds, counts, time.thread_time if isTimed else None)
    finally:
        # A fuzzer's next input wants it again.
        if not wasTracing and not isFuzzing:
            tracemalloc.stop()
