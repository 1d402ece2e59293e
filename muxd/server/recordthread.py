# -*- test-case-name: tests.server.test_recordthread -*-
"""
The thread that pair records are read and written in.

What has been saved must survive a power cut, so saving waits for the disk, a busy one
for most of a second; and a directory may be on a network.  The reactor, which has
phones to serve, does not wait with it.

There is one thread, and calls are made in the order in which they come: a record that is
read after it was saved is the new one.  The thread stays when it has nothing to do, since
starting one takes a tenth of a second on a busy machine; but it does not keep a process
alive: a record is whole whenever the process ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from muxd.interfaces import IPairRecords, IPairRecordStore

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

    def delete(self, recordID: str) -> Deferred[None]:
        """
        Forget a record.
        """
        return self.run(self.store.delete, recordID)

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity.
        """
        return self.run(self.store.readBUID)


class _DaemonThread(Thread):
    """
    One that a process does not wait for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, daemon=True, **kwargs)


class RecordThread(RecordCalls):
    """
    A store's thread, from its first use until L{stop}.
    """

    def __init__(self, reactor: Any, store: IPairRecordStore) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}.
        """
        super().__init__(store)
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make a call in the thread, when its turn comes.
        """
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=1, name="pair records")
            self._pool.threadFactory = _DaemonThread
            self._pool.start()
        done: Deferred[T] = Deferred()

        def worked(success: bool, result: Any) -> None:
            # A failure goes the other way by itself.
            self._reactor.callFromThread(done.callback, result)

        self._pool.callInThreadWithCallback(worked, work, *args)
        return done

    def stop(self) -> Deferred[None]:
        """
        Let the thread finish what it has been asked for, and end it.
        """
        pool = self._pool
        if pool is None:
            return succeed(None)

        def finished(_: None) -> None:
            if self._pool is pool:
                self._pool = None
                pool.stop()

        return self.run(lambda: None).addCallback(finished)
