# -*- test-case-name: tests.usb.test_hotplug -*-
"""
What is on the bus, without libusb, and a way to wait until that changes.

On Linux the kernel says both: sysfs lists the devices, and a netlink socket
tells of changes within milliseconds.  libusb alone would not do: its context
learns of a plug from udevd, which containers do not run, and then neither sees
a new device nor drops an old one (L{muxd.usb.libraries.newContext}).

Where there is no sysfs, libusb's own list is all there is, and it is polled.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event
from typing import Protocol

from muxd.net.shortage import remedy
from muxd.usb.products import Products, Verdict, judge, muxerInDescriptors

Location = tuple[int, int]
"""Bus number and device address."""

SYSFS = Path("/sys/bus/usb/devices")
UDEV_CONTROL = Path("/run/udev/control")

NETLINK_KOBJECT_UEVENT = 15
KERNEL_EVENTS = 1
UDEV_EVENTS = 2

_LARGEST_EVENT = 16384

_GONE = frozenset((errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EACCES))
"""What a device's file says when it has just gone, or is not for us."""


class DeviceBus(Protocol):
    """
    What discovery wants to know of a bus.  All but L{wake} is called in the
    discovery thread.
    """

    @property
    def leftAlone(self) -> Mapping[Location, Verdict]:
        """
        The devices that look like phones and were not among the last L{phones}.
        """

    def phones(self) -> frozenset[Location] | None:
        """
        Where phones are; C{None} if only libusb can say.

        @raise OSError: That cannot be told now.
        """

    def wait(self, seconds: float) -> None:
        """
        Return after this time, or sooner if devices came or went.

        @raise OSError: That cannot be waited for now.
        """

    def wake(self) -> None:
        """
        Make L{wait} return now.  Called in any thread.
        """

    def close(self) -> None:
        """
        Let go of what L{wait} has opened.
        """


class PolledBus:
    """
    A bus that says nothing of itself.
    """

    def __init__(self) -> None:
        self.leftAlone: Mapping[Location, Verdict] = {}
        self._woken = Event()

    @property
    def isWoken(self) -> bool:
        """
        Whether the next L{wait} returns at once.
        """
        return self._woken.is_set()

    def phones(self) -> frozenset[Location] | None:
        """
        Unknown.
        """
        return None

    def wait(self, seconds: float) -> None:
        """
        Only L{wake} makes it shorter.
        """
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """
        Look at the bus now.
        """
        self._woken.set()

    def close(self) -> None:
        """
        Nothing is open.
        """


def kernelEvents() -> socket.socket:
    """
    A socket that receives a datagram for each change of a device.

    Where udevd runs, its events are the better ones: they come when it has set
    the permissions of the device's node.

    @raise OSError: This system has none.
    """
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        raise OSError("no netlink")
    events = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT)
    try:
        events.bind((0, UDEV_EVENTS if UDEV_CONTROL.exists() else KERNEL_EVENTS))
        events.setblocking(False)
    except OSError:
        events.close()
        raise
    return events


