# -*- test-case-name: tests.net.test_turns -*-
"""
Whose turn it is, where much is asked for at once.

One thread serves all, and what it does for one keeps the others waiting.  So the work that
is done within one turn of the reactor has a length in time, over all who ask.  As
long as that is not used up, work is done as soon as it is asked for, and costs two looks at the
clock.  What is asked for beyond it waits for the next turns, and then B{owners} have their turns
one after the other, each time for one of its workers: an owner that has five hundred
gets no more than an owner of one.

Work that goes on for long is to look from time to time whether its turn L{is
over<Turns.isOver>}; the last piece of it is done in any case.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

REST = 0.001
"""
After so many seconds without work, a turn of the reactor has ended: within one, the time
between two workers is that of a read.
"""


class Worker(Protocol):
    """
    What waits for its turn.
    """

    @property
    def owner(self) -> Hashable:
        """
        Whose it is: always the same for one worker, while it waits.
        """

    def takeTurn(self) -> None:
        """
        Do something, between L{Turns.begin} and L{Turns.end}, and wait again if that is not
        all.
        """


class Turns:
    """
    The turns of one reactor.

    @ivar waits: How often a worker has had to wait because there was no time left.
    @ivar began: When work was begun last.
    """

    def __init__(self, clock: IReactorTime, length: float) -> None:
        """
        @param length: Of the work in one turn, in seconds.
        """
        self.waits = 0
        self._clock = clock
        # Found once, as it is asked for twice with each piece of work.
        self._seconds = clock.seconds
        self._length = length
        self._left = length
        self.began = 0.0
        # Never yet; the clock is not asked before there is work.
        self._ended = -math.inf
        self._depth = 0
        self._waiting: OrderedDict[Hashable, OrderedDict[Worker, None]] = OrderedDict()
        self._next: IDelayedCall | None = None
        self._count = 0
        self._isTurning = False

    @property
    def isBusy(self) -> bool:
        """
        Whether workers wait.
        """
        return bool(self._waiting)

    def begin(self) -> bool:
        """
        Begin to work, if there is time.

        @return: Whether there is; then L{end} is to be called.
        """
        if not self._depth:
            now = self._seconds()
            if self._next is None and not self._isTurning and now - self._ended >= REST:
                self._left = self._length
            if self._left <= 0:
                self.waits += 1
                return False
            self.began = now
        self._depth += 1
        return True

    def isOver(self) -> bool:
        """
        Whether the work that has begun has taken all the time that there is.
        """
        return self._seconds() - self.began >= self._left

    def end(self) -> None:
        """
        The work is done, or what can be done of it in this turn.
        """
        self._depth -= 1
        if not self._depth:
            self._ended = self._seconds()
            self._left -= self._ended - self.began

    def wait(self, worker: Worker) -> None:
        """
        Give a worker a turn of its owner's, in the next turn of the reactor or in one after it.
        """
        self._waiting.setdefault(worker.owner, OrderedDict())[worker] = None
        self._count += 1
        self._schedule()

    def forget(self, worker: Worker) -> None:
        """
        A worker waits no longer.  Harmless for one that does not.
        """
        workers = self._waiting.get(worker.owner)
        if workers is None or worker not in workers:
            return
        del workers[worker]
        self._count -= 1
        if not workers:
            del self._waiting[worker.owner]
        if not self._waiting and self._next is not None:
            self._next.cancel()
            self._next = None

    def _schedule(self) -> None:
        if self._waiting and self._next is None and not self._isTurning:
            self._next = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        """
        A turn: there are as many as there are workers at its beginning, if there is time.
        """
        self._next = None
        self._left = self._length
        self._isTurning = True
        try:
            for _ in range(self._count):
                if not self._waiting or self._left <= 0:
                    break
                owner, workers = self._waiting.popitem(last=False)
                worker, _none = workers.popitem(last=False)
                self._count -= 1
                if workers:
                    self._waiting[owner] = workers
                worker.takeTurn()
        finally:
            self._isTurning = False
            self._schedule()
