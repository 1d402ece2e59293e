"""
An event loop that a test gives its turns.
"""

from __future__ import annotations

from typing import Any

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


def handDrivenLoop() -> EventLoop:
    """
    A loop, whose C{doRead} the test calls.
    """
    return EventLoop(ReactorAround())
