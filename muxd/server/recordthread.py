# -*- test-case-name: tests.server.test_recordthread -*-
"""
The thread that pair records are read and written in.

What has been saved must survive a power cut, so saving waits for the disk, a busy one
for most of a second; and a directory may be on a network.  The reactor, which has
phones to serve, does not wait with it.

There is one thread (L{WorkThread}), so that a record that is read after it was saved is the
new one.  It does not keep a process alive: a record is whole whenever the process ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muxd.interfaces import IPairRecords, IPairRecordStore
from muxd.net.workthread import WorkThread

T = TypeVar("T")


@implementer(IPairRecords)
class RecordCalls(ABC):
    """
    Pair records whose store is called by L{run}, which each kind has its own way of.

    @ivar store: The store.
    """

    def __init__(self, store: IPairRecordStore) -> None:
        self.store = store

    @abstractmethod
    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make a call, at its time and place.

        @return: fires with what it returns, or fails with what it raises.
        """

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

    def supersede(self, recordID: str, data: bytes) -> Deferred[None]:
        """
        Store a property list, and keep the record that it takes the place of.
        """
        return self.run(self.store.supersede, recordID, data)

    def readPrevious(self, recordID: str) -> Deferred[bytes]:
        """
        The record that another took the place of and that was kept.
        """
        return self.run(self.store.readPrevious, recordID)

    def remember(self, recordID: str, serviceName: str) -> Deferred[None]:
        """
        Keep by which name a phone announces itself on networks.
        """
        return self.run(self.store.remember, recordID, serviceName)

    def serviceNames(self) -> Deferred[dict[str, str]]:
        """
        These names, by the ids of their records.
        """
        return self.run(self.store.serviceNames)

    def delete(self, recordID: str) -> Deferred[None]:
        """
        Forget a record.
        """
        return self.run(self.store.delete, recordID)

    def names(self) -> Deferred[list[str]]:
        """
        The ids of all records.
        """
        return self.run(self.store.names)

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity.
        """
        return self.run(self.store.readBUID)


class RecordThread(RecordCalls):
    """
    A store's thread, from its first use until L{stop}.
    """

    def __init__(self, reactor: Any, store: IPairRecordStore) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}.
        """
        super().__init__(store)
        self._thread = WorkThread(reactor, "pair records")

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make a call in the thread, when its turn comes.
        """
        return self._thread.run(work, *args)

    def stop(self) -> Deferred[None]:
        """
        Let the thread finish what it has been asked for, and end it.
        """
        return self._thread.stop()