class LinuxBus:
    """
    The bus as Linux shows it.

    @param devices: The directory of sysfs to read.
    @param openEvents: Makes the socket that tells of changes; without one the
        bus is polled.
    """

    def __init__(
        self,
        devices: Path = SYSFS,
        openEvents: Callable[[], socket.socket] = kernelEvents,
        seconds: Callable[[], float] = time.monotonic,
        products: Products = (),
    ) -> None:
        """
        @param products: The only ones to use, if there are any in it.
        """
        self.leftAlone: Mapping[Location, Verdict] = {}
        self._products = products
        self._devices = devices
        self._openEvents = openEvents
        self._seconds = seconds
        self._selector: selectors.BaseSelector | None = None
        self._events: socket.socket | None = None
        self._wakeIn, self._wakeOut = socket.socketpair()
        self._wakeIn.setblocking(False)
        self._wakeOut.setblocking(False)

    def phones(self) -> frozenset[Location] | None:
        """
        One small file a device is read, and a second one of a device that may be a phone
        of a kind that is not known.

        @raise OSError: Something is wrong with this machine, and not with a device.
        """
        found: set[Location] = set()
        leftAlone: dict[Location, Verdict] = {}
        for name in os.listdir(self._devices):
            if ":" in name:  # an interface
                continue
            try:
                text = (self._devices / name / "uevent").read_text("ascii", "replace")
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                continue
            device = deviceFromEvent(text)
            if device is None:
                continue
            location, vendor, product = device
            verdict = judge(vendor, product, partial(self._hasMuxer, name), self._products)
            if verdict is Verdict.PHONE:
                found.add(location)
            elif verdict is not Verdict.OTHER:
                leftAlone[location] = verdict
        self.leftAlone = leftAlone
        return frozenset(found)

    def _hasMuxer(self, name: str) -> bool:
        try:
            return muxerInDescriptors((self._devices / name / "descriptors").read_bytes())
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return False

    def wait(self, seconds: float) -> None:
        """
        Wait for the kernel to tell of a whole device, not of its interfaces or
        of other things than USB.
        """
        selector = self._selector or self._open()
        end = self._seconds() + seconds
        while (left := end - self._seconds()) > 0:
            ready = {key.fileobj for key, _ in selector.select(left)}
            if self._wakeIn in ready:
                self._drain(self._wakeIn)
                return
            if ready and any(b"DEVTYPE=usb_device" in event for event in self._takeEvents()):
                return

    def wake(self) -> None:
        """
        Look at the bus now.
        """
        try:
            self._wakeOut.send(b"\0")
        except OSError:  # full: it wakes anyway; or closed
            pass

    def close(self) -> None:
        """
        Close the sockets.
        """
        for each in (self._selector, self._events, self._wakeIn, self._wakeOut):
            if each is not None:
                each.close()
        self._selector = self._events = None

    def _open(self) -> selectors.BaseSelector:
        """
        @raise OSError: This machine is short of something: try again.
        """
        with ExitStack() as opened:
            selector = opened.enter_context(selectors.DefaultSelector())
            selector.register(self._wakeIn, selectors.EVENT_READ)
            events = self._tryEvents()
            if events is not None:
                selector.register(opened.enter_context(events), selectors.EVENT_READ)
            opened.pop_all()
        self._selector, self._events = selector, events
        return selector

    def _tryEvents(self) -> socket.socket | None:
        try:
            return self._openEvents()
        except OSError as error:
            if remedy(error) is not None:
                raise
            return None

    def _takeEvents(self) -> list[bytes]:
        """
        What the kernel has told.  An error means that there was too much of it:
        look at the bus, then.
        """
        assert self._events is not None
        taken: list[bytes] = []
        try:
            while True:
                taken.append(self._events.recv(_LARGEST_EVENT))
        except BlockingIOError:
            return taken
        except OSError:
            return [b"DEVTYPE=usb_device"]

    def _drain(self, wake: socket.socket) -> None:
        try:
            while wake.recv(4096):
                pass
        except BlockingIOError:
            pass


def deviceFromEvent(uevent: str) -> tuple[Location, int, int] | None:
    """
    Where a device is, its vendor and its product, from its C{uevent} file of sysfs.

    @return: C{None} if it is none.
    """
    values = dict(line.split("=", 1) for line in uevent.splitlines() if "=" in line)
    try:
        vendor, product, _ = values["PRODUCT"].split("/")
        location = int(values["BUSNUM"]), int(values["DEVNUM"])
        return location, int(vendor, 16), int(product, 16)
    except (KeyError, ValueError):
        return None


def systemBus(products: Products = ()) -> DeviceBus:
    """
    The bus of this machine.

    @param products: The only ones to use, if there are any in it.
    """
    if sys.platform == "linux" and SYSFS.is_dir():
        return LinuxBus(products=products)
    return PolledBus()
