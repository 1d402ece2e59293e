"""
pyusb's view of simulated phones.
"""

from __future__ import annotations

from typing import Any

from usb.core import find

from muxd.phone.bus.descriptors import DeviceDescriptor
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget


def deviceOn(bus: SimulatedBus) -> Any:
    """
    A fresh C{usb.core.Device} of the one device that is plugged in.
    """
    [device] = find(find_all=True, backend=bus)
    return device


def plugged(
    descriptor: DeviceDescriptor | None = None,
) -> tuple[SimulatedBus, RecordingGadget, Any]:
    """
    A bus with one phone that keeps what it receives.

    @return: The bus, the phone, and pyusb's object of it.
    """
    bus = SimulatedBus()
    phone = RecordingGadget(iPhone() if descriptor is None else descriptor)
    bus.plug(phone)
    return bus, phone, deviceOn(bus)
