"""
A simulated phone's lockdownd and services, without a muxer in between.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, IOPump, connect
from zope.interface import implementer

from muxd.interfaces import IDevice
from muxd.lockdown.certificates import makePairRecord
from muxd.lockdown.client import LOCKDOWN_PORT, LockdownClient, connectLockdown
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.testing.devices import fakeIdentity
from muxd.testing.transports import FakeAddress

BUID = "30142955-444094379208051516"


@cache
def anyRecord() -> PairRecord:
    """
    A pair record of simulated phones: making one takes a while, and all have the
    same key.
    """
    return makePairRecord(PUBLIC_KEY, "HOST", BUID)


def recordOf(hostID: str, systemBUID: str = BUID) -> PairRecord:
    """
    The same keys under other names.
    """
    return anyRecord().having(HostID=hostID, SystemBUID=systemBUID)


@implementer(IStreamClientEndpoint)
class _NearEndpoint:
    """
    The way to one port of a L{NearDevice}.
    """

    def __init__(self, device: NearDevice, port: int) -> None:
        self._device = device
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect, unless nothing listens there.
        """
        return self._device.connect(self._port, protocolFactory)


@implementer(IDevice)
class NearDevice:
    """
    A device whose services are called directly.

    @ivar phone: The phone.
    @ivar isDeaf: Whether connections are neither accepted nor refused.
    @ivar refused: Ports that are closed.
    @ivar ports: Those that were connected to.
    """

    def __init__(self, clock: Clock, phone: Phone | None = None) -> None:
        self.identity = fakeIdentity()
        self.phone = Phone(clock) if phone is None else phone
        self.isDeaf = False
        self.refused: set[int] = set()
        self.ports: list[int] = []
        self._pumps: list[IOPump] = []

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a port.
        """
        return _NearEndpoint(self, port)

    def connect(self, port: int, factory: Any) -> Deferred[Any]:
        """
        Connect a protocol of this factory to a service.
        """
        self.ports.append(port)
        if self.isDeaf:
            return Deferred()
        service: Any = self.phone.services.get(port)
        if service is None or port in self.refused:
            return fail(ConnectionRefusedError(string="nobody listens there"))
        server = service.buildProtocol(FakeAddress())
        client = factory.buildProtocol(FakeAddress())
        pump = connect(server, FakeTransport(server, True), client, FakeTransport(client, False))
        self._pumps.append(pump)
        return succeed(client)

    def flush(self) -> None:
        """
        Let everything that was said be heard.
        """
        busy = True
        while busy:
            moved = [pump.pump() for pump in self._pumps]
            busy = any(moved)


class Conversation:
    """
    A host's conversation with a phone's lockdownd.

    @ivar clock: What time it is.
    @ivar device: The phone, as a device.
    @ivar client: The host's side.
    """

    def __init__(self, device: NearDevice | None = None, clock: Clock | None = None) -> None:
        self.clock = Clock() if clock is None else clock
        self.device = NearDevice(self.clock) if device is None else device
        found: list[LockdownClient] = []
        connectLockdown(self.device.endpoint(LOCKDOWN_PORT), self.clock).addCallback(found.append)
        (self.client,) = found

    @property
    def phone(self) -> Phone:
        """
        The phone.
        """
        return self.device.phone

    def trust(self, record: PairRecord) -> None:
        """
        Have the phone trust this host.
        """
        for _ in range(2):
            self.client.pair(record).addErrback(lambda _: None)
            self.device.flush()
            self.phone.trust.accept()
