# -*- test-case-name: tests.phone.bus.test_simulated -*-
"""
A USB bus without hardware: a pyusb backend on which simulated devices appear.

Real pyusb objects work on it, C{usb.core.find(backend=bus)}, from any thread,
and meet the errors, time-outs and packet rules that they meet on libusb.
"""

from __future__ import annotations

import array
import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from usb.core import USBError, USBTimeoutError
from zope.interface import implementer

from muxd.phone.bus.control import DIRECTION_IN, ControlRequest
from muxd.phone.bus.descriptors import (
    ConfigurationDescriptor,
)
from muxd.phone.bus.handles import Handle, OpenableAttachment
from muxd.phone.bus.interfaces import CannotPlug, IBus, IGadget
from muxd.usb.describedbackend import DescribedBackend, placeAnswer
from muxd.usb.hotplug import PolledBus

LIBUSB = {
    errno.EIO: (-1, "Input/Output Error"),
    errno.EINVAL: (-2, "Invalid parameter"),
    errno.EACCES: (-3, "Access denied (insufficient permissions)"),
    errno.ENODEV: (-4, "No such device (it may have been disconnected)"),
    errno.ENOENT: (-5, "Entity not found"),
    errno.EBUSY: (-6, "Resource busy"),
    errno.ETIMEDOUT: (-7, "Operation timed out"),
    errno.EOVERFLOW: (-8, "Overflow"),
    errno.EPIPE: (-9, "Pipe error"),
}
"""libusb's code and text of each errno."""

LAST_ADDRESS = 127


def usbError(number: int) -> USBError:
    """
    The exception that pyusb makes of libusb's error, which for a controller's own
    errors such as EPROTO is that of EIO.
    """
    number = number if number in LIBUSB else errno.EIO
    code, text = LIBUSB[number]
    kind = USBTimeoutError if number == errno.ETIMEDOUT else USBError
    return kind(text, code, number)


@contextmanager
def _asUSBError() -> Iterator[None]:
    """
    Turn an errno into what pyusb raises.
    """
    try:
        yield
    except USBError:
        raise
    except OSError as error:
        raise usbError(error.errno or errno.EIO) from None


@dataclass(frozen=True, slots=True)
class _Located:
    """
    A device descriptor with the things that pyusb's backends put into it.
    """

    attachment: OpenableAttachment

    def __getattr__(self, name: str) -> object:
        return getattr(self.attachment.descriptor, name)

    @property
    def bus(self) -> int:
        return self.attachment.bus

    @property
    def address(self) -> int:
        return self.attachment.address

    @property
    def port_number(self) -> int:
        return self.attachment.port

    @property
    def port_numbers(self) -> tuple[int, ...]:
        return (self.attachment.port,)

    @property
    def speed(self) -> int:
        return self.attachment.descriptor.deviceSpeed


