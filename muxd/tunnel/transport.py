# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
A TCP connection in a tunnel, to the protocol that uses it: an ordinary Twisted transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.address import IPv6Address as SocketAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.chunks import SMALL, joined
from muxd.device.producing import ProducerGate
from muxd.interfaces import Buffer
from muxd.tunnel.contracts import ITCPUser
from muxd.tunnel.states import CLOSED
from muxd.tunnel.tcp import TCPConnection

_log = Logger()


@implementer(ITransport, IConsumer, IPushProducer, ILoggingContext, ITCPUser)
class TunnelTransport:
    """
    See the module.

    @ivar connection: Its rules.
    @ivar protocol: What uses it; C{None} before there is one and after the end.
    """

    connection: TCPConnection

    def __init__(
        self,
        host: IPv6Address,
        peer: IPv6Address,
        gate: Callable[[Callable[[], None]], ProducerGate],
        begin: Callable[[TunnelTransport], IProtocol | None],
        ended: Callable[[Failure], object],
    ) -> None:
        """
        @param gate: Makes what pauses a producer.
        @param begin: Makes a protocol once the other side has agreed; C{None} for no protocol,
            which ends the connection.
        @param ended: Called when it is over.
        """
        self._host = host
        self._peer = peer
        self._begin = begin
        self._ended = ended
        self._gate = gate(self._blame)
        self.protocol: IProtocol | None = None
        self._held: deque[Buffer] = deque()
        self._isPaused = False
        self._isDelivering = False
        self._isFinished = False
        self._isClosing = False
        self._reason: Failure | None = None

    def _blame(self) -> None:
        """
        The application's code raised: that ends this connection and nothing else.
        """
        failure = Failure()
        _log.failure("{transport} failed", failure, transport=self.logPrefix())
        self.connection.abort(failure)

    # What the protocol sends

    def write(self, data: bytes) -> None:
        """
        Send bytes, as the other side has room and the tunnel can carry them.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"expected bytes, got {type(data).__name__}")
        if self._isClosing and self._gate.producer is None:
            return
        self.connection.write(data)
        self._gate.filled(self.connection.buffer.size)

    def writeSequence(self, data: Any) -> None:
        """
        Send an iterable of bytes as if they were one.
        """
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pause this producer while more than the send buffer is waiting.

        @raise RuntimeError: There is one already.
        """
        if self.connection.state is CLOSED:
            producer.stopProducing()
        else:
            self._gate.register(producer, streaming, self.connection.buffer.size)

    def unregisterProducer(self) -> None:
        """
        Forget the producer; idempotent.
        """
        self._gate.unregister()
        if self._isClosing:
            self.connection.close()

    # What the protocol receives

    def pauseProducing(self) -> None:
        """
        Deliver nothing until resumed; the other side stops when its window is full.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        Deliver what is held, and go on.
        """
        self._isPaused = False
        self._deliver()

    def stopProducing(self) -> None:
        """
        The consumer of our bytes has gone.
        """
        self.loseConnection()

    def handOver(self, protocol: IProtocol, rest: bytes = b"") -> None:
        """
        Have another protocol use the connection from now on.

        @param rest: What the present one was given and has left to it.
        """
        self.protocol = protocol
        if rest:
            self._held.appendleft(rest)
            self.connection.unread += len(rest)
        protocol.makeConnection(self)
        if not self._isPaused:
            self._deliver()

    def _deliver(self) -> None:
        if self._isDelivering:
            return
        self._isDelivering = True
        try:
            while self._held and not self._isPaused and self.protocol is not None:
                data = self._held.popleft()
                self.connection.taken(len(data))
                try:
                    self.protocol.dataReceived(bytes(data))
                except Exception:
                    self._blame()
        finally:
            self._isDelivering = False
        if self._held or self.protocol is None:
            return
        if self._isFinished:
            self._isFinished = False
            self._tellFinished()
        if self._reason is not None:
            self._tellLost(self._reason)

    def _tellFinished(self) -> None:
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is None:
            self.connection.close()
            return
        try:
            protocol.readConnectionLost()
        except Exception:
            self._blame()

    # How it ends

    def loseConnection(self) -> None:
        """
        Send what was written, and end the connection when the other side has it; a producer
        finishes first.
        """
        self._isClosing = True
        self._held.clear()
        self._isFinished = False
        if self._gate.producer is None:
            self.connection.close()
        else:
            self._isPaused = True

    def loseWriteConnection(self) -> None:
        """
        Send what was written and the end of it, and go on listening.
        """
        self.connection.closeHalf()

    def abortConnection(self) -> None:
        """
        End it now; what was not sent is dropped.
        """
        self._held.clear()
        self.connection.abort()

    # ITCPUser

    def established(self) -> None:
        """
        See L{ITCPUser.established}.
        """
        try:
            protocol = self._begin(self)
        except Exception:
            _log.failure("{transport}: no protocol was made", transport=self.logPrefix())
            self.connection.abort()
            return
        if protocol is None:
            self.connection.abort()
            return
        if self.connection.state is CLOSED:
            return
        self.protocol = protocol
        try:
            protocol.makeConnection(self)
        except Exception:
            self._blame()

    def received(self, data: bytes) -> None:
        """
        See L{ITCPUser.received}.
        """
        if self._isClosing:
            self.connection.taken(len(data))
            return
        held = self._held
        if held and len(data) < SMALL and len(data) + len(held[-1]) <= SMALL:
            held[-1] = joined(held[-1], data)
        else:
            held.append(data)
        if not self._isPaused:
            self._deliver()

    def finished(self) -> None:
        """
        See L{ITCPUser.finished}.
        """
        self._isFinished = True
        self._deliver()

    def drained(self, waiting: int) -> None:
        """
        See L{ITCPUser.drained}.
        """
        self._gate.drained(waiting)

    def writeFinished(self) -> None:
        """
        See L{ITCPUser.writeFinished}.
        """
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is not None:
            try:
                protocol.writeConnectionLost()
            except Exception:
                self._blame()

    def lost(self, reason: Failure) -> None:
        """
        See L{ITCPUser.lost}.
        """
        producer = self._gate.close()
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                _log.failure("stopProducing failed")
        if self._held and reason.check(ConnectionDone) and self.protocol is not None:
            # It was all said in order, and what is held belongs to it.
            self._reason = reason
        else:
            self._tellLost(reason)

    def _tellLost(self, reason: Failure) -> None:
        protocol, self.protocol = self.protocol, None
        self._reason = None
        self._held.clear()
        if protocol is not None:
            try:
                protocol.connectionLost(reason)
            except Exception:
                _log.failure("connectionLost of {transport} failed", transport=self.logPrefix())
        self._ended(reason)

    # What it is

    @property
    def connected(self) -> bool:
        """
        Whether there is a connection.
        """
        return self.connection.state is not CLOSED

    @property
    def disconnecting(self) -> bool:
        """
        Whether C{loseConnection} has been called.
        """
        return self._isClosing

    def getPeer(self) -> SocketAddress:
        """
        The other end.
        """
        return SocketAddress("TCP", str(self._peer), self.connection.remote)

    def getHost(self) -> SocketAddress:
        """
        Our end.
        """
        return SocketAddress("TCP", str(self._host), self.connection.local)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Nothing is ever delayed.
        """

    def getTcpNoDelay(self) -> bool:
        """
        So this is always true.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        What carries the tunnel tells when it is gone.
        """

    def logPrefix(self) -> str:
        """
        For the log of the application's code.
        """
        connection = self.connection
        return f"connection {connection.local}->{connection.remote} in a tunnel"
