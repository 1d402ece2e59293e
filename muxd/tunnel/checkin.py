# -*- test-case-name: tests.tunnel.test_rsd -*-
"""
What is said on a connection to a C{.shim.remote} service before the service itself speaks: the
host's check-in and the phone's two answers, as property lists.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, NoProtocol
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.transport import stopFactory
from muxd.tunnel.transport import TunnelTransport
from muxd.wire.messages import MalformedMessage, parsePlist, writePlist
from muxd.wire.text import printable

REQUEST = "RSDCheckin"
SHIM = ".shim.remote"
"""What the names of services end with that were lockdownd's once."""

LONGEST = 1 << 16
"""Bytes of a message."""

LABEL = "muxd"

_LENGTH = Struct(">I")


class CheckInFailed(ConnectError):
    """
    The phone does not let us in.
    """


class _Messages(Protocol):
    """
    Reads messages until what follows them belongs to another protocol.
    """

    def __init__(self) -> None:
        self._held = b""
        self._isOver = False

    def messageReceived(self, message: dict[str, Any]) -> None:
        """
        The other end has said something.
        """
        raise NotImplementedError

    def malformed(self, text: str) -> None:
        """
        What it says makes no sense.
        """
        raise NotImplementedError

    def say(self, message: dict[str, Any]) -> None:
        """
        Say something.
        """
        data = writePlist(message)
        assert self.transport is not None
        self.transport.write(_LENGTH.pack(len(data)) + data)

    def handOver(self, protocol: IProtocol) -> None:
        """
        Have another protocol go on from here.
        """
        self._isOver = True
        transport: Any = self.transport
        assert isinstance(transport, TunnelTransport)
        rest, self._held = self._held, b""
        transport.handOver(protocol, rest)

    def dataReceived(self, data: bytes) -> None:
        """
        Read messages.
        """
        self._held += data
        while not self._isOver and len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            end = _LENGTH.size + length
            if length > LONGEST:
                self._end(f"message of {length} bytes, expected at most {LONGEST}")
                return
            if len(self._held) < end:
                return
            body, self._held = self._held[_LENGTH.size : end], self._held[end:]
            try:
                message = parsePlist(body)
            except MalformedMessage as error:
                self._end(printable(str(error)))
                return
            self.messageReceived(message)

    def _end(self, text: str) -> None:
        self._isOver = True
        self._held = b""
        self.malformed(text)


class PhoneCheckIn(_Messages):
    """
    The phone's part.
    """

    def __init__(self, name: str, factory: IProtocolFactory) -> None:
        """
        @param name: The service's.
        @param factory: Makes it.
        """
        super().__init__()
        self._name = name
        self._factory = factory

    def messageReceived(self, message: dict[str, Any]) -> None:
        """
        Let a host in.
        """
        if message.get("Request") != REQUEST:
            self._end(f"expected {REQUEST}")
            return
        assert self.transport is not None
        service = self._factory.buildProtocol(self.transport.getPeer())
        self.say({"Request": REQUEST})
        if service is None:
            self.say({"Request": "StartService", "Error": "ServiceProhibited"})
            self.transport.loseConnection()
            return
        self.say({"Request": "StartService", "Service": self._name})
        self.handOver(service)

    def malformed(self, text: str) -> None:
        """
        It is no host's.
        """
        assert self.transport is not None
        self.transport.loseConnection()


class HostCheckIn(_Messages):
    """
    The host's part.
    """

    def __init__(
        self,
        factory: IProtocolFactory,
        result: Deferred[Any],
        clock: IReactorTime,
        timeout: float,
    ) -> None:
        """
        @param result: Fires with the protocol that the factory makes, once the phone has let it in.
        """
        super().__init__()
        self._wanted = factory
        self._result = result
        self._clock = clock
        self._timeout = timeout
        self._timer: IDelayedCall | None = None
        self._expected = [REQUEST, "StartService"]

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self._timer = self._clock.callLater(
            self._timeout, self.malformed, f"no answer within {self._timeout:g} s"
        )
        self.say({"Label": LABEL, "ProtocolVersion": "2", "Request": REQUEST})

    def messageReceived(self, message: dict[str, Any]) -> None:
        """
        An answer.
        """
        expected = self._expected.pop(0)
        if message.get("Request") != expected:
            got = printable(repr(message.get("Request")))[:80]
            self._end(f"expected {expected}, got {got}")
            return
        refusal = message.get("Error")
        if refusal is not None:
            self._end(f"the phone refuses: {printable(str(refusal))[:80]}")
            return
        if self._expected:
            return
        self._stopTimer()
        assert self.transport is not None
        protocol = self._wanted.buildProtocol(self.transport.getPeer())
        if protocol is None:
            self._fail(Failure(NoProtocol("the factory made no protocol")))
            return
        self.handOver(protocol)
        if not self._result.called:
            self._result.callback(protocol)

    def malformed(self, text: str) -> None:
        """
        It is no phone's, or it will not have us.
        """
        self._fail(Failure(CheckInFailed(string=text)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        There will be no answer.
        """
        if not self._isOver:
            text = f"before the check-in: {reason.getErrorMessage()}"
            self._fail(Failure(ConnectionLost(text)))

    def _fail(self, reason: Failure) -> None:
        self._isOver = True
        self._stopTimer()
        transport: Any = self.transport
        if transport is not None and transport.connected:
            transport.abortConnection()
        if not self._result.called:
            self._result.errback(reason)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


@implementer(IStreamClientEndpoint)
class CheckInEndpoint:
    """
    The way to a C{.shim.remote} service.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, clock: IReactorTime, timeout: float
    ) -> None:
        """
        @param endpoint: The way to its port, in a tunnel.
        @param timeout: Seconds for the check-in.
        """
        self._endpoint = endpoint
        self._clock = clock
        self._timeout = timeout

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Connect, and check in.

        @return: fires with the protocol; fails with Twisted's own exceptions, of which one is
            L{CheckInFailed}.
        """
        connecting: list[Deferred[Any]] = []

        def cancel(_: Deferred[Any]) -> None:
            connecting[0].cancel()
            if made:
                made[0].transport.abortConnection()

        result: Deferred[Any] = Deferred(cancel)
        made: list[Any] = []

        def make() -> HostCheckIn:
            protocol = HostCheckIn(protocolFactory, result, self._clock, self._timeout)
            made.append(protocol)
            return protocol

        def failed(reason: Failure) -> None:
            if not result.called:
                result.errback(reason)

        protocolFactory.doStart()
        connected = self._endpoint.connect(_Once(make, lambda: stopFactory(protocolFactory)))
        connecting.append(connected)
        connected.addErrback(failed)
        return result


class _Once(Factory):
    """
    Makes one protocol.
    """

    noisy = False

    def __init__(self, make: Callable[[], Protocol], stopped: Callable[[], object]) -> None:
        self._make = make
        self._stopped = stopped

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        A new protocol for a connection.
        """
        return self._make()

    def stopFactory(self) -> None:
        """
        The connection is over.
        """
        self._stopped()
