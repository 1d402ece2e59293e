"""
What C{make unit} runs: neither tests that start processes nor those that take seconds.
"""

from __future__ import annotations

from typing import TypeVar

from tests.running.processes import classAndMethod, mayStartProcesses

_T = TypeVar("_T")


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
