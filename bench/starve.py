# -*- test-case-name: tests.bench.test_starve -*-
"""
A process that gets a share of a processor and no more, as on a machine that has much else to do;
without the load.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Event, Thread

STEP = 0.005
"""Seconds between two looks."""

MOST_SAVED = 0.02
"""Seconds of a processor that may be used at once, after none was used for a while."""


class Budget:
    """
    How much of a processor may be used by now.
    """

    def __init__(self, share: float, now: float, used: float) -> None:
        """
        @param share: Of a processor, such as 0.08.
        @param used: Seconds of it that were used before.
        """
        self._share = share
        self._now = now
        self._used = used
        self._saved = 0.0

    def mayRun(self, now: float, used: float) -> bool:
        """
        Whether there is something left, now that so much has been used.
        """
        earned = (now - self._now) * self._share
        self._saved = min(MOST_SAVED, self._saved + earned) - (used - self._used)
        self._now, self._used = now, used
        return self._saved > 0


class Starving(Thread):
    """
    Stops a process whenever it has used its share, and lets it go on later.
    """

    def __init__(self, pid: int, share: float) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._share = share
        self._over = Event()

    def end(self) -> None:
        """
        Let it have all that it can get.
        """
        self._over.set()
        self.join()

    def run(self) -> None:
        """
        Until L{end}, or until there is no such process.
        """
        try:
            budget, runs = Budget(self._share, time.monotonic(), self._used()), True
            while not self._over.wait(STEP):
                mayRun = budget.mayRun(time.monotonic(), self._used())
                if mayRun != runs:
                    # Each signal wakes it up, so there is none without need.
                    os.kill(self._pid, signal.SIGCONT if mayRun else signal.SIGSTOP)
                    runs = mayRun
            os.kill(self._pid, signal.SIGCONT)
        except OSError:
            # It has ended.
            pass

    def _used(self) -> float:
        return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[0]) / 1e9
