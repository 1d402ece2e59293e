"""
A sink that is a list.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from tests.capture.reader import CaptureFile


class ListSink:
    """
    A sink with as much room as the test says.

    @ivar blocks: What was written.
    @ivar space: Its room.
    @ivar hasEnded: Whether it has been told to take no more.
    """

    def __init__(self, space: int = 1 << 30) -> None:
        self.blocks: list[bytes] = []
        self.space = space
        self.hasEnded = False

    def room(self) -> int:
        """
        As the test has said.
        """
        return self.space

    def write(self, data: bytes) -> None:
        """
        Keep it.
        """
        if self.hasEnded:
            raise AssertionError("it was told to take no more")
        self.blocks.append(data)

    def end(self) -> Deferred[None]:
        """
        Note it.
        """
        self.hasEnded = True
        return succeed(None)

    @property
    def file(self) -> CaptureFile:
        """
        What was written, read.
        """
        return CaptureFile(b"".join(self.blocks))
