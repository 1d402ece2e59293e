# -*- test-case-name: tests.integration.test_killed -*-
"""
A daemon that is killed at a chosen moment of its work with pair records.

C{python -m tests.integration.killing NUMBER ARGUMENTS} is C{twistd} with these
arguments, which gets SIGKILL right before its NUMBERth call to the system that
concerns the directory of pair records.  Between two such calls nothing changes
on the disk, so all numbers together are all moments that there are.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CALLS = ("chmod", "fsync", "link", "mkdir", "open", "rename", "replace", "rmdir", "unlink", "write")
DIRECTORY = "/lockdown"


def concerns(argument: object) -> bool:
    """
    Whether a call with this first argument is about pair records.
    """
    if isinstance(argument, int):
        argument = os.readlink(f"/proc/self/fd/{argument}")
    return isinstance(argument, str) and DIRECTORY in argument


class Executioner:
    """
    Counts calls.

    @ivar left: How many calls there may be yet.
    """

    def __init__(self, number: int) -> None:
        self.left = number - 1

    def watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """
        The same call, if we live to make it.
        """

        def perform(*arguments: Any, **others: Any) -> Any:
            if concerns(arguments[0]):
                if self.left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.left -= 1
            return call(*arguments, **others)

        return perform


def main(number: int) -> None:
    """
    Be C{twistd}.
    """
    from twisted.scripts.twistd import run

    executioner = Executioner(number)
    for name in CALLS:
        setattr(os, name, executioner.watched(getattr(os, name)))
    run()


if __name__ == "__main__":
    chosen = int(sys.argv.pop(1))
    sys.argv[0] = "twistd"
    main(chosen)
