# -*- test-case-name: tests.server.test_recordthread -*-
"""
The thread that pair records are read and written in.

What has been saved must survive a power cut, so saving waits for the disk, a busy one
for most of a second; and a directory may be on a network.  The reactor, which has
phones to serve, does not wait with it.

There is one thread, and what it is asked for is done in that order: who reads a record
after somebody has saved it gets the new one.  It is there for as long as there is
something to do, and does not keep a process alive: a record is whole whenever it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from muxd.interfaces import IPairRecords, IPairRecordStore

T = TypeVar("T")


class _DaemonThread(Thread):
    """
    One that a process does not wait for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, daemon=True, **kwargs)


@implementer(IPairRecords)
class RecordThread:
    """
    A store's thread.
    """

    def __init__(self, reactor: Any, store: IPairRecordStore) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}.
        """
        self._reactor = reactor
        self._store = store
        self._pool: ThreadPool | None = None
        self._unfinished = 0

    def read(self, recordID: str) -> Deferred[bytes]:
        """
        The stored record as it is.
        """
        return self.run(self._store.read, recordID)

    def save(self, recordID: str, data: bytes) -> Deferred[None]:
        """
        Store a property list, all or nothing.
        """
        return self.run(self._store.save, recordID, data)

    def delete(self, recordID: str) -> Deferred[None]:
        """
        Forget a record.
        """
        return self.run(self._store.delete, recordID)

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity.
        """
        return self.run(self._store.readBUID)

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Do something else with the store when its turn comes.
        """
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=1, name="pair records")
            self._pool.threadFactory = _DaemonThread
            self._pool.start()
        self._unfinished += 1
        done: Deferred[T] = Deferred()

        def worked(success: bool, result: Any) -> None:
            self._reactor.callFromThread(self._worked, done, result)

        self._pool.callInThreadWithCallback(worked, work, *args)
        return done

    def _worked(self, done: Deferred[T], result: Any) -> None:
        """
        One thing is done, whether somebody still wants to hear of it or not.
        """
        self._unfinished -= 1
        if not self._unfinished and self._pool is not None:
            pool, self._pool = self._pool, None
            pool.stop()
        # A failure goes the other way by itself.
        done.callback(result)

    def finish(self) -> Deferred[None]:
        """
        Wait until everything that was asked for so far has been done.
        """
        return self.run(lambda: None) if self._unfinished else succeed(None)
