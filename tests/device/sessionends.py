"""
An end of a session that writes down what happens to it.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from muxd.device.ends import SessionEnd
from muxd.device.session import Session
from muxd.net.packetmemory import PacketMemory


class RecordingEnd(SessionEnd):
    """
    Says what the test wants to be said, and takes what the test lets it take.

    @ivar heard: What it has taken.
    @ivar held: What it has not.
    @ivar appetite: How many bytes more it takes; None for any number.
    @ivar losses: The reasons of the session's end.
    @ivar finished: How often it was told that the phone has taken everything.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.heard = b""
        self.held = b""
        self.appetite: int | None = None
        self.losses: list[Failure] = []
        self.finished = 0
        self.slowly = False
        self._unsent = b""

    def say(self, data: bytes) -> None:
        """
        Have bytes for the phone.
        """
        self._unsent += data
        self.session.available = len(self._unsent)
        self.session.offer()

    def feed(self, appetite: int | None) -> None:
        """
        Take so many bytes more.
        """
        self.appetite = appetite
        self._eat()
        self.session.resumed()

    def _eat(self) -> None:
        count = len(self.held) if self.appetite is None else min(self.appetite, len(self.held))
        if self.appetite is not None:
            self.appetite -= count
        self.heard += self.held[:count]
        self.held = self.held[count:]
        self.session.taken(count)

    def fill(self, memory: PacketMemory, start: int, most: int) -> int:
        """
        The next bytes.
        """
        taken, self._unsent = self._unsent[:most], self._unsent[most:]
        self.session.available = len(self._unsent)
        return memory.write(start, taken) - start

    def ranDry(self) -> None:
        """
        It has what it says.
        """

    def waiting(self) -> int:
        """
        As many bytes as were written.
        """
        return len(self._unsent)

    def sent(self) -> None:
        """
        Nobody waits for that.
        """

    def isFinished(self) -> bool:
        """
        Whether all is said.
        """
        return not self._unsent

    def forgetUnsent(self) -> None:
        """
        Say no more.
        """
        self._unsent = b""

    def deliver(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        Take as much as it likes.
        """
        self.held += memory.read(start, size)
        self._eat()

    def forgetHeld(self) -> None:
        """
        Want no more.
        """
        self.held = b""

    def isTaking(self) -> bool:
        """
        As the test has said.
        """
        return self.slowly

    def writeFinished(self, later: bool) -> None:
        """
        Count.
        """
        self.finished += 1

    def lost(self, reason: Failure, later: bool) -> None:
        """
        Keep it.
        """
        self.losses.append(reason)
