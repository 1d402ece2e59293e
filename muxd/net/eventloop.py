# -*- test-case-name: tests.net.test_eventloop,tests.net.test_inlinewait -*-
"""
One poller for what moves a phone's bytes: libusb's descriptors, listening sockets, and
the sockets of clients.

A Twisted reactor does much for each descriptor that is ready, which is as it should be
for everything else, and ten times the work that a keystroke is.  What is watched here is
called directly.  All of it happens in the reactor's thread, within its turn: there is
nothing to lock.

B{Nested.}  An application's reactor watches our poller as one descriptor more.  A turn of
the reactor handles all that is ready here.

B{Around the reactor.}  In a process of our own it is the other way round: the reactor
waits here, and its own poller is one descriptor of ours.  Then what happens here costs no
turn of the reactor at all: it gets one when one of its own descriptors is ready, when a
timer is due, and when it is to stop.  Two pollers cannot contain each
other, so it is one or the other.  While events come closer upon each other than it takes to
sleep and to be woken up, it does not sleep (L{muxd.net.busypolling}).

There is a loop where the reactor is Twisted's for C{epoll}; with other reactors, and on
other systems, everything is the reactor's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from muxd.net.busypolling import BusyPolling
from muxd.net.polling import Poller

READABLE = 0x001
URGENT = 0x002
WRITABLE = 0x004
FAILED = 0x008
HUNG_UP = 0x010
PEER_ENDED = 0x2000
ON_CHANGE = 1 << 31
"""
C{EPOLLIN}, C{EPOLLPRI} and their like, which are the same on every Linux, and nowhere else.
"""

GONE = FAILED | HUNG_UP

ROUNDS = 8
"""How often it is looked again within one turn of an application's reactor."""


READY = 256
"""
How many descriptors of the reactor's are handled in a turn: when a program with thousands of
connections ends, all of them are ready at once, and each takes a twentieth of a millisecond.
"""

NEVER = float("inf")

TIMERS = 256
"""
With so many new ones the reactor has its turn, if none of them is due before: it puts them
in order, and forgets those that have been cancelled.
"""


class Watched:
    """
    The owner of a descriptor.  All are subclasses, so that compiled code calls them without
    asking Python what they have.
    """

    __slots__ = ()

    def happened(self, events: int) -> None:
        """
        The descriptor is ready.

        @param events: L{READABLE} and its like, joined.
        """
        raise NotImplementedError

    def failed(self, failure: Failure) -> None:
        """
        C{happened} has raised, which has been logged.
        """
        raise NotImplementedError


class WatchedLast:
    """
    One that does what there is to do when all others have been told; all are subclasses, as
    with L{Watched}.
    """

    __slots__ = ()

    def finishTurn(self) -> None:
        """
        All others have been told.
        """
        raise NotImplementedError

    def failed(self, failure: Failure) -> None:
        """
        C{finishTurn} has raised, which has been logged.
        """
        raise NotImplementedError


class _FewAtOnce:
    """
    The reactor's own poller, which tells of no more than L{READY} descriptors at once; those
    that it does not tell of come first the next time.
    """

    def __init__(self, poller: Any) -> None:
        self.register = poller.register
        self.modify = poller.modify
        self.unregister = poller.unregister
        self.fileno = poller.fileno
        self.close = poller.close
        self._poll = poller.poll

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """
        Wait.
        """
        ready: list[tuple[int, int]] = self._poll(timeout, min(most, READY))
        return ready


class _Reactor(Watched):
    """
    The reactor's own poller, as one of those that are watched.
    """

    def __init__(self) -> None:
        self.isReady = False

    def happened(self, events: int) -> None:
        """
        It is the reactor's turn.
        """
        self.isReady = True

    def failed(self, failure: Failure) -> None:
        """
        That cannot be.
        """


