"""
Waiting for something to happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.system.scenario import Failed

T = TypeVar("T")

PATIENCE = 180.0
"""Seconds.  Nothing is decided by how long something took: this only ends what is broken."""

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
"""Seconds between two looks, more and more: where the host has little time for the
machine, those who look must not keep from working those whom they look at."""


def waitFor(what: str, condition: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """
    The first true value of a condition.

    @raise Failed: There was none in time.
    """
    end = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {patience:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
