"""
Tests for L{muxd.usb.hotplug}.
"""

from __future__ import annotations

import errno
import selectors
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.usb import hotplug as presence
from muxd.usb.hotplug import (
    SYSFS,
    LinuxBus,
    PolledBus,
    deviceFromEvent,
    kernelEvents,
    systemBus,
)
from muxd.usb.products import Verdict
from tests.usb.reactors import DEADLINE
from tests.usb.test_products import MUXER

PHONE = """MAJOR=189
MINOR=6
DEVNAME=bus/usb/001/007
DEVTYPE=usb_device
DRIVER=usb
PRODUCT=5ac/12a8/1404
TYPE=0/0/0
BUSNUM=001
DEVNUM=007
"""
EVENT = b"add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0"
OTHER_EVENT = b"add@/devices/x\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_interface\0"


def failing(error: OSError) -> Callable[..., Any]:
    """
    A function that fails.
    """

    def fail(*args: object, **kwargs: object) -> Any:
        raise error

    return fail


class DeviceFromEventTests(SynchronousTestCase):
    """
    Tests of L{deviceFromEvent}.
    """

    def test_phone(self) -> None:
        """
        A device's bus and address, vendor and product.
        """
        self.assertEqual(((1, 7), 0x05AC, 0x12A8), deviceFromEvent(PHONE))

    def test_unknownValues(self) -> None:
        """
        Whatever else is said of it does no harm.
        """
        for line in ("MODALIAS=usb:a=b=c", "=", "nothing"):
            self.assertEqual(((1, 7), 0x05AC, 0x12A8), deviceFromEvent(f"{line}\n{PHONE}{line}"))

    def test_others(self) -> None:
        """
        What is no device at all.
        """
        for old, new in (
            ("BUSNUM=001", ""),
            ("DEVNUM=007", "DEVNUM=x"),
            ("5ac/12a8/1404", "5ac"),
        ):
            self.assertIsNone(deviceFromEvent(PHONE.replace(old, new)))
        self.assertIsNone(deviceFromEvent(""))


class PolledBusTests(SynchronousTestCase):
    """
    Tests for L{PolledBus}.
    """

    def test_unknown(self) -> None:
        """
        It cannot say where phones are.
        """
        self.assertIsNone(PolledBus().phones())

    def test_wake(self) -> None:
        """
        A wait ends when it is woken, also if that was before; once.
        """
        bus = PolledBus()
        bus.wake()
        start = monotonic()
        bus.wait(DEADLINE)
        self.assertLess(monotonic() - start, DEADLINE / 2)
        self.assertFalse(bus.isWoken)
        bus.wait(0)
        bus.close()


