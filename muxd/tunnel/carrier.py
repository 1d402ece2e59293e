# -*- test-case-name: tests.tunnel.test_host -*-
"""
The stream that carries a tunnel: CDTunnel's handshake, and then packets, at the host's end and at
the phone's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.limits import LIMITS, Limits
from muxd.tunnel.cdtunnel import (
    HandshakeReader,
    MalformedHandshake,
    TunnelParameters,
    hostHandshake,
    parseHostHandshake,
    parsePhoneHandshake,
    phoneHandshake,
    writeHandshake,
)
from muxd.tunnel.packets import PacketSplitter
from muxd.tunnel.stack import TunnelStack


class TunnelProtocol(Protocol):
    """
    What both ends have in common.

    @ivar stack: This end of the tunnel, once there is one.
    @ivar parameters: What the phone has said of it.
    """

    _log = Logger()
    stack: TunnelStack | None = None
    parameters: TunnelParameters | None = None

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[int], bytes],
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param random: Makes that many random bytes.
        """
        self._clock = clock
        self._random = random
        self._limits = limits
        self._reader = HandshakeReader()
        self._splitter = PacketSplitter()
        self._timer: IDelayedCall | None = None
        self._isOver = False

    def handshakeReceived(self, message: dict[str, Any]) -> None:
        """
        The other end has said its part.

        @raise MalformedHandshake: It is none.
        """
        raise NotImplementedError

    def failed(self, reason: Failure) -> None:
        """
        It has come to nothing.
        """

    def connectionMade(self) -> None:
        """
        Wait for the handshake, but not for ever.
        """
        timeout = self._limits.tunnelTimeout
        self._timer = self._clock.callLater(timeout, self._silent, timeout)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what the stream brings.
        """
        if self._isOver:
            return
        if self.stack is None:
            try:
                message = self._reader.feed(data)
                if message is None:
                    return
                self.handshakeReceived(message)
            except MalformedHandshake as error:
                self._giveUp(f"no CDTunnel: {error}")
                return
            data = self._reader.rest
        stack = self.stack
        assert stack is not None
        for packet in self._splitter.feed(data):
            stack.packetReceived(packet)

    def begin(
        self,
        parameters: TunnelParameters,
        host: IPv6Address,
        peer: IPv6Address,
        listening: Mapping[int, IProtocolFactory] | None = None,
    ) -> TunnelStack:
        """
        Both ends have said their part.

        @param host: This end's address.
        @param peer: The other's.
        """
        self._stopTimer()
        transport: Any = self.transport
        self.parameters = parameters
        self.stack = TunnelStack(
            self._clock,
            host,
            peer,
            parameters.mtu,
            transport.write,
            self._random,
            listening,
            self._limits,
        )
        transport.registerProducer(self.stack, True)
        return self.stack

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        What was in it is over.
        """
        self._isOver = True
        self._stopTimer()
        if self.stack is not None:
            self.stack.stop(Failure(ConnectionLost(f"tunnel: {reason.getErrorMessage()}")))
        self.failed(reason)

    def close(self) -> None:
        """
        End the tunnel, and all connections in it.
        """
        transport: Any = self.transport
        if transport is None or self._isOver:
            return
        self._stopTimer()
        if self.stack is not None:
            self.stack.stop(Failure(ConnectionLost("the tunnel was closed here")))
            transport.unregisterProducer()
        self._isOver = True
        transport.loseConnection()
        carrier = getattr(transport, "transport", None)
        if carrier is not None:
            # TLS would wait for the other side to say so too.
            carrier.loseConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _silent(self, timeout: float) -> None:
        self._timer = None
        self._giveUp(f"no handshake within {timeout:g} s")

    def _giveUp(self, text: str) -> None:
        self._log.info("{name} closes: {text}", name=type(self).__name__, text=text)
        self.failed(Failure(ConnectionLost(text)))
        self.close()


class HostTunnel(TunnelProtocol):
    """
    The host's end.

    @ivar whenOpen: fires with this when packets may follow.
    @ivar whenLost: fires when the tunnel is gone.
    """

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[int], bytes],
        mtu: int,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param mtu: How large packets may be, if the phone agrees.
        """
        super().__init__(clock, random, limits)
        self._mtu = mtu
        self.whenOpen: Deferred[HostTunnel] = Deferred()
        self.whenLost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Ask.
        """
        super().connectionMade()
        assert self.transport is not None
        self.transport.write(writeHandshake(hostHandshake(self._mtu)))

    def handshakeReceived(self, message: dict[str, Any]) -> None:
        """
        The phone has answered.
        """
        parameters = parsePhoneHandshake(message)
        self.begin(parameters, parameters.host, parameters.phone)
        self.whenOpen.callback(self)

    def failed(self, reason: Failure) -> None:
        """
        Tell those that wait.
        """
        if not self.whenOpen.called:
            self.whenOpen.errback(reason)
        if not self.whenLost.called:
            self.whenLost.callback(None)


class PhoneTunnel(TunnelProtocol):
    """
    The phone's end.
    """

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[int], bytes],
        listening: Mapping[int, IProtocolFactory],
        rsdPort: int,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param listening: What is in the tunnel, by port.
        @param rsdPort: The port of that which tells of it.
        """
        super().__init__(clock, random, limits)
        self._listening = listening
        self._rsdPort = rsdPort

    def handshakeReceived(self, message: dict[str, Any]) -> None:
        """
        The host has asked: the network is one of our own making (RFC 4193).
        """
        mtu = parseHostHandshake(message)
        prefix = b"\xfd" + self._random(7)
        host, phone = (IPv6Address(prefix + number.to_bytes(8)) for number in (2, 1))
        parameters = TunnelParameters(host, phone, mtu, self._rsdPort)
        assert self.transport is not None
        self.transport.write(writeHandshake(phoneHandshake(parameters)))
        self.begin(parameters, phone, host, self._listening)
