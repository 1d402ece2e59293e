"""
Pair records that take their time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.interfaces import IPairRecords, IPairRecordStore


@implementer(IPairRecords)
class LateRecords:
    """
    What is asked of a store is done when L{finish} is called, the oldest first.

    @ivar waiting: What is to be done.
    """

    def __init__(self, store: IPairRecordStore) -> None:
        self.store = store
        self.waiting: deque[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def read(self, recordID: str) -> Deferred[bytes]:
        """
        The record, later.
        """
        return self._later(self.store.read, recordID)

    def save(self, recordID: str, data: bytes) -> Deferred[None]:
        """
        Keep a record, later.
        """
        return self._later(self.store.save, recordID, data)

    def delete(self, recordID: str) -> Deferred[None]:
        """
        Forget a record, later.
        """
        return self._later(self.store.delete, recordID)

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity, later.
        """
        return self._later(self.store.readBUID)

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

    def _later(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append((done, call, args))
        return done
