# -*- test-case-name: tests.client.test_watcher,tests.client.test_watchermachine -*-
"""
Being told when phones are plugged in and out, for as long as a program runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from zope.interface import Interface, implementer

from muxd.client.access import DaemonAccess
from muxd.client.answers import Attached, Detached, Device, Event, Paired
from muxd.client.client import UsbmuxClient
from muxd.client.feedservice import FeedService


class IDeviceObserver(Interface):
    """
    An observer, which a L{DeviceWatcher} tells of phones.
    """

    def deviceAttached(device: Device) -> None:
        """
        A phone can be connected to from now on.  One that is reached in two
        ways is two devices.
        """

    def deviceDetached(device: Device) -> None:
        """
        It cannot any more: it was unplugged, or the daemon was lost.
        """

    def devicePaired(device: Device) -> None:
        """
        It has just been paired with this host, by whichever program.
        """


@implementer(IDeviceObserver)
class DeviceObserverMixin:
    """
    An observer that does nothing, to override what matters.
    """

    def deviceAttached(self, device: Device) -> None:
        """
        Do nothing.
        """

    def deviceDetached(self, device: Device) -> None:
        """
        Do nothing.
        """

    def devicePaired(self, device: Device) -> None:
        """
        Do nothing.
        """


class DeviceWatcher(Service):
    """
    A service that keeps listening to a daemon while it runs.

    When the daemon is lost, or the service is stopped, all devices are detached;
    when it is back they are attached again.  An observer that raises is logged
    and told of the next event nevertheless.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        observer: IDeviceObserver,
        via: DaemonAccess | IStreamClientEndpoint | str | None = None,
        retryPolicy: Callable[[int], float] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param via: As in L{muxd.client.access.daemonAccess}.
        @param retryPolicy: As in C{ClientService}, after how many seconds to try
            again to reach the daemon.  If None, soon, since on many hosts it is
            the phone's being plugged in that starts the daemon.
        """
        self._observer = observer
        self._present: dict[int, Device] = {}
        self._feed = FeedService(
            UsbmuxClient(reactor, via, environ),
            lambda: None,
            self._eventCame,
            self._feedLost,
            retryPolicy,
        )

    @property
    def devices(self) -> tuple[Device, ...]:
        """
        Which phones are there.
        """
        return tuple(self._present.values())

    def startService(self) -> None:
        """
        Begin to listen.
        """
        super().startService()
        self._feed.startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening.

        @return: fires when the connection is closed and all devices are
            detached.
        """
        super().stopService()
        return self._feed.stopService()

    def _feedLost(self) -> None:
        for device in self.devices:
            self._detach(device.deviceID)

    def _eventCame(self, event: Event) -> None:
        match event:
            case Attached(device):
                # A daemon may describe anew what it has announced before.
                self._detach(device.deviceID)
                self._present[device.deviceID] = device
                self._tell(self._observer.deviceAttached, device)
            case Detached(device):
                self._detach(device.deviceID)
            case Paired(device):
                self._tell(self._observer.devicePaired, device)

    def _detach(self, deviceID: int) -> None:
        device = self._present.pop(deviceID, None)
        if device is not None:
            self._tell(self._observer.deviceDetached, device)

    def _tell(self, tell: Callable[[Device], None], device: Device) -> None:
        with self._log.failuresHandled("an observer of phones raised in {tell}", tell=tell):
            tell(device)
