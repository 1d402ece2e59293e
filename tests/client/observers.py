"""
What the tests of watchers have in common.
"""

from __future__ import annotations

from zope.interface import implementer

from muxd.client.answers import Device
from muxd.client.watcher import DeviceWatcher, IDeviceObserver
from tests.client.hosts import Host


@implementer(IDeviceObserver)
class Recorder:
    """
    Remembers what it is told.

    @ivar present: What is there, by that.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.present: set[Device] = set()

    def deviceAttached(self, device: Device) -> None:
        """
        Remember it.
        """
        assert device not in self.present, "attached twice"
        self.present.add(device)
        self.events.append(("attached", device.deviceID))

    def deviceDetached(self, device: Device) -> None:
        """
        Remember it; it must have been there.
        """
        self.present.remove(device)
        self.events.append(("detached", device.deviceID))

    def devicePaired(self, device: Device) -> None:
        """
        Remember it.
        """
        self.events.append(("paired", device.deviceID))


def watch(host: Host, observer: IDeviceObserver) -> DeviceWatcher:
    """
    A watcher that tries again after two seconds.
    """
    return DeviceWatcher(host.reactor, observer, host.access(), retryPolicy=lambda _: 2.0)
