"""
An event loop that a test gives its turns.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock

from muxd.net.eventloop import EventLoop


class ReactorAround:
    """
    What a loop uses of the reactor around it.

    @ivar readers: What that watches.
    """

    def __init__(self) -> None:
        self.readers: set[Any] = set()

    def doPoll(self, timeout: float | None) -> None:
        """
        Nothing is watched but the loop.
        """

    def addReader(self, reader: Any) -> None:
        """
        Watch it.
        """
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        """
        Watch it no more.
        """
        self.readers.discard(reader)


class ClockAround(ReactorAround, Clock):
    """
    One that has the time as well.
    """

    def __init__(self) -> None:
        ReactorAround.__init__(self)
        Clock.__init__(self)


def closeReactor(reactor: Any) -> None:
    """
    Close all descriptors of a reactor that a test has made.
    """
    reactor.disconnectAll()
    for waker in reactor._internalReaders:
        os.close(waker.i)
        os.close(waker.o)
    if hasattr(reactor, "_poller"):
        reactor._poller.close()


def handDrivenLoop() -> EventLoop:
    """
    A loop, whose C{doRead} the test calls.
    """
    return EventLoop(ReactorAround())
