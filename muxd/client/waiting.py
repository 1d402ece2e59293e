# -*- test-case-name: tests.client.test_waiting -*-
"""
Waiting for a phone to be plugged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muxd.client.access import DaemonAccess
from muxd.client.answers import Device
from muxd.client.errors import NoPhone, UsbmuxError
from muxd.client.watcher import DeviceObserverMixin, DeviceWatcher, IDeviceObserver


@implementer(IDeviceObserver)
class PhoneWait(DeviceObserverMixin):
    """
    Watches a daemon until the phone that is meant is there.

    The daemon itself may come later: on many hosts it is started by the phone's
    being plugged in.
    """

    def __init__(self, access: DaemonAccess, choose: Callable[[Iterable[Device]], Device]) -> None:
        """
        @param choose: Gives the phone that is meant, of those that are there, or
            raises L{NoPhone}.  What else it raises ends the waiting.
        """
        self._choose = choose
        self._found: Deferred[Device] = Deferred(self._cancelled)
        delay = access.limits.reconnectDelay
        self._watcher = DeviceWatcher(access.clock, self, access, retryPolicy=lambda _: delay)

    def start(self) -> Deferred[Device]:
        """
        Begin to wait, for ever; cancel it to stop.
        """
        self._watcher.startService()
        return self._found

    def deviceAttached(self, device: Device) -> None:
        """
        Perhaps it is this one.
        """
        if not self._watcher.running:
            return
        try:
            chosen = self._choose(self._watcher.devices)
        except NoPhone:
            return
        except UsbmuxError as error:
            self._stop()
            self._found.errback(error)
        else:
            self._stop()
            self._found.callback(chosen)

    def _cancelled(self, found: Deferred[Device]) -> None:
        self._stop()

    def _stop(self) -> None:
        # Nobody waits for the end of it: it does not concern the phone.
        self._watcher.stopService()
