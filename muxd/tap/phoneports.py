# -*- test-case-name: tests.tap.test_phoneports -*-
"""
A port of this machine for every phone that is there or comes::

    ports = PhonePorts(relay, 8100, range(9000, 65536), via=None)
    ports.setServiceParent(application)

A phone has the same port as long as the relay runs, also when it is plugged out and in.
Phones that are there at the start have theirs in the order of their UDIDs, so that the same
phones have the same ports after a start; those that come later have what follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from muxd.client.access import DaemonAccess
from muxd.client.answers import Device
from muxd.client.client import UsbmuxClient
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.errors import UsbmuxError
from muxd.client.selection import Network, fits
from muxd.client.watcher import DeviceObserverMixin, DeviceWatcher, IDeviceObserver
from muxd.net.localport import LOOPBACKS, LocalPort
from muxd.net.socketfile import CannotListen
from muxd.relay import RelayService, Route

_STOPPED = (CancelledError, ConnectingCancelledError)


@implementer(IDeviceObserver)
class PhonePorts(DeviceObserverMixin, Service):
    """
    Adds a route to a relay for each phone.

    @ivar ports: The local port of each phone that has been there, by its UDID.
    """

    _log = Logger()

    def __init__(
        self,
        relay: RelayService,
        remote: int,
        local: Iterable[int],
        via: DaemonAccess | IStreamClientEndpoint | str | None,
        *,
        addresses: tuple[str, ...] = LOOPBACKS,
        network: Network = Network.NO,
    ) -> None:
        """
        @param relay: It has to be running as long as this is.
        @param remote: The phones' port.
        @param local: This machine's ports, in their order.
        @param via: As in L{muxd.client.access.daemonAccess}.
        @param addresses: Of this machine, to listen on.
        """
        self.ports: dict[str, int] = {}
        self._relay = relay
        self._remote = remote
        self._free = iter(local)
        self._addresses = addresses
        self._network = network
        reactor: Any = relay.reactor
        self._client = UsbmuxClient(reactor, via)
        self._via = self._client.access
        self._watcher = DeviceWatcher(reactor, self, self._via)
        self._listing: Deferred[None] | None = None
        self._without: set[str] = set()

    def startService(self) -> None:
        """
        Look for phones from now on.
        """
        super().startService()
        listing = Deferred.fromCoroutine(self._list())
        self._listing = listing
        listing.addErrback(lambda stopped: stopped.trap(*_STOPPED) and None)

    def stopService(self) -> Deferred[None]:
        """
        Look for phones no more; the routes stay.

        @return: fires when that is done.
        """
        super().stopService()
        if self._listing is not None:
            self._listing.cancel()
        ending = []
        if self._watcher.running:
            ending.append(maybeDeferred(self._watcher.stopService))
        return gatherResults(ending).addCallback(lambda _: None)

    async def _list(self) -> None:
        """
        Those that are there, in their order; then all that come.
        """
        try:
            devices = await self._client.listDevices()
        except UsbmuxError:
            # The watcher tells of it, and goes on trying.
            devices = []
        for device in sorted(devices, key=lambda device: device.udid):
            self.deviceAttached(device)
        self._watcher.startService()

    def deviceAttached(self, device: Device) -> None:
        """
        Give it a port, if it has none.
        """
        if device.udid in self.ports or not fits(device, None, self._network):
            return
        for number in self._free:
            route = Route(
                LocalPort(number, self._addresses),
                UsbmuxClientEndpoint(
                    self._relay.reactor,
                    self._remote,
                    device.udid,
                    self._via,
                    network=self._network,
                ),
                f"port {self._remote} of {device.udid}",
                device.udid,
                self._remote,
            )
            try:
                self._relay.add(route)
            except CannotListen as problem:
                # What to do about it is done.
                reason = str(problem).partition(";")[0]
                self._log.warn("{reason}; the next port is tried", reason=reason)
            else:
                self.ports[device.udid] = number
                return
        if device.udid not in self._without:
            self._without.add(device.udid)
            self._log.error("no port is left for {udid}: give more of them", udid=device.udid)
