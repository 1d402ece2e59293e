# -*- test-case-name: tests.server.test_recorddesk -*-
"""
Whose pair records are read and written next, and how many a user may store.

Records are read and written one after the other (L{muxd.server.recordthread}), and each that
is written waits for the disk.  So not more is given to that thread than keeps it busy, and the
rest waits here, where B{users} have their turns one after the other: of two users that ask for
records all the time each has half of them, whatever number of clients it has.

A record of a phone that is not attached may be what an operator restores from a backup, or
what fills the disk.  Of those each user may store some at once, and then one from time to time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from errno import EINTR
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

AT_ONCE = 2
"""So many calls are under way, which keeps the thread busy while the reactor hears of one."""

HOUR = 3600.0

MOST_KEPT = 1024
"""Of so many users it is kept what they have stored of late; more than these share one account."""


_Call = tuple[Callable[[], Deferred[Any]], Deferred[Any]]
"""One that waits, and what fires with what it gives."""


class RecordDesk:
    """
    Makes the calls of clients that have to do with pair records.

    @ivar waits: How often a call has had to wait for others.
    """

    def __init__(self, clock: IReactorTime, absentEach: int) -> None:
        """
        @param absentEach: How many records of phones that are not attached a user may store in
            an hour; all of them may be at once.
        """
        self.waits = 0
        self._clock = clock
        self._each = absentEach
        self._stored: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._running = 0
        self._waiting: OrderedDict[Hashable, deque[_Call]] = OrderedDict()

    def run(self, owner: Hashable, call: Callable[[], Deferred[T]]) -> Deferred[T]:
        """
        Make a call when it is its owner's turn, in the order of the owner's calls.

        @return: what the call returns.
        """
        if self._running < AT_ONCE and not self._waiting:
            return self._start(call)
        self.waits += 1
        done: Deferred[T] = Deferred()
        self._waiting.setdefault(owner, deque()).append((call, done))
        return done

    def stop(self) -> None:
        """
        Begin nothing more: what waits fails.
        """
        waiting, self._waiting = self._waiting, OrderedDict()
        for calls in waiting.values():
            for _, done in calls:
                done.errback(OSError(EINTR, "the daemon ends"))

    def _start(self, call: Callable[[], Deferred[T]]) -> Deferred[T]:
        self._running += 1
        return call().addBoth(self._ended)

    def _ended(self, result: T) -> T:
        self._running -= 1
        if self._waiting and self._running < AT_ONCE:
            owner, calls = self._waiting.popitem(last=False)
            call, done = calls.popleft()
            if calls:
                self._waiting[owner] = calls
            self._start(call).chainDeferred(done)
        return result

    def mayStoreAbsent(self, owner: Hashable) -> bool:
        """
        Whether a user may store one more record of a phone that is not attached; it counts if so.
        """
        now = self._clock.seconds()
        if owner not in self._stored and len(self._stored) >= MOST_KEPT:
            self._forget(now)
            if len(self._stored) >= MOST_KEPT:
                owner = None
        stored, since = self._stored.pop(owner, (0.0, now))
        stored = max(0.0, stored - (now - since) * self._each / HOUR)
        mayStore = stored + 1 <= self._each
        self._stored[owner] = stored + mayStore, now
        return mayStore

    def _forget(self, now: float) -> None:
        """
        Forget those that have stored nothing for an hour.
        """
        while self._stored:
            owner, (_, since) = next(iter(self._stored.items()))
            if now - since < HOUR:
                return
            del self._stored[owner]
