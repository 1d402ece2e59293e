"""
Discoveries for tests, and what they find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import SERIAL
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.discovery import Discovery
from muxd.usb.hotplug import DeviceBus, Location, PolledBus
from muxd.usb.opening import OpenedPhone
from muxd.usb.settings import USBSettings


class Listener:
    """
    Remembers what it is told.
    """

    def __init__(self) -> None:
        self.phones: list[OpenedPhone] = []
        self.looks = 0
        self.gone: list[Location] = []

    def phoneFound(self, phone: OpenedPhone) -> None:
        """
        Keep it.
        """
        self.phones.append(phone)

    def phoneGone(self, location: Location) -> None:
        """
        Remember where it was.
        """
        self.gone.append(location)

    def looked(self) -> None:
        """
        Count it.
        """
        self.looks += 1


class KnowingBus(PolledBus):
    """
    A bus that says what is on it.
    """

    def __init__(self, bus: SimulatedBus) -> None:
        super().__init__()
        self.bus = bus
        self.error: OSError | None = None

    def phones(self) -> frozenset[Location] | None:
        """
        All that is plugged in.
        """
        if self.error is not None:
            raise self.error
        return frozenset((each.bus, each.address) for each in self.bus.attachments)


class StaleContext:
    """
    A libusb context that nobody tells of plugs and unplugs: it shows what there
    was at its birth.
    """

    def __init__(self, bus: SimulatedBus) -> None:
        self._bus = bus
        self._devices = bus.attachments

    def enumerate_devices(self) -> Iterator[object]:
        """
        What there was.
        """
        return iter(self._devices)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


class PassingContext:
    """
    A libusb context that counts what it is used for.
    """

    def __init__(self, bus: SimulatedBus) -> None:
        self.looks = 0
        self.opened = 0
        self._bus = bus

    def enumerate_devices(self) -> Iterator[object]:
        """
        What there is.
        """
        self.looks += 1
        return iter(self._bus.enumerate_devices())

    def open_device(self, dev: Any) -> Any:
        """
        Open a device.
        """
        self.opened += 1
        return self._bus.open_device(dev)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


class DiscoveryTestCase(SynchronousTestCase):
    """
    A discovery that the test polls by hand.
    """

    def setUp(self) -> None:
        """
        An empty bus and a listener.
        """
        self.clock = Clock()
        self.bus = SimulatedBus()
        self.listener = Listener()
        self.loads = 0
        self.events = self.enterContext(capturedLogs())
        self.discovery = self.build()

    def load(self) -> Any:
        """
        Load the library.
        """
        self.loads += 1
        return self.bus

    def build(
        self,
        settings: USBSettings | None = None,
        bus: DeviceBus | None = None,
        load: Callable[[], Any] | None = None,
    ) -> Discovery:
        """
        A discovery.
        """
        return Discovery(
            self.listener,
            lambda f, *args: f(*args),
            loadBackend=load or self.load,
            settings=settings or USBSettings(),
            bus=bus or PolledBus(),
            seconds=self.clock.seconds,
        )

    def plug(self, serial: str = SERIAL, **options: Any) -> RecordingGadget:
        """
        Plug a phone in.
        """
        phone = RecordingGadget(iPhone(serial, **options))
        self.bus.plug(phone)
        return phone

    def poll(self, times: int = 1) -> None:
        """
        Look at the bus, a second after the last time.
        """
        for _ in range(times):
            self.discovery.pollOnce()
            self.clock.advance(1)

    def serials(self) -> list[str]:
        """
        The phones found so far.
        """
        return [phone.identity.serial for phone in self.listener.phones]

    def logged(self, level: str) -> list[str]:
        """
        What was logged at a level by discovery, as text.
        """
        return [
            event["log_format"].format(**event)
            for event in self.events
            if event["log_level"].name == level and "discovery" in event["log_namespace"]
        ]
