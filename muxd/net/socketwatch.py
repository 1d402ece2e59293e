# -*- test-case-name: tests.net.test_socketwatch -*-
"""
A UNIX socket's file for as long as a daemon listens behind it.

The C daemon removes whatever is at its path and puts its own socket there, while the daemon
that listened behind the old file notices nothing: it is deaf.  And a daemon that removes its
file at its end may remove another's.  So the file is known by device and inode, which are its
own for as long as the socket is open: it is looked at every few seconds, and removed only if
it is still the one that was made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.net.socketfile import CannotListen, SocketFile, startingAlone

try:
    from twisted.internet import unix
except ImportError:  # Windows
    unix = None  # type: ignore[assignment]


def removeOwnLock(path: str) -> None:
    """
    Remove Twisted's lock beside a socket, if it is this process's and can be removed.
    """
    lock = f"{path}.lock"
    with suppress(OSError):
        if os.readlink(lock) == str(os.getpid()):
            os.unlink(lock)


def leaveFiles(port: object) -> bool:
    """
    Have a port of Twisted leave its files alone when it is closed: it would remove
    whatever has their names.

    @return: Whether it is one that has files.
    """
    if unix is None or not isinstance(port, unix.Port):
        return False

    def connectionLost(reason: Failure) -> None:
        tcp.Port.connectionLost(port, reason)

    port.connectionLost = connectionLost  # type: ignore[method-assign]
    return True


class WatchState(Enum):
    """
    What has become of a socket's file.

    @cvar IDLE: This process does not listen there.
    @cvar HELD: It is ours.
    @cvar LOST: It was, and is not there or is another's.
    """

    IDLE = "idle"
    HELD = "held"
    LOST = "lost"


TRANSITIONS: dict[WatchState, frozenset[WatchState]] = {
    WatchState.IDLE: frozenset({WatchState.HELD}),
    WatchState.HELD: frozenset({WatchState.LOST, WatchState.IDLE}),
    WatchState.LOST: frozenset({WatchState.HELD, WatchState.IDLE}),
}


class SocketWatch:
    """
    Looks whether a socket's file is ours, and has it made again if not.

    @ivar path: Of the file.
    @ivar state: See L{WatchState}.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        path: str,
        listen: Callable[[], object],
    ) -> None:
        """
        @param interval: Seconds between two looks.
        @param listen: Called to listen anew; calls L{hold}, or raises L{CannotListen}.
        """
        self.path = path
        self.state = WatchState.IDLE
        self._clock = clock
        self._interval = interval
        self._listen = listen
        self._file: SocketFile | None = None
        self._timer: IDelayedCall | None = None
        self._told = ""

    def hold(self, port: object) -> None:
        """
        Watch the file that a port has just made.
        """
        try:
            self._file = SocketFile.at(self.path)
        except OSError:
            return  # Gone already; or no file, whatever the path says.
        if leaveFiles(port):
            self._enter(WatchState.HELD)
            self._told = ""
            self._wait()

    def release(self) -> None:
        """
        Look no more, and remove the file if it is ours.

        @raise OSError: It cannot be removed.
        """
        if self.state is WatchState.IDLE:
            return
        wasHeld = self.state is WatchState.HELD
        self._enter(WatchState.IDLE)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wasHeld and self._file is not None:
            removeOwnLock(self.path)
            with startingAlone(self.path, 0):
                self._file.remove()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(self._interval, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.state is WatchState.HELD:
            assert self._file is not None
            if not self._file.isThere():
                self._lose()
        if self.state is WatchState.LOST:
            self._listenAgain()
        self._wait()

    def _lose(self) -> None:
        self._enter(WatchState.LOST)
        what = "another one is in its place" if os.path.lexists(self.path) else "it was removed"
        self._log.warn(
            "{path}: our socket is gone, {what}: no client can reach us there; we listen again"
            " as soon as the path is free",
            path=self.path,
            what=what,
        )
        removeOwnLock(self.path)

    def _listenAgain(self) -> None:
        try:
            self._listen()
        except CannotListen as problem:
            # Each reason once: it may stay for days.
            if str(problem) != self._told:
                self._told = str(problem)
                self._log.warn("cannot listen again yet: {problem}", problem=problem)

    def _enter(self, state: WatchState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"{self.path}: {self.state.value} to {state.value}")
        self.state = state
