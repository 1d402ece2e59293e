# -*- test-case-name: tests.phone.services.test_features -*-
"""
The processes of a simulated phone: some that are always there, and apps that hosts have launched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from twisted.internet.defer import Deferred

SYSTEM: Mapping[str, str] = MappingProxyType(
    {
        "launchd": "/sbin/launchd",
        "logd": "/usr/libexec/logd",
        "lockdownd": "/usr/libexec/lockdownd",
        "remoted": "/usr/libexec/remoted",
        "backboardd": "/usr/libexec/backboardd",
        "SpringBoard": "/System/Library/CoreServices/SpringBoard.app/SpringBoard",
    }
)
"""Programs of the system, the first of which is process 1."""

FIRST = 30
"""The number of the second process."""

LAST = 99999
"""The highest number, behind which they begin again."""

KILL = 9
"""The signal that what ends otherwise than by a host's is said to have had."""

SURVIVED = frozenset({0, 16, 17, 18, 19, 20, 21, 22, 23, 28, 29})
"""Signals that end no process, in the numbers of Darwin."""

MOST_SIGNAL = 31

MOST_WATCHES = 256
"""Hosts that wait at once for a process to end."""


class NoProcess(Exception):
    """
    There is no process with this number.
    """


class NotPermitted(Exception):
    """
    The process is not to be ended.
    """


class TooManyWatches(Exception):
    """
    No more hosts may wait.
    """


@dataclass(frozen=True, slots=True)
class Process:
    """
    One of them.

    @ivar path: Its program.
    @ivar bundle: Of the app that it is; C{""} for none.
    """

    number: int
    path: str
    bundle: str = ""


class Processes:
    """
    All of them.
    """

    def __init__(self) -> None:
        self._next = FIRST
        self._running: dict[int, Process] = {}
        self._watches: list[tuple[Process, Deferred[int]]] = []
        self.restart()

    def restart(self) -> None:
        """
        Be as a phone that was just switched on.
        """
        self._next = FIRST
        for one in tuple(self._running.values()):
            self._end(one, KILL)
        first, *others = SYSTEM.values()
        self._running[1] = Process(1, first)
        for path in others:
            self._start(path)

    def __iter__(self) -> Iterator[Process]:
        """
        By their numbers.
        """
        return iter(sorted(self._running.values(), key=lambda one: one.number))

    def launch(self, bundle: str, path: str, isAnew: bool) -> Process:
        """
        Launch an app, or find it running.

        @param isAnew: End the one that runs.
        """
        running = [one for one in self._running.values() if one.bundle == bundle]
        if running and not isAnew:
            return running[0]
        for one in running:
            self._end(one, KILL)
        return self._start(path, bundle)

    def signal(self, number: int, signal: int) -> Process:
        """
        Send a signal; programs of the system that it ends are started anew.

        @return: the process.
        @raise NoProcess: Nothing has this number.
        @raise NotPermitted: Process 1 is what it is.
        """
        process = self._running.get(number)
        if process is None:
            raise NoProcess(f"no process {number}")
        if number == 1 and signal:
            raise NotPermitted("process 1 takes no signals")
        if signal not in SURVIVED:
            self._end(process, signal)
            if not process.bundle:
                self._start(process.path)
        return process

    def end(self, bundle: str) -> None:
        """
        End an app, as it is removed.
        """
        for one in [one for one in self._running.values() if one.bundle == bundle]:
            self._end(one, KILL)

    def whenEnded(self, number: int) -> Deferred[int]:
        """
        The signal that ends a process, when that happens; 0 at once if nothing has this number.

        @raise TooManyWatches: So many are waited for already.
        """
        process = self._running.get(number)
        ended: Deferred[int] = Deferred(self._unwatch)
        if process is None:
            ended.callback(0)
        elif len(self._watches) >= MOST_WATCHES:
            raise TooManyWatches(f"{MOST_WATCHES} hosts wait already")
        else:
            self._watches.append((process, ended))
        return ended

    def _unwatch(self, ended: Deferred[int]) -> None:
        self._watches = [watch for watch in self._watches if watch[1] is not ended]

    def _end(self, process: Process, signal: int) -> None:
        del self._running[process.number]
        told = [ended for watched, ended in self._watches if watched is process]
        self._watches = [watch for watch in self._watches if watch[0] is not process]
        for ended in told:
            ended.callback(signal)

    def _start(self, path: str, bundle: str = "") -> Process:
        while self._next in self._running or self._next > LAST:
            self._next = FIRST if self._next > LAST else self._next + 1
        process = Process(self._next, path, bundle)
        self._running[process.number] = process
        self._next += 1
        return process
