# -*- test-case-name: tests.integration.test_killed -*-
"""
Daemons that are killed at a chosen moment of their work with pair records.

C{python -m tests.integration.killing} imports once what a daemon is made of, and then is
C{twistd} for each line of its standard input, one after the other: a JSON list of a number, a
directory and arguments.  For each it has a child, which gets SIGKILL at the NUMBERth thing that
it does to the directory of pair records: right before a call to the system, or with half of what
it writes written.  Nothing else changes the disk, so all numbers together are all moments that
there are.  It writes the child's process ID in a line, and its exit status in another, as
L{subprocess} has it.  What a child logs is in F{log} in its directory.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

CALLS = ("chmod", "fsync", "link", "mkdir", "open", "rename", "replace", "rmdir", "unlink")
DIRECTORY = "/lockdown"

IMPORTED = (
    "twisted.scripts.twistd",
    "muxd.tap.usbmuxd",
    "muxd.lockdown.certificates",
    "muxd.phone.services.standard",
    "muxd.phone.source",
    "muxd.usb.parser",
    "muxd.usb.source",
    "muxd.wifi.parser",
)
"""What takes long; a child imports the rest, and the reactor, as any daemon does."""


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


def be(number: int, directory: str, arguments: Sequence[str]) -> None:
    """
    Be C{twistd}.
    """
    os.chdir(directory)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for theirs, ours in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(theirs, ours)
    os.close(log)
    os.close(nothing)
    from twisted.scripts.twistd import run

    executioner = Executioner(number)
    for name in CALLS:
        setattr(os, name, executioner.watched(getattr(os, name)))
    for module, name in ((builtins, "open"), (os, "fdopen")):
        setattr(module, name, executioner.open)
    sys.argv = ["twistd", *arguments]
    run()


def main() -> None:
    """
    Have one child after the other.
    """
    for name in IMPORTED:
        import_module(name)
    # That is the child's to do: a reactor is not for two.
    assert "twisted.internet.reactor" not in sys.modules
    for line in sys.stdin:
        number, directory, arguments = json.loads(line)
        child = os.fork()
        if not child:
            status: object = 1
            try:
                be(number, directory, arguments)
                status = 0
            except SystemExit as ended:
                status = ended.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status if isinstance(status, int) else 1)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


class Victims:
    """
    Starts daemons that are to be killed, one after the other.
    """

    def __init__(self, project: Path) -> None:
        """
        @param project: The directory with the sources.
        """
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.killing"],
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._child = 0
        self._status: int | None = None

    def __enter__(self) -> Victims:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child and self.poll() is None:
            self.signal(signal.SIGKILL)
        self._parent.communicate()

    def start(self, number: int, directory: Path, arguments: Sequence[str]) -> None:
        """
        Start one; the one before has ended.
        """
        assert self._parent.stdin is not None
        request = json.dumps([number, str(directory), list(arguments)])
        self._parent.stdin.write(f"{request}\n".encode())
        self._parent.stdin.flush()
        self._child, self._status = self._number(), None

    def poll(self) -> int | None:
        """
        The exit status, if it has ended; less than 0, it was a signal.
        """
        assert self._parent.stdout is not None
        if self._status is None and select.select([self._parent.stdout], [], [], 0)[0]:
            self._status = self._number()
        return self._status

    def signal(self, number: signal.Signals) -> int:
        """
        Send it a signal, and wait for its end.

        @return: the exit status.
        """
        if self.poll() is None:
            os.kill(self._child, number)
            self._status = self._number()
        assert self._status is not None
        return self._status

    def _number(self) -> int:
        assert self._parent.stdout is not None
        return int(self._parent.stdout.readline())


if __name__ == "__main__":
    main()
