# -*- test-case-name: tests.usbip.test_source -*-
"""
Phones on another machine's USB as a source of devices, without libusb or a kernel module here.

Another machine, such as one whose C{usbipd} exports a phone, or a simulated phone in another
container, is asked every few seconds for what it has.  Phones are opened by the same rules as
those on a cable, in a thread that waits for the reactor's answers; packets are moved by the
reactor (L{muxd.usbip.link}).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from muxd.interfaces import IDeviceReceiver
from muxd.limits import LIMITS, Limits
from muxd.usb.hotplug import Location, PolledBus
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from muxd.usbip.bus import UsbipBus
from muxd.usbip.link import UsbipLink


class UsbipSource(USBSource):
    """
    A source of the phones that one machine exports.

    @ivar bus: Its devices.
    """

    def __init__(
        self,
        reactor: Any,
        receiver: IDeviceReceiver,
        description: str,
        *,
        endpoint: IStreamClientEndpoint,
        name: str,
        busIDs: frozenset[str],
        settings: USBSettings,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param endpoint: The way to the machine.
        @param name: What it is called in messages.
        @param busIDs: The places of the phones that are wanted; all when empty.
        """
        self.bus = UsbipBus(reactor, endpoint, name, busIDs)
        super().__init__(
            reactor,
            receiver,
            description,
            loadBackend=lambda: self.bus,
            settings=settings,
            limits=limits,
            makeBus=lambda: _LookedAt(self.bus.lookBegins),
            makeLink=UsbipLink,
        )

    def stopService(self) -> Deferred[None]:
        """
        Find no more phones, and give back those that are there.
        """
        stopped = super().stopService()
        self.bus.interrupt()
        return stopped.addCallback(lambda _: self.bus.closeAll())


class _LookedAt(PolledBus):
    """
    Tells when a look begins.
    """

    def __init__(self, begins: Callable[[], None]) -> None:
        super().__init__()
        self._begins = begins

    def phones(self) -> frozenset[Location] | None:
        """
        Unknown; this is asked once in each look.
        """
        self._begins()
        return super().phones()
