# -*- test-case-name: tests.testing.test_standins -*-
"""
Pair records that are on no disk.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, ENOENT
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from muxd.interfaces import IPairRecordStore
from muxd.server.recordthread import RecordCalls

T = TypeVar("T")


@implementer(IPairRecordStore)
class MemoryRecordStore:
    """
    Pair records that are on no disk.

    @ivar records: By id.
    @ivar wireless: How phones announce themselves, by id.
    @ivar previous: Those that were superseded, by id.
    @ivar buid: The host's identity.
    @ivar trouble: What every method raises, if anything.
    """

    def __init__(self, buid: str = "30142955-444094379208051516") -> None:
        self.records: dict[str, bytes] = {}
        self.previous: dict[str, bytes] = {}
        self.wireless: dict[str, str] = {}
        self.buid = buid
        self.trouble: Exception | None = None

    def read(self, recordID: str) -> bytes:
        """
        The record as it was saved.
        """
        self._check(recordID)
        try:
            return self.records[recordID]
        except KeyError:
            raise OSError(ENOENT, "no such record") from None

    def save(self, recordID: str, data: bytes) -> None:
        """
        Keep a record.
        """
        self._check(recordID)
        self.records[recordID] = data

    def supersede(self, recordID: str, data: bytes) -> None:
        """
        Keep a record, and the one before it.
        """
        self._check(recordID)
        if recordID in self.records:
            self.previous[recordID] = self.records[recordID]
        self.save(recordID, data)

    def readPrevious(self, recordID: str) -> bytes:
        """
        The record that was superseded.
        """
        self._check(recordID)
        try:
            return self.previous[recordID]
        except KeyError:
            raise OSError(ENOENT, "no such record") from None

    def delete(self, recordID: str) -> None:
        """
        Forget a record.
        """
        self.read(recordID)
        del self.records[recordID]
        self.wireless.pop(recordID, None)

    def remember(self, recordID: str, serviceName: str) -> None:
        """
        Keep how a phone announces itself.
        """
        self._check(recordID)
        if recordID in self.records:
            self.wireless[recordID] = serviceName

    def serviceNames(self) -> dict[str, str]:
        """
        How phones do.
        """
        self._check("all")
        return dict(self.wireless)

    def names(self) -> list[str]:
        """
        The ids of all records.
        """
        self._check("all")
        return sorted(self.records)

    def readBUID(self) -> str:
        """
        The host's identity.
        """
        self._check("host")
        return self.buid

    def _check(self, recordID: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        if not recordID:
            raise OSError(EINVAL, "no record id")


class ImmediateRecords(RecordCalls):
    """
    What is asked of a store is done at once: each Deferred has fired.
    """

    def __init__(self, store: IPairRecordStore | None = None) -> None:
        """
        @param store: The store; one in memory if none is given.
        """
        super().__init__(store or MemoryRecordStore())

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make the call now.
        """
        return maybeDeferred(work, *args)