class LinuxBusTests(SynchronousTestCase):
    """
    Tests for L{LinuxBus}.
    """

    def setUp(self) -> None:
        """
        A sysfs of the test's own, and a socket in the kernel's place.
        """
        self.devices = Path(self.mktemp())
        self.devices.mkdir()
        self.kernel, self.events = socket.socketpair(type=socket.SOCK_DGRAM)
        self.events.setblocking(False)
        self.bus = LinuxBus(self.devices, lambda: self.events)
        self.addCleanup(self.kernel.close)
        self.addCleanup(self.bus.close)

    def device(self, name: str, uevent: str | None) -> None:
        """
        Add a device.
        """
        (self.devices / name).mkdir()
        if uevent is not None:
            (self.devices / name / "uevent").write_text(uevent)

    def woken(self) -> bool:
        """
        Whether a wait ends at once.
        """
        start = monotonic()
        self.bus.wait(DEADLINE)
        return monotonic() - start < DEADLINE / 2

    def test_phones(self) -> None:
        """
        Phones are found among hubs, interfaces and devices that are leaving.
        """
        self.device("usb1", PHONE.replace("12a8", "0002"))
        self.device("1-1", PHONE)
        self.device("1-2", PHONE.replace("007", "009"))
        self.device("1-2:1.0", PHONE.replace("007", "010"))
        self.device("1-3", None)
        self.assertEqual({(1, 7), (1, 9)}, self.bus.phones())

    def test_newKind(self) -> None:
        """
        A device of Apple's that is not known is a phone if its descriptors have a muxer;
        a phone in recovery mode, and what only might be a phone, are left alone.
        """
        for number, product in enumerate(("12b1", "12b5", "1281", "024f", "8601"), 1):
            uevent = PHONE.replace("12a8", product).replace("007", f"00{number}")
            self.device(f"1-{number}", uevent)
        for number, data in ((1, MUXER), (2, b"")):
            (self.devices / f"1-{number}" / "descriptors").write_bytes(data)
        self.assertEqual({(1, 1)}, self.bus.phones())
        self.assertEqual(self.bus.leftAlone, {(1, 2): Verdict.NO_MUXER, (1, 3): Verdict.RECOVERY})

    def test_descriptorsUnreadable(self) -> None:
        """
        Descriptors that cannot be read for want of something are the machine's fault.
        """
        self.device("1-1", PHONE.replace("12a8", "12b1"))
        self.patch(Path, "read_bytes", failing(OSError(errno.EMFILE, "short")))
        self.assertRaises(OSError, self.bus.phones)
        self.patch(Path, "read_bytes", failing(OSError(errno.ENODEV, "gone")))
        self.assertEqual(frozenset(), self.bus.phones())

    def test_noSysfs(self) -> None:
        """
        A directory that is not there is an error, not an empty bus.
        """
        self.devices.rmdir()
        self.assertRaises(OSError, self.bus.phones)

    def test_unreadable(self) -> None:
        """
        A device whose file says that it has gone, or is none of ours, is not there; any
        other error is the machine's, and says nothing of the device.
        """
        self.device("1-1", PHONE)
        read = Path.read_text
        for number in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EACCES):
            self.patch(Path, "read_text", failing(OSError(number, "gone")))
            self.assertEqual(frozenset(), self.bus.phones())
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            self.patch(Path, "read_text", failing(OSError(number, "short")))
            self.assertRaises(OSError, self.bus.phones)
        self.patch(Path, "read_text", read)
        self.assertEqual({(1, 7)}, self.bus.phones())

    def test_wokenByTheKernel(self) -> None:
        """
        A wait ends when the kernel tells of a device.
        """
        self.kernel.send(EVENT)
        self.assertTrue(self.woken())

    def test_otherEvents(self) -> None:
        """
        Events of other things do not end a wait, which still ends in time.
        """
        times = iter([0.0, 0.0, 0.5, 1.0])
        self.bus.close()
        self.bus = LinuxBus(self.devices, lambda: self.events, lambda: next(times))
        self.addCleanup(self.bus.close)
        self.kernel.send(OTHER_EVENT)
        self.kernel.send(EVENT.replace(b"usb_device", b"disk"))
        # The first look finds them both; the second finds nothing for the half
        # second that is left.
        self.bus.wait(1.0)
        self.assertEqual([], list(times))

    def test_tooManyEvents(self) -> None:
        """
        If the kernel had more to tell than fits, it may have been of a device.
        """

        class Overflown(socket.socket):
            def recv(self, *args: object) -> bytes:
                raise OSError(105, "No buffer space available")

        events = Overflown(fileno=self.events.detach())
        self.bus = LinuxBus(self.devices, lambda: events)
        self.addCleanup(self.bus.close)
        self.kernel.send(OTHER_EVENT)
        self.assertTrue(self.woken())

    def test_noEvents(self) -> None:
        """
        Without the kernel's events a wait takes its time, and can be woken.
        """

        def fail() -> socket.socket:
            raise OSError("no netlink")

        self.bus = LinuxBus(self.devices, fail)
        self.addCleanup(self.bus.close)
        self.bus.wait(0.01)
        self.bus.wake()
        self.assertTrue(self.woken())

    def test_eventsLater(self) -> None:
        """
        A machine that is short of something may have the kernel's events later: until then
        a wait is an error.
        """
        shortages = [OSError(errno.ENOBUFS, "short"), OSError(errno.EMFILE, "short")]

        def openEvents() -> socket.socket:
            if shortages:
                raise shortages.pop()
            return self.events

        self.bus = LinuxBus(self.devices, openEvents)
        self.addCleanup(self.bus.close)
        for _ in range(2):
            self.assertRaises(OSError, self.bus.wait, DEADLINE)
        self.kernel.send(EVENT)
        self.assertTrue(self.woken())

    def twoSockets(self) -> list[socket.socket]:
        """
        Have a bus that opens the socket of events, and another one the next time.

        @return: Those that it has not opened yet.
        """
        opened = [self.events, socket.socketpair(type=socket.SOCK_DGRAM)[0]]
        self.addCleanup(opened[1].close)
        self.bus = LinuxBus(self.devices, lambda: opened.pop(0))
        self.addCleanup(self.bus.close)
        return opened

    def test_noSelector(self) -> None:
        """
        The same when there is nothing to wait with; no socket of events is opened for that.
        """
        first, opened = self.events, self.twoSockets()
        selector = selectors.DefaultSelector
        self.patch(selectors, "DefaultSelector", failing(OSError(errno.EMFILE, "short")))
        self.assertRaises(OSError, self.bus.wait, DEADLINE)
        self.assertEqual((2, first), (len(opened), opened[0]))
        self.patch(selectors, "DefaultSelector", selector)
        self.bus.wake()
        self.assertTrue(self.woken())

    def test_fullSelector(self) -> None:
        """
        Nor is anything kept that nothing can be watched with.
        """
        first = self.events
        self.twoSockets()
        selector = selectors.DefaultSelector

        class Full(selector):  # type: ignore[misc, valid-type]
            def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
                if fileobj is first:
                    raise OSError(errno.ENOSPC, "no more watches")
                return super().register(fileobj, events, data)

        self.patch(selectors, "DefaultSelector", Full)
        self.assertRaises(OSError, self.bus.wait, DEADLINE)
        self.assertEqual(-1, first.fileno())
        self.patch(selectors, "DefaultSelector", selector)
        self.bus.wake()
        self.assertTrue(self.woken())

    def test_wake(self) -> None:
        """
        A waiting thread can be woken, however often.
        """
        thread = Thread(target=self.bus.wait, args=(DEADLINE,), daemon=True)
        thread.start()
        for _ in range(3):
            self.bus.wake()
        thread.join(DEADLINE / 2)
        self.assertFalse(thread.is_alive())

    def test_wakeBeforehand(self) -> None:
        """
        Being woken before the wait counts, and however often that was, no wait
        after it is shorter.
        """
        for _ in range(100000):
            self.bus.wake()
        self.assertTrue(self.woken())
        times = iter([0.0, 0.0, 1.0])
        self.bus._seconds = lambda: next(times)
        self.bus.wait(0.01)
        self.assertEqual([], list(times))

    def test_wakeAfterClose(self) -> None:
        """
        Waking what is closed does no harm.
        """
        self.bus.close()
        self.bus.wake()


