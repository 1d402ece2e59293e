# -*- test-case-name: tests.fleet.test_source -*-
"""
A phone of a fleet, as its users have it: by way of its host's door.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.access import DaemonAccess
from muxd.client.answers import Device
from muxd.client.client import UsbmuxClient
from muxd.fleet.codec import BadMessage
from muxd.fleet.door import framed
from muxd.fleet.messages import AT_DOOR, FROM_DOOR, LONGEST_HELLO, VERSION, Knock, Refused
from muxd.fleet.values import PhoneRecord
from muxd.limits import LIMITS, Limits
from muxd.remote.phone import RemotePhone

TIMEOUT = 10.0
"""Seconds from a knock to its answer."""


@implementer(IStreamClientEndpoint)
class KnockingEndpoint:
    """
    The way through a host's door.
    """

    def __init__(
        self, clock: IReactorTime, door: IStreamClientEndpoint, udid: str, key: str
    ) -> None:
        """
        @param door: The way to it.
        """
        self._clock = clock
        self._door = door
        self._knock = Knock(version=VERSION, udid=udid, key=key)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect, and knock.

        @return: fires with a protocol that has been let in.  It fails with
            C{ConnectionRefusedError} if it has not.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        knocking: Any = await self._door.connect(_KnockingFactory(self._knock, factory))
        opened: Deferred[IProtocol] = knocking.opened
        opened.addTimeout(TIMEOUT, self._clock)
        try:
            return await opened
        except BaseException:
            knocking.giveUp()
            raise


class _KnockingFactory(Factory):
    noisy = False

    def __init__(self, knock: Knock, inner: IProtocolFactory) -> None:
        self._knock = knock
        self._inner = inner

    def buildProtocol(self, addr: IAddress | None) -> _KnockingProtocol:
        return _KnockingProtocol(self._knock, self._inner)


@implementer(IHalfCloseableProtocol)
class _KnockingProtocol(Protocol):
    """
    A connection that is to be let in.
    """

    def __init__(self, knock: Knock, inner: IProtocolFactory) -> None:
        self.opened: Deferred[IProtocol] = Deferred()
        self._knock = knock
        self._factory = inner
        self._received = b""
        self._inside: Any = None

    def connectionMade(self) -> None:
        self._stream.write(framed(AT_DOOR.encode(self._knock)))

    def dataReceived(self, data: bytes) -> None:
        if self._inside is not None:
            self._inside.dataReceived(data)
            return
        self._received += data
        size = int.from_bytes(self._received[:4], "big")
        if len(self._received) < 4:
            return
        if size > LONGEST_HELLO:
            self._fail(ConnectError(string="a host answers with nonsense"))
        elif len(self._received) >= 4 + size:
            self._answered(self._received[4 : 4 + size], self._received[4 + size :])

    def readConnectionLost(self) -> None:
        if self._inside is None:
            self._fail(ConnectionLost("its host has closed the connection"))
        elif IHalfCloseableProtocol.providedBy(self._inside):
            self._inside.readConnectionLost()
        else:
            self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        if IHalfCloseableProtocol.providedBy(self._inside):
            self._inside.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inside is not None:
            self._inside.connectionLost(reason)
        elif not self.opened.called:
            self.opened.errback(ConnectionLost(reason.getErrorMessage()))

    def giveUp(self) -> None:
        """
        The connection is not wanted any more.
        """
        if self._inside is None:
            self._stream.abortConnection()

    @property
    def _stream(self) -> Any:
        return self.transport

    def _answered(self, message: bytes, rest: bytes) -> None:
        try:
            answer = FROM_DOOR.decode(message)
        except BadMessage as error:
            self._fail(ConnectError(string=f"a host answers with nonsense: {error}"))
            return
        if isinstance(answer, Refused):
            self._fail(ConnectionRefusedError(string=answer.detail or answer.why.value))
            return
        if self.opened.called:
            return
        self._inside = self._factory.buildProtocol(self._stream.getPeer())
        if self._inside is None:
            self._fail(ConnectionLost("not wanted any more"))
            return
        self._stream.protocol = self._inside
        self._inside.makeConnection(self._stream)
        self.opened.callback(self._inside)
        if rest:
            self._inside.dataReceived(rest)

    def _fail(self, error: Exception) -> None:
        if not self.opened.called:
            self.opened.errback(error)
        self._stream.abortConnection()


class FleetPhone(RemotePhone):
    """
    A phone of a fleet.

    @ivar record: As its host has announced it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        door: IStreamClientEndpoint,
        record: PhoneRecord,
        key: str,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param door: The way to its host's door.
        @param key: What opens it.
        """
        self.record = record
        knocking = KnockingEndpoint(clock, door, record.udid, key)
        access = DaemonAccess(clock, knocking, f"host {record.host}", limits)
        device = Device(
            # Which number it has at its host is not known yet; none has this one.
            deviceID=0,
            udid=record.udid,
            productID=record.productID,
            locationID=record.locationID,
            speed=record.speed,
        )
        super().__init__(UsbmuxClient(clock, access), device, record.host, self._isKnown)

    def _isKnown(self) -> bool:
        return self.device.deviceID > 0
