# -*- test-case-name: tests.integration.test_killed -*-
"""
A daemon that is killed at a chosen moment of its work with pair records.

C{python -m tests.integration.killing NUMBER ARGUMENTS} is C{twistd} with these
arguments, which gets SIGKILL at the NUMBERth thing that it does to the directory of
pair records: right before a call to the system, or with half of what it writes
written.  Nothing else changes the disk, so all numbers together are all moments
that there are.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CALLS = ("chmod", "fsync", "link", "mkdir", "open", "rename", "replace", "rmdir", "unlink")
DIRECTORY = "/lockdown"


def concerns(argument: object) -> bool:
    """
    Whether a call with this first argument, or in this directory, is about pair records.
    """
    if isinstance(argument, int):
        argument = os.readlink(f"/proc/self/fd/{argument}")
    return isinstance(argument, str) and DIRECTORY in argument


class Executioner:
    """
    Counts what is done.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self._open: Any = open

    def isDue(self) -> bool:
        """
        Whether this one is the last.
        """
        self._left -= 1
        return self._left == 0

    def kill(self) -> None:
        """
        End this process.
        """
        os.kill(os.getpid(), signal.SIGKILL)

    def open(self, file: Any, mode: str = "r", *arguments: Any, **others: Any) -> Any:
        """
        Open a file, in place of the function of that name and of C{os.fdopen}.
        """
        if mode == "rb" or not concerns(file):
            return self._open(file, mode, *arguments, **others)
        if mode != "wb":
            raise ValueError(f"how to kill a writer of mode {mode!r} is not known here")
        if isinstance(file, str) and self.isDue():
            self.kill()
        return Written(self, io.FileIO(file, "wb"))

    def watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """
        The same call, if we live to make it.
        """

        def perform(*arguments: Any, **others: Any) -> Any:
            directory = others.get("dir_fd", others.get("src_dir_fd"))
            if any(map(concerns, (arguments[0], directory))) and self.isDue():
                self.kill()
            return call(*arguments, **others)

        return perform


class Written(io.BufferedWriter):
    """
    A file that is written to.
    """

    def __init__(self, executioner: Executioner, raw: io.FileIO) -> None:
        super().__init__(raw)
        self._executioner = executioner

    def write(self, data: Any) -> int:
        """
        Write all of it, or die in the middle.
        """
        if self._executioner.isDue():
            super().write(data[: len(data) // 2])
            self.flush()
            self._executioner.kill()
        return super().write(data)


def main(number: int) -> None:
    """
    Be C{twistd}.
    """
    from twisted.scripts.twistd import run

    executioner = Executioner(number)
    for name in CALLS:
        setattr(os, name, executioner.watched(getattr(os, name)))
    for module, name in ((builtins, "open"), (os, "fdopen")):
        setattr(module, name, executioner.open)
    run()


if __name__ == "__main__":
    chosen = int(sys.argv.pop(1))
    sys.argv[0] = "twistd"
    main(chosen)
