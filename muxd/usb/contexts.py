# -*- test-case-name: tests.usb.test_contexts -*-
"""
A libusb context that ends after its last device.

libusb frees a context's memory with the context, and giving a device back after
that waits for a lock in it, forever.  pyusb has one context for the whole
process, which never ends before the devices do.  Here each phone has a context
of its own, and the last device takes it along: in the wrong order, as pyusb's
device manager lets go of its backend first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from usb.backend.libusb1 import _Device, _LibUSB


class DeviceReference(_Device):  # type: ignore[misc]  # pyusb has no types
    """
    A device, which keeps its context alive.
    """

    def __init__(self, devid: int, context: Context) -> None:
        super().__init__(devid)
        self._context = context

    def _finalize_object(self) -> None:
        # The garbage collector may finalize a context before its devices.
        if self._context.ctx:
            super()._finalize_object()


class Context(_LibUSB):  # type: ignore[misc]  # pyusb has no types
    """
    pyusb's backend, with a new context.

    @ivar ctx: The context, none when it has ended.
    """

    ctx: Any

    def enumerate_devices(self) -> Iterator[DeviceReference]:
        """
        The devices that there are.
        """
        return iter([DeviceReference(device.devid, self) for device in super().enumerate_devices()])

    def get_parent(self, dev: DeviceReference) -> DeviceReference | None:
        """
        The hub that a device is plugged into.
        """
        parent = super().get_parent(dev)
        return None if parent is None else DeviceReference(parent.devid, self)

    def _finalize_object(self) -> None:
        super()._finalize_object()
        self.ctx = None
