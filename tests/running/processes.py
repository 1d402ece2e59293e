"""
The rule for tests that start processes: they say so.

C{make unit} leaves them out.  Every other test that starts one fails, whichever
way it is run, so that nothing has to be kept in a list.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, TypeVar

from twisted.python.reflect import namedAny

_T = TypeVar("_T")

EVENTS = frozenset(
    {
        "subprocess.Popen",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
    }
)
"""The audit events of a process that starts (Python's "audit events table")."""


def startsProcesses(thing: _T) -> _T:
    """
    Decorate a test, or a class of tests and its subclasses, that starts processes.
    """
    thing.startsProcesses = True  # type: ignore[attr-defined]
    return thing


@cache
def _class(name: str) -> object:
    """
    What has this name: it is asked for with each test of the class, and finding it takes as long
    as a small test.
    """
    try:
        return namedAny(name)
    except Exception:
        # A module that cannot be imported says so when the test is loaded.
        return None


def classAndMethod(test: str) -> tuple[object, ...]:
    """
    What the id of a test names; nothing, if that is no test.
    """
    case, _, name = test.rpartition(".")
    found = _class(case)
    return (found, getattr(found, name)) if hasattr(found, name) else ()


def mayStartProcesses(test: str) -> bool:
    """
    Whether the test with this id, or its class, is marked as one that starts
    processes.  What is no test is not.
    """
    return any(hasattr(thing, "startsProcesses") for thing in classAndMethod(test))


class Guard:
    """
    Keeps tests that are not marked from starting processes.

    @ivar offence: What the test that runs has done, or an empty string.
    """

    def __init__(self) -> None:
        self.offence = ""
        self._forbidden = False

    def install(self) -> None:
        """
        Have this process watched, until it ends.
        """
        sys.addaudithook(self.audit)

    def startTest(self, test: str) -> None:
        """
        The test with this id starts.
        """
        self.offence = ""
        self._forbidden = not mayStartProcesses(test)

    def stopTest(self) -> None:
        """
        It has ended.
        """
        self._forbidden = False

    def audit(self, event: str, arguments: Any) -> None:
        """
        Something happens.
        """
        if self._forbidden and event in EVENTS:
            self.offence = (
                f"{event}: a test that starts a process has to be decorated with"
                f" @startsProcesses (tests.running.processes); this one has started"
                f" {arguments!r:.200}"
            )
            raise AssertionError(self.offence)
