# -*- test-case-name: tests.tunnel.test_opening -*-
"""
Tunnels to phones of a daemon, any daemon: opened when they are needed, and shared::

    tunnel = await openTunnel(reactor, udid)
    protocol = await tunnel.service("com.apple.afc").connect(factory)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client import errors
from muxd.client.access import DaemonAccess
from muxd.client.client import UsbmuxClient
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.selection import Network, chooseDevice
from muxd.limits import LIMITS, Limits
from muxd.lockdown.pairrecord import PairRecord
from muxd.tunnel.cdtunnel import LARGEST_MTU
from muxd.tunnel.host import Tunnel, connectTunnel


def openTunnel(
    reactor: Any,
    udid: str | None = None,
    via: DaemonAccess | IStreamClientEndpoint | str | None = None,
    network: Network = Network.NO,
    mtu: int = LARGEST_MTU,
    limits: Limits = LIMITS,
    random: Callable[[int], bytes] = os.urandom,
) -> Deferred[Tunnel]:
    """
    Open a tunnel to a phone of a daemon, which has its pair record.

    @param udid: Of the phone; C{None} for the only one.
    @param via: As in L{muxd.client.access.daemonAccess}.
    @param network: Whether phones on the network count.
    @param mtu: How large packets may be, if the phone agrees.
    @param random: Makes that many random bytes.
    @return: fails with one of L{muxd.client.errors}, or as L{connectTunnel}.
    """
    client = UsbmuxClient(reactor, via)

    async def open() -> Tunnel:
        access = client.access
        found = await client.listDevices()
        phone = chooseDevice(found, udid, network, access.where, errors)
        record = PairRecord.fromBytes(await client.readPairRecord(phone.udid))

        def endpointOf(port: int) -> UsbmuxClientEndpoint:
            return UsbmuxClientEndpoint(reactor, port, phone.udid, access, network)

        return await connectTunnel(access.clock, endpointOf, record, mtu, limits, random)

    return Deferred.fromCoroutine(open())


class SharedTunnel:
    """
    A tunnel that several have, opened by the first, and anew when it is lost.
    """

    def __init__(self, open: Callable[[], Deferred[Tunnel]]) -> None:
        """
        @param open: Opens it.
        """
        self._open = open
        self._tunnel: Tunnel | None = None
        self._waiting: list[Deferred[Tunnel]] = []
        self._isOpening = False
        self._isStopped = False

    def get(self) -> Deferred[Tunnel]:
        """
        The tunnel, which is open.
        """
        if self._tunnel is not None:
            return succeed(self._tunnel)
        waiting: Deferred[Tunnel] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._isOpening:
            self._isOpening = True
            self._open().addCallbacks(self._opened, self._failed)
        return waiting

    def stop(self) -> Deferred[None]:
        """
        Close it.

        @return: fires when it is no more.
        """
        self._isStopped = True
        return succeed(None) if self._tunnel is None else self._tunnel.close()

    def _opened(self, tunnel: Tunnel) -> None:
        if self._isStopped:
            tunnel.close()
        else:
            self._tunnel = tunnel
        tunnel.whenLost.addCallback(self._lost)
        for waiting in self._served():
            waiting.callback(tunnel)

    def _lost(self, _: None) -> None:
        self._tunnel = None

    def _failed(self, reason: Failure) -> None:
        for waiting in self._served():
            waiting.errback(reason)

    def _served(self) -> list[Deferred[Tunnel]]:
        self._isOpening = False
        served, self._waiting = self._waiting, []
        return served


@implementer(IStreamClientEndpoint)
class TunnelledService:
    """
    The way to a service in a tunnel that need not be open yet.
    """

    def __init__(self, tunnel: SharedTunnel, name: str) -> None:
        """
        @param name: Of the service, with or without C{.shim.remote}, or the number of a port.
        """
        self._tunnel = tunnel
        self._name = name

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Open the tunnel if that is to be done, and connect to the service.

        @return: fires with the protocol; fails as the tunnel's opening does, or with Twisted's own
            exceptions.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        tunnel = await self._tunnel.get()
        if self._name.isascii() and self._name.isdigit():
            return await tunnel.endpoint(int(self._name)).connect(factory)
        return await tunnel.service(self._name).connect(factory)
