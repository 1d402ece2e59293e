# -*- test-case-name: tests.server.test_output -*-
"""
What is waiting to be sent to a client, and no more of it than allowed.

A Twisted transport takes whatever is written to it.  It does tell a registered
producer when it has more than it can send at once: from then on messages wait
here, where they are counted, until it has sent what it has.

What a socket takes is sent within the call (see L{muxd.net.sockets}): of a
thousand listeners, the last is told of a phone when the others have been told, and
not a turn of the reactor for each of them later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from muxd.net.pipe import Joinable
from muxd.net.sockets import Consumer, SocketWriter, consumerOf


@implementer(IPushProducer)
class OutputQueue:
    """
    A client's unsent messages.

    @ivar size: How many bytes wait here, besides what the transport has.
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
        self._consumer = consumerOf(transport)
        self._consumer.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """
        Send a message, now or when those before it have gone.
        """
        if self._dead or self._finishing:
            return
        if not self._paused:
            self._consumer.write(data)
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

    def release(self) -> Consumer:
        """
        Leave the transport to the pipe, with everything written to it.

        @return: What to write to from now on; it has no producer.
        """
        while self._waiting:
            self._consumer.write(self._waiting.popleft())
        self.stopProducing()
        if not isinstance(self._consumer, SocketWriter):
            self._consumer.unregisterProducer()
        return self._consumer

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
            self._consumer.write(data)
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
        # ever finishing (see muxd.net.pipe).
        self._consumer.unregisterProducer()
        self._dead = True
        self._transport.loseConnection()
