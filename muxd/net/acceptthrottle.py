# -*- test-case-name: tests.net.test_acceptthrottle -*-
"""
Whether there is room for another client.

Each client is a file descriptor, and a process may have so many of them.  A listening
socket whose connections cannot be accepted stays readable, and the reactor would run
in circles, or would have to cut off each new client; and the daemon itself would have
none left for a phone or a pair record.  So the ports are closed before that: a client that comes
then waits in the kernel's queue, and is let in when others have gone.

The system always gives out the lowest number that is free.  The number of a client's
descriptor therefore tells how many are open, whatever has opened them; once they have
been short, the number that would be given out next tells.

What cannot be seen coming is that the whole system is short of something, or that
all descriptors are taken at one go: that shows when a client cannot be accepted
(L{muxd.net.accepting}), and the ports are closed as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from muxd.limits import Limits
from muxd.net.shortage import remedy
from muxd.ratelimit import RateLimit


class AcceptingPort(Protocol):
    """
    A place where clients connect.
    """

    def acceptOneAtATime(self) -> None:
        """
        Let no more than one in next time.
        """

    def pause(self) -> None:
        """
        Leave new clients in the queue.
        """

    def resume(self) -> None:
        """
        Let them in again, one at first.
        """


def lowestFree() -> int:
    """
    The number of the descriptor that would be given out next; a very high one if
    there is none.
    """
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return sys.maxsize
    os.close(descriptor)
    return descriptor


def _cannot() -> bool:
    return False


class AcceptThrottle:
    """
    Closes ports and opens them again.

    @ivar ports: Where clients connect.
    @ivar isClosed: Whether no client is accepted at present.
    @ivar pauses: How often the ports have been closed.
    @ivar makeRoom: Called when there is no room for another client: it may have one go, and
        tells whether it has.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, limits: Limits, lowestFree: Callable[[], int] = lowestFree
    ) -> None:
        """
        @param lowestFree: Tells which descriptor would be given out next.
        """
        self.ports: Sequence[AcceptingPort] = ()
        self.isClosed = False
        self.pauses = 0
        self.makeRoom: Callable[[], bool] = _cannot
        self._clock = clock
        self._limits = limits
        self._allowed: int | None = None
        self._highest: int | None = None
        self._lowestFree = lowestFree
        self._wary = False
        self._slowing: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._limit = RateLimit(clock, self._summarise, burst=1)

    def begin(self, allowed: int | None) -> None:
        """
        Let clients in.

        @param allowed: How many files this process may have open; C{None} if the system
            counts them.
        """
        self._allowed = allowed
        self._highest = None
        if allowed is not None:
            self._highest = allowed - min(self._limits.descriptorReserve, allowed // 4)

    @property
    def room(self) -> int | None:
        """
        How many descriptors clients and all else may have, but for those kept back; C{None} if
        there is no limit.
        """
        return self._highest

    def stop(self) -> None:
        """
        The ports are no longer throttled; leave no timer behind.
        """
        self._highest = None
        self.isClosed = False
        self._stopTimer()
        if self._slowing is not None:
            self._slowing.cancel()
            self._slowing = None
        self._limit.stop()

    def clientConnected(self, transport: Any) -> None:
        """
        A client has been accepted.

        @param transport: If it has no descriptor, it takes none from the others.
        """
        fileno: Callable[[], int] | None = getattr(transport, "fileno", None)
        if fileno is not None:
            self.descriptorTaken(fileno())

    def descriptorTaken(self, descriptor: int) -> None:
        """
        A client has been accepted that takes this descriptor.
        """
        if self._highest is None or self.isClosed:
            return
        # A new connection gets the lowest free descriptor, so its number alone says little.
        number = self._lowestFree() if self._wary else descriptor
        if number >= self._highest and not self.makeRoom():
            self._close()
            self._tellReserve()
            return
        self._wary = self._wary or number >= self._highest
        if (self._wary or number >= self._highest // 2) and self._slowing is None:
            # Not from in here, as a port looks at it when it has accepted.
            self._slowing = self._clock.callLater(0, self._slowDown)

    def acceptFailed(self, error: OSError) -> None:
        """
        A client waits that cannot be accepted, as there is not enough of something.
        """
        if self.isClosed:
            # Opened since, or about to accept when they were closed.
            self._pause()
            return
        self._close()
        if self._limit.admit(f"pauses as no client could be accepted: {error.strerror}"):
            self._log.warn(
                "not accepting clients: {error}; {remedy}",
                error=error.strerror,
                remedy=remedy(error),
            )

    def clientGone(self) -> None:
        """
        A client has gone.
        """
        if self.isClosed:
            self._open()

    def _close(self) -> None:
        self._wary = True
        self._shut()
        self._tryLater()

    def _shut(self) -> None:
        self.isClosed = True
        self.pauses += 1
        self._pause()

    def _pause(self) -> None:
        for port in self.ports:
            port.pause()

    def _tellReserve(self) -> None:
        if self._limit.admit("pauses for want of file descriptors"):
            self._log.warn(
                "not accepting clients: nearly all of the {allowed} file descriptors that this"
                " process may have are in use; raise the limit (LimitNOFILE= of systemd,"
                " ulimit -n), or see which program connects so often",
                allowed=self._allowed,
            )

    def _open(self) -> None:
        """
        Let them in, if there is room again.
        """
        self._stopTimer()
        if self._highest is not None and self._lowestFree() >= self._highest:
            self._tryLater()
            self.makeRoom()
            return
        self.isClosed = False
        for port in self.ports:
            port.resume()

    def _tryLater(self) -> None:
        """
        Descriptors come free in other ways than by a client's going.
        """
        self._retry = self._clock.callLater(self._limits.admissionRetry, self._open)

    def _slowDown(self) -> None:
        """
        Half of them are in use, or they have been short: see how many there are after
        each one that comes.
        """
        self._slowing = None
        for port in self.ports:
            port.acceptOneAtATime()

    def _stopTimer(self) -> None:
        timer, self._retry = self._retry, None
        if timer is not None and timer.active():
            timer.cancel()

    def _summarise(self, kind: str, count: int) -> None:
        self._log.info("... and {count} more {kind}.", count=count, kind=kind)


def filesAllowed() -> int | None:
    """
    How many files this process may have open; C{None} if there is no such limit.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft
