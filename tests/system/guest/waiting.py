"""
Waiting for something to happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.system.scenario import Failed

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds.  Nothing is decided by how long something took: this only ends what is broken."""

_PAUSE = 0.05


def waitFor(what: str, condition: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """
    The first true value of a condition.

    @raise Failed: There was none in time.
    """
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"waited {patience:g} s for {what}")
        time.sleep(_PAUSE)
