# -*- test-case-name: tests.server.test_output -*-
"""
What is waiting to be sent to a client, and no more of it than allowed.

A Twisted transport takes whatever is written to it, and copies it.  So a transport is
given no more than a L{PIECE} of what its socket does not take at once, and the rest waits
here: what a thousand clients have asked for and do not read, such as the list of
devices, is there once.

A client whose last message has not been taken is L{held<OutputQueue.isHeld>}: nothing
that it asks is performed before.  Events are not asked for, and wait up to a limit.

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
from muxd.server.budget import UnreadBudget, UnreadClient

PIECE = 4096
"""
How much of what a socket has not taken is left to its transport, in bytes: it is there to
have the transport say when there is room again.
"""

SLICE = 65536
"""
The same of another transport, such as TLS, which has its own measure of what is too much.
"""


def _nothing() -> None:
    pass


@implementer(IPushProducer)
class OutputQueue:
    """
    A client's unsent messages.

    @ivar size: How many bytes wait here, besides what the transport has.
    """

    def __init__(
        self,
        transport: Joinable,
        limit: int,
        overflowed: Callable[[], None],
        taken: Callable[[], None] | None = None,
        budget: UnreadBudget | None = None,
        client: UnreadClient | None = None,
    ) -> None:
        """
        @param limit: Bytes that may wait.
        @param overflowed: Called once, when there would be more: the client does
            not read.
        @param taken: Called when the client is held no longer.
        @param budget: What waits counts there.
        @param client: The client, to the budget.
        """
        self.size = 0
        self._transport = transport
        self._limit = limit
        self._overflowed = overflowed
        self._taken = taken or _nothing
        self._budget = budget
        self._client = client
        self._waiting: deque[bytes] = deque()
        self._offset = 0
        self._paused = False
        self._finishing = False
        self._dead = False
        self._consumer = consumerOf(transport)
        self._writer: SocketWriter | None = None
        if isinstance(self._consumer, SocketWriter):
            self._writer = self._consumer
            self._pipeLimit, self._writer.limit = self._writer.limit, 0
        self._consumer.registerProducer(self, True)

    @property
    def isHeld(self) -> bool:
        """
        Whether the client has yet to take something that was written.
        """
        return self._paused or bool(self._waiting)

    def write(self, *parts: bytes) -> None:
        """
        Send a message, now or when those before it have gone.

        A message that nothing is in front of may be of any length.

        @param parts: Kept, and not copied, for as long as the message waits.
        """
        if self._dead or self._finishing:
            return
        if self.isHeld:
            for part in parts:
                self._append(part)
            if self.size > self._limit:
                overflowed = self._overflowed
                self.stopProducing()
                overflowed()
            else:
                self._checkBudget()
            return
        for part in parts:
            count = 0 if self._waiting or self._writer is None else self._writer.offer(part)
            if count < len(part):
                if not self._waiting:
                    self._offset = count
                self._append(part)
                self.size -= count
        self._pass()
        if self._waiting:
            self._checkBudget()

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
            self._consumer.write(self._next(len(self._waiting[0])))
        self.stopProducing()
        if self._writer is None:
            self._consumer.unregisterProducer()
        else:
            self._writer.limit = self._pipeLimit
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
        self._pass()
        if self._dead or self.isHeld:
            return
        if self._finishing:
            self._close()
        else:
            self._taken()

    def stopProducing(self) -> None:
        """
        The transport is gone, or is not ours any more.
        """
        self._dead = True
        # They are methods of what has this queue.
        self._overflowed = self._taken = _nothing
        while self._waiting:
            self._drop()
        self._offset = self.size = 0
        self._client = None

    def _pass(self) -> None:
        """
        Send what the socket takes, and leave a little of the rest to the transport.
        """
        writer = self._writer
        while self._waiting and not self._paused:
            if writer is None:
                self._consumer.write(self._next(SLICE))
                continue
            count = writer.offer(memoryview(self._waiting[0])[self._offset :])
            if count:
                self._forget(count)
            else:
                writer.write(self._next(PIECE))

    def _next(self, most: int) -> bytes:
        """
        Take so many bytes, or fewer.
        """
        data = self._waiting[0]
        if self._offset or len(data) > most:
            data = data[self._offset : self._offset + most]
        self._forget(len(data))
        return data

    def _forget(self, count: int) -> None:
        self.size -= count
        self._offset += count
        if self._offset >= len(self._waiting[0]):
            self._drop()
            self._offset = 0

    def _append(self, data: bytes) -> None:
        self._waiting.append(data)
        self.size += len(data)
        if self._budget is not None and self._client is not None:
            self._budget.hold(self._client, data)

    def _drop(self) -> None:
        data = self._waiting.popleft()
        if self._budget is not None and self._client is not None:
            self._budget.release(self._client, data)

    def _checkBudget(self) -> None:
        if self._budget is not None and self._client is not None:
            self._budget.check(self._client.owner)

    def _close(self) -> None:
        # A paused producer that stays registered would keep the transport from
        # ever finishing (see muxd.net.pipe).
        self._consumer.unregisterProducer()
        self._dead = True
        self._transport.loseConnection()
