"""
Sockets in memory, which behave as Twisted's TCP transports do.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """
    One end of a socket, which behaves as Twisted's TCP transports do.

    @ivar closed: Whether its protocol has been told of the end.
    @ivar paused: Whether its protocol wants no data.
    @ivar aborted: Whether it was ended by C{abortConnection}.
    """

    def __init__(self) -> None:
        self.peer: MemoryTransport
        self.protocol: IProtocol
        self.disconnecting = False
        self.closed = False
        self.paused = False
        self.aborted = False
        self.producer: IProducer | None = None
        self._incoming: list[bytes] = []
        self._writeClosed = False
        self._endNoticed = False

    def write(self, data: bytes) -> None:
        """
        Send, unless the end has begun.
        """
        if not (self.disconnecting or self.closed or self.aborted or self._writeClosed):
            # A socket is a stream: what is written together is read together.
            self.peer._incoming.append(data)

    def writeSequence(self, data: Any) -> None:
        """
        Send all of it.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close gently.
        """
        self.disconnecting = True

    def abortConnection(self) -> None:
        """
        Close at once, but not inside this call.
        """
        self.aborted = True

    def loseWriteConnection(self) -> None:
        """
        Close our half.
        """
        self._writeClosed = True
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is not None:
            half.writeConnectionLost()

    def getPeer(self) -> IAddress:
        """
        Nobody asks.
        """
        raise NotImplementedError

    getHost = getPeer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Remember a producer.
        """
        self.producer = producer

    def unregisterProducer(self) -> None:
        """
        Forget it.
        """
        self.producer = None

    def pauseProducing(self) -> None:
        """
        Read no more.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self.paused = False

    def stopProducing(self) -> None:
        """
        As a dying consumer does it.
        """
        self.loseConnection()

    def step(self) -> bool:
        """
        Let one thing happen.

        @return: whether anything did.
        """
        if self.closed:
            return False
        if self.aborted:
            return self._close(ConnectionAborted())
        if self.disconnecting and self.producer is None:
            return self._close(ConnectionDone())
        if self.paused or self.disconnecting:
            return False
        if self._incoming:
            data = b"".join(self._incoming)
            self._incoming.clear()
            self.protocol.dataReceived(data)
            return True
        if self.peer.closed:
            return self._noticeEnd(ConnectionLost() if self.peer.aborted else ConnectionDone())
        return self._noticeEnd(ConnectionDone()) if self.peer._writeClosed else False

    def _noticeEnd(self, reason: Exception) -> bool:
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is None or isinstance(reason, ConnectionLost):
            return self._close(reason)
        if self._endNoticed:
            return False
        self._endNoticed = True
        half.readConnectionLost()
        return True

    def _close(self, reason: Exception) -> bool:
        self.closed = True
        if self.producer is not None:
            self.producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))
        return True


def connectInMemory(client: IProtocol, server: IProtocol) -> MemoryTransport:
    """
    Join two protocols.

    @return: the client's transport; the server's is its peer.
    """
    near, far = MemoryTransport(), MemoryTransport()
    near.peer, far.peer = far, near
    near.protocol, far.protocol = client, server
    server.makeConnection(far)
    client.makeConnection(near)
    return near
