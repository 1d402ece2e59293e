# -*- test-case-name: tests.server.test_output -*-
"""
What is waiting to be sent to a client, and no more of it than allowed.

A Twisted transport takes whatever is written to it.  It does tell a registered
producer when it has more than it can send at once: from then on messages wait
here, where they are counted, until it has sent what it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from muxd.pipe import Joinable


@implementer(IPushProducer)
class OutputQueue:
    """
    A client's unsent messages.

    @ivar size: How many bytes wait here, besides what the transport has.
    @ivar isUnused: Whether nothing was ever written.
    """

    def __init__(self, transport: Joinable, limit: int, overflowed: Callable[[], None]) -> None:
        """
        @param limit: Bytes that may wait.
        @param overflowed: Called once, when there would be more: the client does
            not read.
        """
        self.size = 0
        self._transport = transport
        self._limit = limit
        self._overflowed = overflowed
        self._waiting: deque[bytes] = deque()
        self._paused = False
        self._finishing = False
        self._dead = False
        self.isUnused = True
        transport.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """
        Send a message, now or when those before it have gone.
        """
        if self._dead or self._finishing:
            return
        self.isUnused = False
        if not self._paused:
            self._transport.write(data)
            return
        self._waiting.append(data)
        self.size += len(data)
        if self.size > self._limit:
            self.stopProducing()
            self._overflowed()

    def finish(self) -> None:
        """
        Close the connection once everything has been sent.
        """
        if self._dead or self._finishing:
            return
        self._finishing = True
        if not self._waiting:
            self._close()

    def release(self) -> None:
        """
        Leave the transport to somebody else, with everything written to it.
        """
        self._transport.unregisterProducer()
        while self._waiting:
            self._transport.write(self._waiting.popleft())
        self.stopProducing()

    def pauseProducing(self) -> None:
        """
        The transport has enough for now.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        The transport has sent what it had.
        """
        self._paused = False
        while self._waiting and not self._paused:
            data = self._waiting.popleft()
            self.size -= len(data)
            self._transport.write(data)
        if self._finishing and not self._waiting and not self._dead:
            self._close()

    def stopProducing(self) -> None:
        """
        The transport is gone, or is not ours any more.
        """
        self._dead = True
        self._waiting.clear()
        self.size = 0

    def _close(self) -> None:
        # A paused producer that stays registered would keep the transport from
        # ever finishing (see muxd.pipe).
        self._transport.unregisterProducer()
        self._dead = True
        self._transport.loseConnection()
