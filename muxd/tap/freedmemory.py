# -*- test-case-name: tests.tap.test_freedmemory -*-
"""
Giving back to the system what a peak of memory has left.

A daemon keeps what it has freed (L{muxd.tap.process.keepFreedMemory}), as it needs it again for
the next packet.  What five hundred clients needed for a moment it does not need again, and a
process that stays as large as it has ever been is what a flood is after.  So it is looked at from
time to time how large this one is, and what is free is given back when that is much more
than it was before and there is little to do: to give back a hundred megabytes takes some
milliseconds, and so does taking them again.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EVERY = 2.0
"""Seconds between two looks."""

LONGEST = 60.0
"""
Seconds after which it is given back whatever there is to do; and between two attempts if the
last one has given little.
"""

SPARE = 32 << 20
"""Bytes beyond the smallest size that there has been that are left alone."""

LITTLE = SPARE // 4
"""Bytes that were not worth giving back."""

CALM = 0.1
"""The processor's time, of the time that has gone by, with which there is little to do."""

KEPT = 16 << 20
"""Bytes that are kept at the end of the heap (M_TOP_PAD in L{muxd.tap.process})."""


def residentSize(path: str = "/proc/self/statm") -> int | None:
    """
    How much memory this process has, in bytes; None if the system does not tell in this way.
    """
    try:
        with open(path, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def giveBack(load: Callable[[None], ctypes.CDLL] = ctypes.CDLL) -> None:
    """
    Give what is free back to the system, where the C library can.
    """
    with suppress(OSError, AttributeError):
        load(None).malloc_trim(ctypes.c_size_t(KEPT))


class FreedMemory:
    """
    Looks how large this process is, and gives back what it does not need.

    @ivar given: How often something was given back.
    """

    def __init__(
        self,
        clock: IReactorTime,
        size: Callable[[], int | None] = residentSize,
        worked: Callable[[], float] = time.process_time,
        giveBack: Callable[[], None] = giveBack,
    ) -> None:
        """
        @param size: Tells how large this process is.
        @param worked: Tells how many seconds of a processor it has had.
        @param giveBack: Gives back what is free.
        """
        self.given = 0
        self._clock = clock
        self._size = size
        self._worked = worked
        self._giveBack = giveBack
        self._next: IDelayedCall | None = None
        self._least = 0
        self._before = 0.0
        self._looked = self._tried = 0.0
        self._pause = EVERY

    def start(self) -> None:
        """
        Look from now on until the process ends, where the system tells how large it is.
        """
        size = self._size()
        if size is not None and self._next is None:
            self._least = size
            self._tried = self._clock.seconds()
            self._note()
            self._next = self._clock.callLater(EVERY, self._look)

    def _note(self) -> None:
        self._looked, self._before = self._clock.seconds(), self._worked()

    def _look(self) -> None:
        size = self._size()
        if size is not None:
            self._judge(size)
        # Else no file could be opened for this once, which tells nothing of the size.
        self._note()
        self._next = self._clock.callLater(EVERY, self._look)

    def _judge(self, size: int) -> None:
        now = self._clock.seconds()
        isCalm = self._worked() - self._before < CALM * (now - self._looked)
        waited = now - self._tried
        if size > self._least + SPARE and waited >= (self._pause if isCalm else LONGEST):
            self._giveBack()
            self.given += 1
            self._tried = now
            left = self._size()
            if left is None:
                return
            self._pause = EVERY if size - left >= LITTLE else min(2 * self._pause, LONGEST)
            size = left
        elif size <= self._least + SPARE:
            self._pause = EVERY
        self._least = min(self._least, size)
