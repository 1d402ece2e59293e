# -*- test-case-name: tests.testing.test_standins -*-
"""
A phone that answers as a test tells it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice
from muxd.testing.transports import BudgetTransport, FakeAddress


class FakeConnection:
    """
    One attempt to connect to a L{FakeDevice}.

    @ivar port: Which port was asked for.
    @ivar factory: The factory that asked for it.
    @ivar result: What the caller waits for.
    @ivar cancelled: Whether they gave up.
    @ivar transport: The transport of their protocol, once there is one: what
        the phone sends is C{transport.deliver(...)}, what it has been sent
        C{transport.value()}.
    """

    def __init__(self, clock: IReactorTime, port: int, factory: IProtocolFactory) -> None:
        self.port = port
        self.factory = factory
        self.cancelled = False
        self.transport: BudgetTransport | None = None
        self.result: Deferred[IProtocol] = Deferred(self._cancel)
        self._clock = clock

    def accept(self, budget: int | None = None) -> BudgetTransport:
        """
        The phone accepts.

        @param budget: How much it will read at first; None is everything.
        """
        protocol = self.factory.buildProtocol(FakeAddress())
        assert protocol is not None, "this connection is not wanted any more"
        transport = self.transport = BudgetTransport(self._clock, budget, protocol)
        protocol.makeConnection(transport)
        self.result.callback(protocol)
        return transport

    def refuse(self, error: BaseException) -> None:
        """
        The phone does not.
        """
        self.result.errback(Failure(error))

    def _cancel(self, result: Deferred[IProtocol]) -> None:
        self.cancelled = True


@implementer(IStreamClientEndpoint)
class _FakeEndpoint:
    """
    The way to one port of a L{FakeDevice}.
    """

    def __init__(self, device: FakeDevice, port: int) -> None:
        self._device = device
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Answer as the device was told to, or leave the answer to the test.
        """
        device = self._device
        connection = FakeConnection(device.clock, self._port, protocolFactory)
        device.connections.append(connection)
        answer = device.answers.get(self._port)
        if answer is device.ACCEPT:
            connection.accept()
        elif isinstance(answer, BaseException):
            connection.refuse(answer)
        return connection.result


class _Accept:
    """
    The answer of a port that accepts at once.
    """


@implementer(IDevice)
class FakeDevice:
    """
    A phone that answers as it is told to.

    @cvar ACCEPT: The answer of a port that accepts at once.
    @ivar identity: The phone's identity.
    @ivar answers: By port: L{ACCEPT}, or an exception to refuse with.  A port
        without an answer waits for the test to answer.
    @ivar connections: The attempts to connect, in their order.
    """

    ACCEPT: ClassVar[_Accept] = _Accept()

    def __init__(
        self,
        clock: IReactorTime,
        identity: DeviceIdentity | None = None,
        answers: Mapping[int, _Accept | BaseException] | None = None,
    ) -> None:
        self.clock = clock
        self.identity = identity or fakeIdentity()
        self.answers = dict(answers or {})
        self.connections: list[FakeConnection] = []

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a port.
        """
        return _FakeEndpoint(self, port)


def fakeIdentity(
    number: int = 1, *, connectionType: str = "USB", name: str = "iPhone"
) -> DeviceIdentity:
    """
    The identity of an iPhone; another one for each number.
    """
    serial = f"00008030{number:016X}"
    return DeviceIdentity(
        udid=f"{serial[:8]}-{serial[8:]}",
        serial=serial,
        productID=0x12A8,
        locationID=(1 << 16) | number,
        connectionType=connectionType,
        name=name,
    )
