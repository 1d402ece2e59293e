"""
What C{make unit} runs: neither tests that start processes nor those that take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

from tests.running.processes import classAndMethod, mayStartProcesses

_T = TypeVar("_T")

MEMORY = "/dev/shm"
"""Where Linux has a directory in memory."""

ROOM = 2**30
"""How many bytes have to be free there; the tests need a fraction of it."""


def takesSeconds(thing: _T) -> _T:
    """
    Decorate a test, or a class of tests and its subclasses, that is a load: hundreds of plans,
    a gigabyte, each input that a fuzzer ever kept.  It runs with all others, but not with
    those that are run after each change.
    """
    thing.takesSeconds = True  # type: ignore[attr-defined]
    return thing


def isUnit(test: str) -> bool:
    """
    Whether C{make unit} runs the test with this id.  What is no test is told by it.
    """
    if mayStartProcesses(test):
        return False
    return not any(hasattr(thing, "takesSeconds") for thing in classAndMethod(test))


def memoryDirectory(
    outside: Mapping[str, str] = os.environ, memory: str = MEMORY, room: int = ROOM
) -> str | None:
    """
    Where C{make unit} has a directory for what its tests write: in memory, so that none waits for
    a disk.

    @param outside: The environment, which may ask for another place.
    @param memory: The directory in memory.
    @param room: How many bytes have to be free there.
    @return: None if there is no place for it, or another one is asked for.
    """
    if "TMPDIR" in outside:
        return None
    try:
        there = os.statvfs(memory)
    except OSError:
        return None
    unfit = there.f_flag & (os.ST_RDONLY | os.ST_NOEXEC) or not os.access(memory, os.W_OK)
    enough = there.f_bavail * there.f_frsize >= room
    return memory if enough and not unfit else None
