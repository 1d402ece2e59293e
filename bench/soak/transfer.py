# -*- test-case-name: tests.bench.test_soakstreams -*-
"""
Transfers on a stream, both ways, each byte compared.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from bench.soak.connection import Connection, Gone, Wrong
from bench.soak.pattern import LONGEST, firstDifference, piece

STANDSTILL = 60.0
"""Seconds without a byte in either direction after which a stream is stuck."""


@implementer(IPullProducer)
class Transfer:
    """
    A transfer of C{up} bytes up and C{down} bytes down, of the pattern from a phase on.

    @ivar sent: Bytes handed to the socket.
    @ivar received: Bytes that came and were right.
    """

    def __init__(
        self,
        connection: Connection,
        random: Random,
        *,
        phase: int,
        up: int,
        down: int,
        order: bytes = b"",
        pause: float = 0,
        halfClose: bool = False,
    ) -> None:
        """
        @param order: What goes before the upload.
        @param halfClose: Whether to finish sending, and still to receive.
        @param pause: Seconds of rest after each piece that came, on average.
        """
        self._connection = connection
        self._random = random
        self._phase = phase
        self._up = up
        self._down = down
        self._order = order
        self._pause = pause
        self._halfClose = halfClose
        self.sent = self.received = 0
        self._finished: Deferred[None] = Deferred()
        self._isFinished = False
        self._producing = False
        self._resting: Any = None
        self._watched = (0, 0)
        self._watch = LoopingCall(self._look)
        self._watch.clock = connection.reactor

    async def run(self) -> None:
        """
        Wait until everything has been sent and has come.

        @raise Gone: The connection ended before.
        @raise Wrong: A byte was not the right one, there was one too many, or
            nothing moved any more.
        """
        connection = self._connection
        self._watch.start(STANDSTILL, now=False)
        try:
            connection.write(self._order)
            connection.stream(self._take, self._lost)
            if self._up and not self._isFinished:
                self._producing = True
                transport: Any = connection.transport
                transport.registerProducer(self, False)
            if not self._down:
                self._finishIfDone()
            await self._finished
        finally:
            self._watch.stop()
            self._stopProducer()
            if self._resting is not None and self._resting.active():
                self._resting.cancel()

    # The upload.

    def resumeProducing(self) -> None:
        """
        Send the next piece.
        """
        size = min(self._up - self.sent, self._random.randint(1, LONGEST))
        self._connection.write(piece(self._phase + self.sent, size))
        self.sent += size
        if self.sent == self._up:
            self._stopProducer()
            if self._halfClose:
                transport: Any = self._connection.transport
                transport.loseWriteConnection()
            self._finishIfDone()

    def stopProducing(self) -> None:
        """
        The connection is lost, which L{_lost} is told.
        """
        self._producing = False

    def _stopProducer(self) -> None:
        if self._producing:
            self._producing = False
            transport: Any = self._connection.transport
            transport.unregisterProducer()

    # The download.

    def _take(self, data: bytes) -> None:
        wrong = firstDifference(data, self._phase + self.received)
        if wrong is not None:
            self._fail(Wrong(f"byte {self.received + wrong} of {self._down} is not the right one"))
            return
        self.received += len(data)
        if self.received > self._down:
            self._fail(Wrong(f"{self.received} bytes came, {self._down} are all there are"))
            return
        self._finishIfDone()
        if self._pause and not self._isFinished and self._resting is None:
            transport: Any = self._connection.transport
            transport.pauseProducing()
            seconds = self._random.expovariate(1 / self._pause)
            self._resting = self._connection.reactor.callLater(min(seconds, 5), self._rested)

    def _rested(self) -> None:
        self._resting = None
        if not self._connection.isLost:
            transport: Any = self._connection.transport
            transport.resumeProducing()

    # The end.

    def _finishIfDone(self) -> None:
        if self.sent == self._up and self.received == self._down and not self._isFinished:
            self._isFinished = True
            self._finished.callback(None)

    def _lost(self) -> None:
        self._fail(Gone())

    def _fail(self, error: Exception) -> None:
        if not self._isFinished:
            self._isFinished = True
            self._finished.errback(error)

    def _look(self) -> None:
        now = (self.sent, self.received)
        if now == self._watched:
            self._fail(
                Wrong(
                    f"stuck: {self.sent} of {self._up} bytes up, {self.received} of"
                    f" {self._down} down, and none for {STANDSTILL:g} s"
                )
            )
        self._watched = now