class EventLoop:
    """
    Descriptors and their owners.

    Nothing is open as long as nothing is watched.

    @ivar turns: How often owners have been told.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        """
        @param reactor: One for C{epoll}.
        """
        self.turns = 0
        self._reactor = reactor
        self._poller: Poller | None = None
        self._last: list[WatchedLast | None] = []
        self._lastCount = 0
        self._isAround = False
        self._busy = BusyPolling(len(os.sched_getaffinity(0)))
        self._reactorTurn = _Reactor()
        self._doPoll: Callable[[float | None], None] = reactor.doPoll

    def watch(self, descriptor: int, events: int, owner: Watched) -> None:
        """
        Tell an owner of what happens to its descriptor.

        @raise OSError: It cannot be watched.
        """
        poller = self._poller
        if poller is None:
            poller = self._open()
        try:
            poller.add(descriptor, events, owner)
        except BaseException:
            self._closeIfIdle()
            raise

    def change(self, descriptor: int, events: int) -> None:
        """
        Tell it of other events from now on.
        """
        assert self._poller is not None
        self._poller.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """
        Tell of nothing any more.  To be called before the descriptor is closed; harmless
        if it is not watched.
        """
        poller = self._poller
        if poller is not None and descriptor >= 0 and poller.remove(descriptor):
            self._closeIfIdle()

    @property
    def owners(self) -> list[Watched]:
        """
        The owners of what is watched.
        """
        if self._poller is None:
            return []
        watched: list[Any] = self._poller.watched()
        return [owner for owner in watched if owner is not self._reactorTurn]

    def afterwards(self, owner: WatchedLast) -> None:
        """
        Have C{owner.finishTurn} called when all that is ready in this turn has been told.
        """
        # A list that becomes empty each time has to be made anew each time.
        last, count = self._last, self._lastCount
        for place in range(count):
            if last[place] is owner:
                return
        if count < len(last):
            last[count] = owner
        else:
            last.append(owner)
        self._lastCount = count + 1

    def goAround(self) -> bool:
        """
        Have the reactor wait here, from now on.

        @return: Whether it can.
        """
        reactor = self._reactor
        if self._isAround:
            return True
        if not all(
            hasattr(reactor, name) for name in ("_poller", "_newTimedCalls", "_justStopped")
        ):
            return False  # some other version of Twisted
        if self._poller is not None:
            reactor.removeReader(self)
        self._isAround = True
        if self._poller is not None:
            self._join(self._poller)
        reactor._poller = _FewAtOnce(reactor._poller)
        reactor.doIteration = self._doIteration
        return True

    # Its life

    def _open(self) -> Poller:
        self._poller = poller = Poller()
        try:
            self._join(poller)
        except BaseException:
            # Or else it would never be waited here, and nothing would say so.
            self._poller = None
            poller.close()
            raise
        return poller

    def _join(self, poller: Poller) -> None:
        if self._isAround:
            poller.add(self._reactor._poller.fileno(), READABLE, self._reactorTurn)
        else:
            self._reactor.addReader(self)

    def _closeIfIdle(self) -> None:
        poller = self._poller
        if poller is None or poller.size() > self._isAround:
            return
        self._poller = None
        if not self._isAround:
            self._reactor.removeReader(self)
        poller.close()

    # Its turns

    def _handle(self, poller: Poller) -> None:
        """
        Tell the owners.
        """
        self.turns += 1
        ready, events = poller.ready, poller.events
        for place in range(poller.count):
            owner: Any = ready[place]
            if owner is not None:
                try:
                    owner.happened(events[place])
                except Exception:
                    self._failed(owner)
        place = 0
        # What one does may have others come behind it, and itself.
        while place < self._lastCount:
            last: Any = self._last[place]
            self._last[place] = None
            place += 1
            if last is None:
                continue  # it was called in a turn that an interruption has ended
            try:
                last.finishTurn()
            except Exception:
                self._failed(last)
        self._lastCount = 0

    def _failed(self, owner: Watched | WatchedLast) -> None:
        failure = Failure()
        self._log.failure("{owner} failed", failure, owner=owner)
        try:
            owner.failed(failure)
        except Exception:
            self._log.failure("{owner} failed, and again in its end", owner=owner)

    def _doIteration(self, timeout: float | None) -> None:
        """
        The reactor's wait: see the module's text.
        """
        poller = self._poller
        if poller is None:
            self._doPoll(timeout)
            return
        reactor, reactorTurn = self._reactor, self._reactorTurn
        reactorTurn.isReady = False
        newCalls = reactor._newTimedCalls
        known = 0
        seconds = -1.0 if timeout is None else timeout
        end = NEVER if timeout is None else poller.seconds() + timeout
        busy = self._busy
        # With one processor there is no choice, and so none to be made.
        while self._wait(poller, seconds) if busy.isPossible else poller.wait(seconds):
            self._handle(poller)
            if reactorTurn.isReady or reactor._justStopped or self._poller is not poller:
                break
            if len(newCalls) > known:
                ahead = poller.seconds() - reactor.seconds()
                for call in newCalls[known:]:
                    if call.active() and call.getTime() + ahead < end:
                        end = call.getTime() + ahead
                known = len(newCalls)
                if known >= TIMERS:
                    break
            if end < NEVER:
                seconds = end - poller.seconds()
                if seconds <= 0:
                    break
        self._doPoll(0)

    def _wait(self, poller: Poller, seconds: float) -> int:
        """
        Wait, asleep or not.
        """
        busy = self._busy
        if seconds and busy.isDue():
            found = poller.look(busy.longest)
            busy.looked(poller.looked)
            if found:
                return found
        return poller.wait(seconds)

    # IReadDescriptor, for a reactor around us

    def fileno(self) -> int:
        """
        The poller's.
        """
        return -1 if self._poller is None else self._poller.fileno()

    def doRead(self) -> None:
        """
        Handle all that is ready.
        """
        for _ in range(ROUNDS):
            poller = self._poller
            if poller is None or not poller.wait(0):
                return
            self._handle(poller)

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor lets go of all descriptors when it has stopped.
        """

    def logPrefix(self) -> str:
        """
        For the log.
        """
        return "muxd"


# A compiled class takes no decorator.
classImplements(EventLoop, IReadDescriptor)

_loops: WeakKeyDictionary[Any, EventLoop] = WeakKeyDictionary()


def loopOf(reactor: Any) -> EventLoop | None:
    """
    The loop of a reactor, the same for all that ask; None if it can have none.
    """
    try:
        from twisted.internet.epollreactor import EPollReactor
    except ImportError:  # not Linux
        return None
    if not isinstance(reactor, EPollReactor):
        return None
    loop = _loops.get(reactor)
    if loop is None:
        _loops[reactor] = loop = EventLoop(reactor)
    return loop
