# -*- test-case-name: tests.testing.test_standins -*-
"""
A transport whose peer reads as much as a test lets it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class FakeAddress:
    """
    The address of no real peer.
    """

    name: str = "fake"


@implementer(ITransport, IConsumer, IPushProducer)
class BudgetTransport:
    """
    A transport that behaves as Twisted's TCP and UNIX transports do, towards a
    peer that takes only as many bytes as its budget allows.

    It pauses a registered producer when more than L{bufferSize} bytes are
    waiting and resumes it when none is, reads at most L{readSize} bytes at a
    time, closes after C{loseConnection} once all is taken and no producer is
    registered, and tells its protocol of its loss by way of the clock, never from
    within a call.

    @ivar protocol: What reads from here.
    @ivar budget: How many more bytes the peer will take; None is without end.
    @ivar paused: Whether reading is paused.
    @ivar disconnecting: Whether C{loseConnection} was called.
    @ivar disconnected: Whether the connection is over.
    @ivar aborted: Whether C{abortConnection} ended it.
    @ivar writeClosed: Whether the peer has been sent an end of file.
    @ivar producer: What is registered as such.
    """

    bufferSize = 65536
    readSize = 65536

    def __init__(
        self,
        clock: IReactorTime,
        budget: int | None = None,
        protocol: IProtocol | None = None,
        peer: IAddress | None = None,
    ) -> None:
        self.budget = budget
        self.protocol = protocol
        self._peer = FakeAddress("peer") if peer is None else peer
        self.paused = False
        self.disconnecting = False
        self.disconnected = False
        self.aborted = False
        self.writeClosed = False
        self.producer: IPushProducer | None = None
        self._clock = clock
        self._producerPaused = False
        self._writeClosing = False
        self._pending = bytearray()
        self._taken = bytearray()
        self._undelivered = bytearray()

    @classmethod
    def connect(
        cls,
        clock: IReactorTime,
        factory: IProtocolFactory,
        budget: int | None = None,
        peer: IAddress | None = None,
    ) -> BudgetTransport:
        """
        Have a factory build a protocol and connect it to a new transport.
        """
        protocol = factory.buildProtocol(FakeAddress())
        assert protocol is not None, "the factory refused"
        transport = cls(clock, budget, protocol, peer)
        protocol.makeConnection(transport)
        return transport

    # What a test does.

    def deliver(self, data: bytes) -> None:
        """
        The peer sends.  What comes while reading is paused waits for
        C{resumeProducing}.
        """
        if self.disconnected or self.aborted:
            return
        self._undelivered += data
        self._flushUndelivered()

    def finish(self) -> None:
        """
        The peer shuts down its sending side.
        """
        if IHalfCloseableProtocol.providedBy(self.protocol):
            IHalfCloseableProtocol(self.protocol).readConnectionLost()
        else:
            self.lose(ConnectionDone())

    def lose(self, reason: Exception | None = None) -> None:
        """
        The connection is over.
        """
        if self.disconnected:
            return
        self.disconnected = True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(reason or ConnectionLost()))

    def allow(self, count: int | None = None) -> None:
        """
        Let the peer read.

        @param count: How many bytes more than the budget so far; None lifts the
            budget for good.
        """
        self.budget = None if count is None or self.budget is None else self.budget + count
        self._send()

    def take(self, count: int | None = None) -> bytes:
        """
        Let the peer read, and look at what it has read since the last call.
        """
        self.allow(count)
        return self.value()

    def value(self) -> bytes:
        """
        What the peer has read since the last call.
        """
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    @property
    def pending(self) -> int:
        """
        How many bytes were written and not yet taken.
        """
        return len(self._pending)

    # ITransport

    def write(self, data: bytes) -> None:
        """
        Take bytes, and pause the producer if there are too many.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"expected bytes, got {type(data).__name__}")
        if self.disconnected or self.aborted or self._writeClosing:
            return
        self._pending += data
        self._send()
        if self.producer is not None and len(self._pending) > self.bufferSize:
            self._producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Take several bytes.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close once everything is taken.
        """
        self.disconnecting = True
        self._clock.callLater(0, self._send)

    def loseWriteConnection(self) -> None:
        """
        Send an end of file once everything is taken.
        """
        self._writeClosing = True
        self._send()

    def abortConnection(self) -> None:
        """
        Close now, and lose what is pending.
        """
        if self.disconnected or self.aborted:
            return
        self.aborted = True
        self._pending.clear()
        self._clock.callLater(0, self.lose, ConnectionAborted())

    def getPeer(self) -> IAddress:
        """
        The same address, or the one that was given: there is no peer.
        """
        return self._peer

    def getHost(self) -> IAddress:
        """
        The same address: there is no peer.
        """
        return FakeAddress("host")

    # IConsumer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Pause this producer while too much is pending.
        """
        if not streaming:
            raise ValueError("expected a push producer, got a pull producer")
        if self.producer is not None:
            raise RuntimeError(f"{self.producer!r} is registered already")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = cast("IPushProducer", producer)
        self._producerPaused = False

    def unregisterProducer(self) -> None:
        """
        Pause it no more.
        """
        self.producer = None
        if self.disconnecting:
            self._clock.callLater(0, self._send)

    # IPushProducer

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Read again, on the next turn.
        """
        if not self.disconnecting:
            self.paused = False
            self._clock.callLater(0, self._flushUndelivered)

    def stopProducing(self) -> None:
        """
        Close once everything is taken.
        """
        self.loseConnection()

    def _flushUndelivered(self) -> None:
        while self._undelivered and not (self.paused or self.disconnecting or self.disconnected):
            data = bytes(self._undelivered[: self.readSize])
            del self._undelivered[: self.readSize]
            if self.protocol is not None:
                self.protocol.dataReceived(data)

    def _tellWriteClosed(self) -> None:
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is not None and not self.disconnected:
            protocol.writeConnectionLost()

    def _send(self) -> None:
        """
        Let the peer take what its budget allows, and see what follows.
        """
        if self.disconnected or self.aborted:
            return
        count = len(self._pending) if self.budget is None else self.budget
        taken = self._pending[:count]
        del self._pending[:count]
        self._taken += taken
        if self.budget is not None:
            self.budget -= len(taken)
        if self._pending:
            return
        if self._writeClosing and not self.writeClosed:
            self.writeClosed = True
            self._clock.callLater(0, self._tellWriteClosed)
        if self.producer is not None:
            if self._producerPaused:
                self._producerPaused = False
                self.producer.resumeProducing()
        elif self.disconnecting:
            self._clock.callLater(0, self.lose, ConnectionDone())
