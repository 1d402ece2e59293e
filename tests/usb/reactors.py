"""
A reactor for tests with real threads: its time is a test's, and what threads
want called is called when the test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

from twisted.internet.task import Clock

DEADLINE = 10.0
"""Real seconds after which a test that waits for a thread has failed."""


LOOK_AGAIN = 0.02
"""Real seconds between two looks at a condition that no call has changed."""


class ThreadedClock(Clock):
    """
    C{IReactorTime} and C{IReactorFromThreads}.

    @ivar turns: How many calls from threads have been made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(
        self, callable: Callable[..., object], *args: object, **kwargs: object
    ) -> None:
        """
        Queue a call.
        """
        self._calls.put(lambda: callable(*args, **kwargs))

    @property
    def isIdle(self) -> bool:
        """
        Whether no thread wants anything called now.
        """
        return self._calls.empty()

    def pumpUntil(self, until: Callable[[], object]) -> None:
        """
        Make calls as they come, until a condition holds.

        @raise AssertionError: It takes too long.
        """
        end = monotonic() + DEADLINE
        while not until():
            if monotonic() > end:
                raise AssertionError("a thread did not do what the test waits for")
            try:
                call = self._calls.get(timeout=LOOK_AGAIN)
            except Empty:
                continue
            self.turns += 1
            call()
