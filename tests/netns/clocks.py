# -*- test-case-name: tests.netns.test_embedded,tests.netns.test_etcd -*-
"""
The time of day of some processes, which is set while they run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from unittest import SkipTest

from tests.integration.daemon import REQUIRED


class FakeClock:
    """
    A clock of processes that ask the C library for the time; the steady clock is left alone.

    @ivar environment: Of such a process.
    """

    def __init__(self, file: Path) -> None:
        """
        @param file: Has what it is set to.
        @raise SkipTest: libfaketime is not installed.
        """
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            reason = "libfaketime is not installed (Debian: libfaketime)"
            if REQUIRED in os.environ:
                raise AssertionError(reason)
            raise SkipTest(reason)
        self._file = file
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set(0)

    def set(self, seconds: float) -> None:
        """
        Set it to so much after the real time.
        """
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._file)

    @staticmethod
    def tidy() -> None:
        """
        Remove what the library has left in memory of processes that were killed.
        """
        for path in Path("/dev/shm").glob("*faketime_*"):
            pid = path.name.rpartition("_")[2]
            if pid.isdigit() and not Path("/proc", pid).exists():
                path.unlink(missing_ok=True)
