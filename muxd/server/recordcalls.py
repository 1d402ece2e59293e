# -*- test-case-name: tests.server.test_recordthread,tests.server.test_waiting -*-
"""
What is asked of a store of pair records, as calls that somebody makes later or
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muxd.interfaces import IPairRecords, IPairRecordStore

T = TypeVar("T")


@implementer(IPairRecords)
class RecordCalls:
    """
    Pair records whose store is called by L{run}, which each kind has its own way of.

    @ivar store: The store.
    """

    def __init__(self, store: IPairRecordStore) -> None:
        self.store = store

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make a call, at its time and place.

        @return: fires with what it returns, or fails with what it raises.
        """
        raise NotImplementedError

    def read(self, recordID: str) -> Deferred[bytes]:
        """
        The stored record as it is.
        """
        return self.run(self.store.read, recordID)

    def save(self, recordID: str, data: bytes) -> Deferred[None]:
        """
        Store a property list, all or nothing.
        """
        return self.run(self.store.save, recordID, data)

    def delete(self, recordID: str) -> Deferred[None]:
        """
        Forget a record.
        """
        return self.run(self.store.delete, recordID)

    def discard(self, recordID: str, data: bytes) -> Deferred[bool]:
        """
        Forget a record if it is still this one.
        """
        return self.run(self._discard, recordID, data)

    def _discard(self, recordID: str, data: bytes) -> bool:
        """
        One call, so that none of ours comes in between.
        """
        isThis = self.store.read(recordID) == data
        if isThis:
            self.store.delete(recordID)
        return isThis

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity.
        """
        return self.run(self.store.readBUID)
