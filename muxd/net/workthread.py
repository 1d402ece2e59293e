# -*- test-case-name: tests.server.test_recordthread -*-
"""
A thread for what waits for a disk, which the reactor, with phones to serve, must not.

There is one, and calls are made in the order in which they come.  It stays when it has
nothing to do, since starting one takes a tenth of a second on a busy machine; but it does
not keep a process alive.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class _DaemonThread(Thread):
    """
    One that a process does not wait for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, daemon=True, **kwargs)


class WorkThread:
    """
    A thread that makes calls, from the first of them until L{stop}.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        """
        @param reactor: Provides C{IReactorFromThreads}.
        @param name: What the thread is called by debuggers.
        """
        self._reactor = reactor
        self._name = name
        self._pool: ThreadPool | None = None

    def run(self, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Make a call in the thread, when its turn comes.

        @return: fires with what it returns, or fails with what it raises.
        """
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=1, name=self._name)
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

        @return: fires when it has ended.
        """
        pool = self._pool
        if pool is None:
            return succeed(None)

        def finished(_: None) -> None:
            if self._pool is pool:
                self._pool = None
                pool.stop()

        return self.run(lambda: None).addCallback(finished)