@implementer(IBus)
class SimulatedBus(DescribedBackend):
    """
    A bus, and the library that programs reach it by.

    @ivar number: The bus number.
    @ivar enumerationErrno: While it is not 0, enumerating fails with it.
    @ivar openErrno: While it is not 0, opening a device fails with it.
    """

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.enumerationErrno = 0
        self.openErrno = 0
        self._lock = threading.Lock()
        # Address 1 is the root hub.
        self._lastAddress = 1
        self._attachments: list[OpenableAttachment] = []
        self._ports: WeakKeyDictionary[IGadget, int] = WeakKeyDictionary()
        self._watchers: tuple[Callable[[], object], ...] = ()

    def watch(self, changed: Callable[[], object]) -> None:
        """
        Call this, in any thread, each time that a device has come or gone.
        """
        with self._lock:
            self._watchers = (*self._watchers, changed)

    def unwatch(self, changed: Callable[[], object]) -> None:
        """
        Do not call this any more.
        """
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each != changed)

    def plug(self, gadget: IGadget) -> OpenableAttachment:
        """
        Plug a device in, at a new address; where it was before, if it was.
        """
        with self._lock:
            if any(a.gadget is gadget for a in self._attachments):
                raise CannotPlug("it is plugged in already")
            address = self._nextAddress()
            port = self._ports[gadget] = self._portFor(gadget)
            attachment = OpenableAttachment(gadget, self.number, address, port)
            self._attachments.append(attachment)
        gadget.plugged(attachment)
        self._tellChange()
        return attachment

    def unplug(self, gadget: IGadget, error: int = 0) -> None:
        """
        Pull a device out; harmless if it is not plugged in.

        @param error: What transfers under way fail with if not ENODEV: EIO is
            what a real controller says first.
        """
        with self._lock:
            found = [a for a in self._attachments if a.gadget is gadget]
            self._attachments = [a for a in self._attachments if a.gadget is not gadget]
        for attachment in found:
            attachment.unplug(error)
            gadget.unplugged(attachment)
            self._tellChange()

    @property
    def attachments(self) -> tuple[OpenableAttachment, ...]:
        """
        What is plugged in.
        """
        with self._lock:
            return tuple(self._attachments)

    def _tellChange(self) -> None:
        for changed in self._watchers:
            changed()

    def _portFor(self, gadget: IGadget) -> int:
        """
        The port that a device was at the last time; else one that none was at, if there is one:
        a phone that restarts while another one is pulled out does not come back in its place.
        """
        used = {a.port for a in self._attachments}
        last = self._ports.get(gadget)
        if last is not None and last not in used:
            return last
        free = [n for n in range(1, LAST_ADDRESS + 1) if n not in used]
        known = set(self._ports.values())
        return next((n for n in free if n not in known), free[0])

    def _nextAddress(self) -> int:
        used = {a.address for a in self._attachments}
        for step in range(1, LAST_ADDRESS):
            # From 2 to 127, counting up and round.
            address = (self._lastAddress - 2 + step) % (LAST_ADDRESS - 1) + 2
            if address not in used:
                self._lastAddress = address
                return address
        raise CannotPlug("the bus is full")

    # What pyusb calls.

    def enumerate_devices(self) -> Iterator[OpenableAttachment]:
        """
        All devices.
        """
        if self.enumerationErrno:
            raise usbError(self.enumerationErrno)
        return iter(self.attachments)

    def get_parent(self, dev: OpenableAttachment) -> None:
        """
        The root hub is not shown.
        """
        return None

    def get_device_descriptor(self, dev: OpenableAttachment) -> _Located:
        """
        The descriptor, and where the device is.
        """
        return _Located(dev)

    def _configurations(self, dev: OpenableAttachment) -> Sequence[ConfigurationDescriptor]:
        return dev.descriptor.configurations

    def open_device(self, dev: OpenableAttachment) -> Handle:
        """
        Open it.
        """
        if self.openErrno:
            raise usbError(self.openErrno)
        with _asUSBError():
            return dev.open()

    def close_device(self, dev_handle: Handle) -> None:
        """
        Close it.
        """
        dev_handle.attachment.close(dev_handle)

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        """
        Set a configuration.
        """
        with _asUSBError():
            dev_handle.attachment.setConfiguration(config_value)

    def get_configuration(self, dev_handle: Handle) -> int:
        """
        The configuration that is set.
        """
        with _asUSBError():
            return dev_handle.attachment.getConfiguration()

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        """
        Only the first setting of an interface can be used here.
        """
        with _asUSBError():
            dev_handle.attachment.claim(dev_handle, intf)
        if altsetting:
            raise usbError(errno.ENOENT)

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        """
        Claim it.
        """
        with _asUSBError():
            dev_handle.attachment.claim(dev_handle, intf)

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        """
        Give it back.
        """
        with _asUSBError():
            dev_handle.attachment.unclaim(dev_handle, intf)

    def bulk_write(
        self, dev_handle: Handle, ep: int, intf: int, data: array.array[int], timeout: int
    ) -> int:
        """
        One OUT transfer; C{timeout} in milliseconds, 0 is forever.
        """
        with _asUSBError():
            view = memoryview(data.tobytes())
            return dev_handle.attachment.write(dev_handle, ep, view, timeout / 1000)

    def bulk_read(
        self, dev_handle: Handle, ep: int, intf: int, buff: array.array[int], timeout: int
    ) -> int:
        """
        One IN transfer; C{timeout} in milliseconds, 0 is forever.  Whole
        packets that came before the time-out are returned without an error.
        """
        with _asUSBError(), memoryview(buff).cast("B") as view:
            return dev_handle.attachment.read(dev_handle, ep, view, timeout / 1000)

    intr_write = bulk_write
    intr_read = bulk_read

    def ctrl_transfer(
        self,
        dev_handle: Handle,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: array.array[int],
        timeout: int,
    ) -> int:
        """
        One control transfer.
        """
        incoming = bool(bmRequestType & DIRECTION_IN)
        length = len(data) * data.itemsize
        sent = b"" if incoming else data.tobytes()
        request = ControlRequest(bmRequestType, bRequest, wValue, wIndex, length, sent)
        with _asUSBError():
            answer = dev_handle.attachment.control(request)
        if not incoming:
            return length
        return placeAnswer(data, answer)

    def clear_halt(self, dev_handle: Handle, ep: int) -> None:
        """
        End a stall.
        """
        with _asUSBError():
            dev_handle.attachment.clearHalt(ep)

    def reset_device(self, dev_handle: Handle) -> None:
        """
        Reset it.
        """
        with _asUSBError():
            dev_handle.attachment.reset()

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        """
        Whether a driver is bound.
        """
        with _asUSBError():
            return dev_handle.attachment.driverActive(intf)

    def detach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """
        Unbind the driver.
        """
        with _asUSBError():
            dev_handle.attachment.setDriver(intf, False)

    def attach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """
        Bind it again.
        """
        with _asUSBError():
            dev_handle.attachment.setDriver(intf, True)


class WatchedBus(PolledBus):
    """
    What discovery waits for on a L{SimulatedBus}, which tells of its changes itself.
    """

    def __init__(self, bus: SimulatedBus) -> None:
        super().__init__()
        self._bus = bus
        bus.watch(self.wake)

    def close(self) -> None:
        """
        Be told of no more changes.
        """
        self._bus.unwatch(self.wake)
