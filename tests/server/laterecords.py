"""
Pair records that take their time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muxd.interfaces import IPairRecordStore
from muxd.server.recordthread import RecordCalls

T = TypeVar("T")


class LateRecords(RecordCalls):
    """
    What is asked of a store is done when L{finish} is called, the oldest first.

    @ivar waiting: What is to be done.
    """

    def __init__(self, store: IPairRecordStore) -> None:
        super().__init__(store)
        self.waiting: deque[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make the call later.
        """
        done: Deferred[T] = Deferred()
        self.waiting.append((done, work, args))
        return done

    def finish(self) -> None:
        """
        Do the oldest of what is to be done.
        """
        done, call, args = self.waiting.popleft()
        try:
            result = call(*args)
        except OSError:
            done.errback(Failure())
        else:
            done.callback(result)
