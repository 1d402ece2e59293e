# -*- test-case-name: tests.system.test_processes -*-
"""
Processes of the virtual machine, however they were started.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.system.guest.waiting import PATIENCE, waitFor


@dataclass(frozen=True, slots=True)
class User:
    """
    Whom a process runs as.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    What to run.

    @ivar words: A program and its arguments.
    @ivar log: The file for what it writes.
    @ivar environment: Variables beyond those that there are.
    @ivar user: Whom to run it as; C{None} for root.
    """

    words: Sequence[str]
    log: Path
    directory: Path
    environment: Mapping[str, str]
    user: User | None = None


class Process(Protocol):
    """
    One that runs, or has run.
    """

    @property
    def pid(self) -> int:
        """
        Its number.
        """

    def poll(self) -> int | None:
        """
        Its exit status, negative for a signal; C{None} if it runs.
        """


class Executed:
    """
    A process of a program that was loaded from its file.
    """

    def __init__(self, command: Command) -> None:
        user = command.user
        with command.log.open("ab") as log:
            self._process = subprocess.Popen(
                command.words,
                cwd=command.directory,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=user.groups if user else None,
            )

    @property
    def pid(self) -> int:
        """
        Its number.
        """
        return self._process.pid

    def poll(self) -> int | None:
        """
        Its exit status.
        """
        return self._process.poll()


def end(process: Process, number: signal.Signals = signal.SIGTERM) -> int:
    """
    Send a process a signal and wait for its end.

    @return: Its exit status.
    @raise Failed: It goes on.
    """
    if process.poll() is None:
        os.kill(process.pid, number)
    status = waitFor(
        f"process {process.pid} to end after {number.name}",
        lambda: None if process.poll() is None else (process.poll(),),
        PATIENCE,
    )[0]
    assert status is not None
    return status


@dataclass(frozen=True, slots=True)
class Footprint:
    """
    What a process holds.

    @ivar descriptors: Open files, by what they are, sorted.
    @ivar threads: How many.
    @ivar resident: Kilobytes of memory.
    """

    descriptors: tuple[str, ...]
    threads: int
    resident: int

    def isWithin(self, other: Footprint) -> bool:
        """
        Whether there are no more files of any kind, and no more threads, than there.
        """
        more = Counter(self.descriptors) - Counter(other.descriptors)
        return not more and self.threads <= other.threads

    def isLike(self, other: Footprint) -> bool:
        """
        Whether there are as many files of each kind, and as many threads, as there.
        """
        return self.isWithin(other) and other.isWithin(self)

    @classmethod
    def of(cls, process: Process) -> Footprint:
        """
        What a process holds now.
        """
        directory = Path("/proc", str(process.pid))
        kinds = []
        for each in (directory / "fd").iterdir():
            try:
                # A socket is a socket, whatever its number.
                kinds.append(os.readlink(each).split("[")[0])
            except FileNotFoundError:
                continue
        lines = (directory / "status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines if ":" in line)
        return cls(
            descriptors=tuple(sorted(kinds)),
            threads=int(values["Threads"]),
            resident=int(values["VmRSS"].split()[0]),
        )
