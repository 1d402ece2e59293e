# -*- test-case-name: tests.server.test_recordthread -*-
"""
The thread that pair records are read and written in.

What has been saved must survive a power cut, so saving waits for the disk, a busy one
for most of a second; and a directory may be on a network.  The reactor, which has
phones to serve, does not wait with it.

There is one thread, and what it is asked for is done in that order: who reads a record
after somebody has saved it gets the new one.  It stays when it has nothing to do, as
whoever starts a thread waits for it to run, on a busy machine for a tenth of a second;
but it does not keep a process alive: a record is whole whenever it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.threadpool import ThreadPool

from muxd.interfaces import IPairRecordStore
from muxd.server.recordcalls import RecordCalls

T = TypeVar("T")


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
