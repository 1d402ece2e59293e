# -*- test-case-name: tests.client.test_waiting -*-
"""
Waiting for a phone to be plugged in.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muxd.client.access import DaemonAccess
from muxd.client.answers import Device
from muxd.client.errors import NoPhone
from muxd.client.watcher import DeviceObserverMixin, DeviceWatcher, IDeviceObserver


@implementer(IDeviceObserver)
class PhoneWait(DeviceObserverMixin):
    """
    Watches a daemon until the phone that is meant is there.

    What the daemon tells is only the reason to look: its list says whether it is
    the only phone.  The daemon itself may come later: on many hosts it is started by
    the phone's being plugged in.
    """

    def __init__(
        self,
        access: DaemonAccess,
        fits: Callable[[Device], bool],
        lookUp: Callable[[], Deferred[Device]],
    ) -> None:
        """
        @param fits: Whether a device could be the one that is meant.
        @param lookUp: Gives the phone that is meant, of those that are there.  What
            it fails with ends the waiting, but for L{NoPhone}.
        """
        self._fits = fits
        self._lookUp = lookUp
        self._came: Deferred[None] = Deferred()
        delay = access.limits.reconnectDelay
        self._watcher = DeviceWatcher(access.clock, self, access, retryPolicy=lambda _: delay)

    def start(self) -> Deferred[Device]:
        """
        Begin to wait, without end; cancel it to stop.
        """
        return Deferred.fromCoroutine(self._wait())

    def deviceAttached(self, device: Device) -> None:
        """
        Perhaps it is this one.
        """
        if self._fits(device) and not self._came.called:
            self._came.callback(None)

    async def _wait(self) -> Device:
        self._watcher.startService()
        try:
            while True:
                await self._came
                self._came = Deferred()
                try:
                    return await self._lookUp()
                except NoPhone:
                    continue
        finally:
            # The end of it is not waited for: it does not concern the phone.
            self._watcher.stopService()