class KernelEventsTests(SynchronousTestCase):
    """
    Tests for L{kernelEvents} and L{systemBus}.
    """

    def test_socket(self) -> None:
        """
        Where the system has such a socket, it does not block.
        """
        try:
            events = kernelEvents()
        except OSError as error:
            raise SkipTest(f"this system has no kernel events: {error}") from None
        self.addCleanup(events.close)
        self.assertEqual(0.0, events.gettimeout())

    def test_noNetlink(self) -> None:
        """
        Other systems have none.
        """
        if hasattr(socket, "AF_NETLINK"):
            self.patch(presence, "socket", _WithoutNetlink())
        self.assertRaises(OSError, kernelEvents)

    def test_systemBus(self) -> None:
        """
        Linux with sysfs says for itself what is on the bus.
        """
        found = systemBus()
        self.addCleanup(found.close)
        if sys.platform == "linux" and SYSFS.is_dir():
            self.assertIsInstance(found, LinuxBus)
        self.patch(presence, "SYSFS", Path(self.mktemp()))
        self.assertIsInstance(systemBus(), PolledBus)


class _WithoutNetlink:
    """
    The socket module of another system.
    """


class ClockedWaitTests(SynchronousTestCase):
    """
    Tests for the time that a wait takes.
    """

    def test_noTime(self) -> None:
        """
        No time is no wait.
        """
        bus = LinuxBus(Path(self.mktemp()), kernelEvents, Clock().seconds)
        self.addCleanup(bus.close)
        bus.wait(0)
