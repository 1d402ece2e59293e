# -*- test-case-name: tests.bench.test_processes -*-
"""
What the kernel tells of a process: its memory, its threads and files, and the processor's time.

All of it is read from F{/proc}, and fails with C{OSError} where there is no such process, or no
F{/proc}.  The daemon, which looks at itself and has to go on without, has its own
(L{muxd.tap.freedmemory}).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """
    A process as the kernel sees it.

    @ivar resident: Bytes in memory.
    @ivar peak: The most that it has been.
    @ivar threads: How many.
    @ivar descriptors: How many.
    @ivar cpu: Seconds of processor time so far.
    """

    resident: int
    peak: int
    threads: int
    descriptors: int
    cpu: float

    @classmethod
    def look(cls, pid: int) -> Process:
        """
        A process as it is now.
        """
        status = _status(pid)
        return cls(
            resident=_bytes(status, "VmRSS"),
            peak=_bytes(status, "VmHWM"),
            threads=int(status["Threads"]),
            descriptors=openFiles(pid),
            cpu=processorTime(pid),
        )


def residentMemory(pid: int) -> int:
    """
    What of a process is in memory, in bytes; nothing if it has ended and nothing has waited for it.
    """
    return _bytes(_status(pid), "VmRSS")


def peakMemory(pid: int) -> int:
    """
    The most of a process that has been in memory, in bytes; nothing if it has ended.
    """
    return _bytes(_status(pid), "VmHWM")


def openFiles(pid: int) -> int:
    """
    How many files a process has open.
    """
    return len(os.listdir(f"/proc/{pid}/fd"))


def processorTime(pid: int) -> float:
    """
    The processor's time that a process has had, in seconds: to the tick of the kernel's clock, and
    with that of threads that have ended.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threadTimes(pid: int) -> list[float]:
    """
    The processor's time that each thread of a process has had, in seconds: to the nanosecond.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks]


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _bytes(status: dict[str, str], name: str) -> int:
    return int(status.get(name, "0 kB").split()[0]) << 10
