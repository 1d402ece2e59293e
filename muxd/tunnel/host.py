# -*- test-case-name: tests.tunnel.test_host -*-
"""
A tunnel to a phone, at the host's end: its services as ordinary Twisted client endpoints, without
root and without a network interface.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from muxd.limits import LIMITS, Limits
from muxd.lockdown.client import LOCKDOWN_PORT, connectLockdown
from muxd.lockdown.pairrecord import PairRecord
from muxd.tunnel.carrier import HostTunnel
from muxd.tunnel.cdtunnel import LARGEST_MTU, TunnelParameters
from muxd.tunnel.checkin import SHIM, CheckInEndpoint
from muxd.tunnel.rsd import PeerInfo, RemoteService
from muxd.tunnel.rsdclient import RSDClient
from muxd.tunnel.stack import TunnelCounters, TunnelEndpoint

PROXY = "com.apple.internal.devicecompute.CoreDeviceProxy"
"""The service that is the other end of a tunnel."""


class NoService(ConnectError):
    """
    The phone has no such service in its tunnel.
    """


class Tunnel:
    """
    A tunnel that is open.

    @ivar whenLost: fires when it is no more.
    """

    def __init__(
        self,
        clock: IReactorTime,
        carrier: HostTunnel,
        rsd: RSDClient,
        info: PeerInfo,
        limits: Limits,
    ) -> None:
        self._clock = clock
        self._carrier = carrier
        self._rsd = rsd
        self._info = info
        self._limits = limits
        self.whenLost: Deferred[None] = carrier.whenLost

    @property
    def parameters(self) -> TunnelParameters:
        """
        What the phone has said of it.
        """
        assert self._carrier.parameters is not None
        return self._carrier.parameters

    @property
    def counters(self) -> TunnelCounters:
        """
        What has happened at our end of it.
        """
        assert self._carrier.stack is not None
        return self._carrier.stack.counters

    @property
    def properties(self) -> Mapping[str, Any]:
        """
        What the phone is.
        """
        return self._info.properties

    @property
    def services(self) -> Mapping[str, RemoteService]:
        """
        The phone's services, by name.
        """
        return self._info.services

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a port of the phone, in the tunnel.
        """
        assert self._carrier.stack is not None
        return TunnelEndpoint(self._carrier.stack, port)

    def service(self, name: str) -> IStreamClientEndpoint:
        """
        The way to a service.  One that was lockdownd's once speaks what it has always spoken, when
        the connection is made.

        @param name: With or without C{.shim.remote}.
        @raise NoService: The phone does not have it.
        """
        found = self.services.get(name) or self.services.get(name + SHIM)
        if found is None:
            raise NoService(string=f"the phone has no service {name!r:.256} in its tunnel")
        endpoint = self.endpoint(found.port)
        if found.isRemoteXPC or not isCheckedIn(found.name):
            return endpoint
        return CheckInEndpoint(endpoint, self._clock, self._limits.tunnelTimeout)

    def close(self) -> Deferred[None]:
        """
        End it, and all connections in it.

        @return: fires when it is no more.
        """
        self._carrier.close()
        return self.whenLost


def isCheckedIn(name: str) -> bool:
    """
    Whether hosts check in at a service before it speaks.
    """
    return name.endswith(SHIM) or name.startswith("com.apple.mobile.lockdown.remote.")


class _One(Factory):
    """
    Has one protocol.
    """

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: Any) -> Any:
        """
        The one protocol, for the one connection.
        """
        return self._protocol


def connectTunnel(
    clock: IReactorTime,
    endpointOf: Callable[[int], IStreamClientEndpoint],
    record: PairRecord,
    mtu: int = LARGEST_MTU,
    limits: Limits = LIMITS,
    random: Callable[[int], bytes] = os.urandom,
) -> Deferred[Tunnel]:
    """
    Open a tunnel to a phone.

    @param endpointOf: The way to a port of the phone, such as C{device.endpoint}.
    @param record: Its pair record.
    @param mtu: How large packets may be, if the phone agrees.
    @param random: Makes that many random bytes.
    @return: fails with a L{muxd.lockdown.errors.LockdownError} if the phone has no tunnels, as
        before iOS 17.4.
    """
    return Deferred.fromCoroutine(_connect(clock, endpointOf, record, mtu, limits, random))


async def _connect(
    clock: IReactorTime,
    endpointOf: Callable[[int], IStreamClientEndpoint],
    record: PairRecord,
    mtu: int,
    limits: Limits,
    random: Callable[[int], bytes],
) -> Tunnel:
    lockdown = await connectLockdown(endpointOf(LOCKDOWN_PORT), clock)
    try:
        await lockdown.startSession(record)
        address = await lockdown.startService(PROXY, record)
    finally:
        lockdown.close()
    carrier = HostTunnel(clock, random, mtu, limits)
    factory: Any = _One(carrier)
    if address.ssl:
        from muxd.lockdown.certificates import clientContext
        from muxd.lockdown.starttls import securedFactory

        # A packet for each write: phones want no more than one in each.
        factory = securedFactory(
            factory, clientContext(record), clock, isClient=True, isBuffered=False
        )
    connected: Any = await endpointOf(address.port).connect(factory)
    try:
        await carrier.whenOpen.addTimeout(limits.tunnelTimeout, clock)
        assert carrier.stack is not None and carrier.parameters is not None
        rsd = RSDClient(_identityOf(record))
        endpoint = TunnelEndpoint(carrier.stack, carrier.parameters.rsdPort)
        await endpoint.connect(_One(rsd))
        info = await rsd.whenTold.addTimeout(limits.tunnelTimeout, clock)
    except BaseException:
        carrier.close()
        # Also if TLS has never come about.
        connected.transport.abortConnection()
        raise
    return Tunnel(clock, carrier, rsd, info, limits)


def _identityOf(record: PairRecord) -> UUID:
    """
    What this host is in tunnels: always the same.
    """
    return uuid5(NAMESPACE_DNS, f"muxd.{record.hostID}")
