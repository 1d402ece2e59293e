# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
One end of a tunnel: the connections in it, what listens there, and the packets that they have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.producing import ProducerGate
from muxd.device.transport import stopFactory
from muxd.limits import LIMITS, Limits
from muxd.tunnel.contracts import Carried
from muxd.tunnel.packets import ACK, RST, SYN, MalformedPacket, Segment, readPacket, writePacket
from muxd.tunnel.tcp import TCPConnection
from muxd.tunnel.transport import TunnelTransport
from muxd.wire.sequence import advance

FIRST_PORT = 49152
LAST_PORT = 65535


@dataclass(slots=True)
class TunnelCounters:
    """
    What has happened at one end.

    @ivar received: Packets that were TCP segments.
    @ivar sent: Packets.
    @ivar again: Segments that were sent again.
    @ivar dropped: Packets and pieces that were dropped, by the reason.
    """

    received: int = 0
    sent: int = 0
    again: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@implementer(IPushProducer)
class TunnelStack:
    """
    One end of a tunnel.

    It is a push producer of what carries it: while that has no room, nothing is sent.

    @ivar isHeld: Whether that is so.
    @ivar counters: What has happened.
    @ivar connections: By our port and the other's.
    """

    def __init__(
        self,
        clock: IReactorTime,
        host: IPv6Address,
        peer: IPv6Address,
        mtu: int,
        write: Callable[[bytes], object],
        random: Callable[[int], bytes],
        listening: Mapping[int, IProtocolFactory] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param host: Our address.
        @param peer: The other end's.
        @param write: Sends a packet.
        @param random: Makes that many random bytes.
        @param listening: By port.
        """
        self.clock = clock
        self.limits = limits
        self.mtu = mtu
        self.isHeld = False
        self.counters = TunnelCounters()
        self.connections: dict[tuple[int, int], TCPConnection] = {}
        self.host = host
        self.peer = peer
        self._addresses = host.packed, peer.packed
        self._write = write
        self._random = random
        self._listening = {} if listening is None else listening
        self._flushing: dict[Carried, None] = {}
        self._flushLater: IDelayedCall | None = None
        self._ended: Failure | None = None
        # Not the same at each start, as other stacks do not have it either.
        self._nextPort = FIRST_PORT + int.from_bytes(random(2)) % (LAST_PORT - FIRST_PORT)

    # What is used of it

    def connect(
        self,
        port: int,
        begin: Callable[[TunnelTransport], IProtocol | None],
        ended: Callable[[Failure], object],
    ) -> TCPConnection:
        """
        Open a connection.

        @param begin: Makes its protocol, see L{TunnelTransport}.
        @param ended: Called when it is over.
        @raise ConnectError: There are too many, or the tunnel is gone.
        """
        if self._ended is not None:
            raise ConnectError(string=f"the tunnel is gone: {self._ended.getErrorMessage()}")
        if len(self.connections) >= self.limits.tunnelSessions:
            raise ConnectError(
                string=f"there are {len(self.connections)} connections in the tunnel already"
            )
        while (self._nextPort, port) in self.connections:
            self._advance()
        connection = self._make(self._nextPort, port, begin, ended)
        self._advance()
        connection.open()
        return connection

    def stop(self, reason: Failure) -> None:
        """
        The tunnel is gone, and everything in it.
        """
        self._ended = reason
        for connection in tuple(self.connections.values()):
            connection.carrierLost(reason)
        self._flushing.clear()
        if self._flushLater is not None:
            self._flushLater.cancel()
            self._flushLater = None

    def _advance(self) -> None:
        self._nextPort = FIRST_PORT if self._nextPort == LAST_PORT else self._nextPort + 1

    def _make(
        self,
        local: int,
        remote: int,
        begin: Callable[[TunnelTransport], IProtocol | None],
        ended: Callable[[Failure], object],
    ) -> TCPConnection:
        transport = TunnelTransport(self.host, self.peer, self._gate, begin, ended)
        first = int.from_bytes(self._random(4))
        transport.connection = TCPConnection(self, local, remote, transport, first)
        self.connections[local, remote] = transport.connection
        return transport.connection

    def _gate(self, failed: Callable[[], None]) -> ProducerGate:
        return ProducerGate(self.limits.tunnelSendBuffer, self.clock, failed)

    # What comes

    def packetReceived(self, packet: bytes) -> None:
        """
        A packet has come.
        """
        host, peer = self._addresses
        try:
            segment = readPacket(packet, peer, host)
        except MalformedPacket as error:
            self.counters.dropped[error.kind] += 1
            return
        self.counters.received += 1
        connection = self.connections.get((segment.destination, segment.source))
        if connection is not None:
            connection.arrived(segment)
        elif segment.flags & (SYN | ACK | RST) == SYN:
            self._asked(segment)
        else:
            self._stray(segment)

    def _asked(self, segment: Segment) -> None:
        """
        The other end asks for a connection.
        """
        factory = self._listening.get(segment.destination)
        if factory is None or len(self.connections) >= self.limits.tunnelSessions:
            self._stray(segment)
            return

        def begin(transport: TunnelTransport) -> IProtocol | None:
            return factory.buildProtocol(transport.getPeer())

        connection = self._make(segment.destination, segment.source, begin, _nothing)
        connection.accept(segment)

    def _stray(self, segment: Segment) -> None:
        """
        It belongs to no connection, and its sender should know.
        """
        if segment.flags & RST:
            return
        if self.isHeld:
            self.counters.dropped["stray"] += 1
            return
        if segment.flags & ACK:
            sequence, acknowledgement, flags = segment.acknowledgement, 0, RST
        else:
            sequence, flags = 0, RST | ACK
            acknowledgement = advance(segment.sequence, segment.length)
        self.send(Segment(segment.destination, segment.source, sequence, acknowledgement, flags, 0))

    # What carries the connections

    def send(self, segment: Segment) -> None:
        """
        Send a segment.
        """
        self.counters.sent += 1
        self._write(writePacket(*self._addresses, segment))

    def wantsFlush(self, connection: Carried) -> None:
        """
        Have a connection acknowledge what has come, in the next turn of the reactor: that is once
        for all that this one brings.
        """
        self._flushing[connection] = None
        if self._flushLater is None and not self.isHeld:
            self._flushLater = self.clock.callLater(0, self._flush)

    def ended(self, connection: Carried) -> None:
        """
        A connection is over.
        """
        self.connections.pop((connection.local, connection.remote), None)
        self._flushing.pop(connection, None)

    def _flush(self) -> None:
        self._flushLater = None
        if self.isHeld:
            return
        flushing, self._flushing = self._flushing, {}
        for connection in flushing:
            connection.flush()

    def pauseProducing(self) -> None:
        """
        What carries it has no room.
        """
        self.isHeld = True

    def resumeProducing(self) -> None:
        """
        It has, for those that have waited, in turn.
        """
        self.isHeld = False
        self._flush()
        for key, connection in tuple(self.connections.items()):
            if self.isHeld:
                return
            if key in self.connections:
                connection.output()
                if self.isHeld and key in self.connections:
                    # It has had its turn.
                    self.connections[key] = self.connections.pop(key)

    def stopProducing(self) -> None:
        """
        What carries it is gone, and will say so.
        """


def _nothing(reason: Failure) -> None:
    """
    A connection that the other end has opened concerns its protocol alone.
    """


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True, slots=True)
class TunnelEndpoint:
    """
    The way to a port of the other end of a tunnel.

    @ivar stack: Our end of the tunnel.
    @ivar port: The port.
    """

    stack: TunnelStack
    port: int

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Open a connection.

        @return: fires with the protocol; fails with Twisted's own exceptions.
        """
        stack = self.stack
        timer: IDelayedCall | None = None
        isMade = False

        def cancel(_: Deferred[Any]) -> None:
            result.errback(ConnectingCancelledError(f"port {self.port} of a tunnel"))
            connection.abort()

        def begin(transport: TunnelTransport) -> IProtocol | None:
            nonlocal isMade
            if timer is not None and timer.active():
                timer.cancel()
            protocol: IProtocol | None = protocolFactory.buildProtocol(transport.getPeer())
            if protocol is None:
                result.errback(NoProtocol(f"the factory made no protocol for port {self.port}"))
                return None
            isMade = True
            # Once it is connected, as with other endpoints.
            stack.clock.callLater(0, made, protocol)
            return protocol

        def made(protocol: IProtocol) -> None:
            if not result.called:
                result.callback(protocol)

        def ended(reason: Failure) -> None:
            if timer is not None and timer.active():
                timer.cancel()
            stopFactory(protocolFactory)
            if not isMade and not result.called:
                result.errback(reason)

        def tooLate() -> None:
            reason = TimeoutError(f"no answer within {stack.limits.connectTimeout:g} s")
            connection.abort(Failure(reason))

        result: Deferred[Any] = Deferred(cancel)
        protocolFactory.doStart()
        try:
            connection = stack.connect(self.port, begin, ended)
        except ConnectError:
            stopFactory(protocolFactory)
            return fail()
        timer = stack.clock.callLater(stack.limits.connectTimeout, tooLate)
        return result
