"""
Tests for L{muxd.usb.discovery} of phones that cannot be opened (yet).
"""

from __future__ import annotations

import errno
from typing import Any

from muxd.phone.bus.descriptors import OLD_SERIAL, SERIAL
from muxd.usb.discovery import SWITCH_TIMEOUT
from muxd.usb.settings import USBSettings
from tests.usb.devices import deviceOn
from tests.usb.discoveries import DiscoveryTestCase


class OpeningTests(DiscoveryTestCase):
    """
    Phones that cannot be opened.
    """

    def test_noPermission(self) -> None:
        """
        One line with the remedy, however often it is tried, and one when it
        works.
        """
        self.plug()
        self.bus.openErrno = errno.EACCES
        self.poll(30)
        [line] = self.logged("warn")
        self.assertIn("bus 1 address 2 cannot be opened: no permission", line)
        self.assertIn("udev/39-muxd.rules", line)
        self.bus.openErrno = 0
        self.poll(40)
        self.assertEqual([SERIAL], self.serials())
        self.assertEqual(1, len(self.logged("info")))

    def test_backOff(self) -> None:
        """
        It is tried again less and less often.
        """
        self.plug()
        self.bus.openErrno = errno.EACCES
        tries: list[float] = []
        original = self.bus.open_device

        def openDevice(dev: Any) -> Any:
            tries.append(self.clock.seconds())
            return original(dev)

        self.patch(self.bus, "open_device", openDevice)
        self.poll(20)
        self.assertEqual([0, 1, 3, 7, 15], sorted(set(tries)))

    def test_busy(self) -> None:
        """
        A phone that another program has is told of, and taken when it is free.
        """
        self.plug()
        from muxd.usb.opening import PhoneOpener

        theirs = PhoneOpener(USBSettings()).open(deviceOn(self.bus))
        self.poll(3)
        self.assertIn("it is in use by", self.logged("warn")[0])
        theirs.dispose()
        self.poll(3)
        self.assertEqual([SERIAL], self.serials())

    def test_anotherReason(self) -> None:
        """
        Another reason is another line.
        """
        self.plug()
        for number in (errno.EACCES, errno.EBUSY):
            self.bus.openErrno = number
            self.poll(4)
        self.assertEqual(2, len(self.logged("warn")))

    def test_leftMeanwhile(self) -> None:
        """
        A phone that has left before its turn came is not opened.
        """
        self.plug()
        second = self.plug(OLD_SERIAL)

        def load() -> Any:
            self.loads += 1
            if self.loads == 2:
                self.bus.unplug(second)
            return self.bus

        self.discovery = self.build(load=load)
        self.poll()
        self.assertEqual([SERIAL], self.serials())
        self.assertEqual([], self.logged("warn"))

    def test_leaving(self) -> None:
        """
        A phone that is being unplugged while it is opened is no trouble.
        """
        phone = self.plug()
        self.bus.openErrno = errno.ENODEV
        self.poll()
        self.bus.unplug(phone)
        self.bus.openErrno = 0
        self.poll()
        self.assertEqual([], self.logged("warn"))
        self.assertEqual([], self.listener.gone)

    def test_noMuxInterface(self) -> None:
        """
        A phone that cannot be talked to is told of once.
        """
        self.plug(mode=5)
        self.poll(10)
        [line] = self.logged("warn")
        self.assertIn("none of its 1 configurations has an interface", line)

    def test_noSerial(self) -> None:
        """
        So is one without a serial number.
        """
        self.plug("")
        self.poll(10)
        [line] = self.logged("warn")
        self.assertIn("its serial number is empty", line)

    def test_notImplemented(self) -> None:
        """
        A library that cannot do what is needed is told of, too.
        """

        def fail(dev: Any) -> Any:
            raise NotImplementedError("open_device")

        self.patch(self.bus, "open_device", fail)
        self.plug()
        self.poll(5)
        self.assertEqual(1, len(self.logged("warn")))

    def test_defect(self) -> None:
        """
        What nobody has thought of, in a device's descriptors, say, is one device's
        trouble, and neither the search's nor another phone's.
        """
        self.plug()
        bad = self.bus.attachments[0]
        openDevice = self.bus.open_device

        def fail(dev: Any) -> Any:
            if dev is bad:
                raise IndexError("descriptor\x1b[2J")
            return openDevice(dev)

        self.patch(self.bus, "open_device", fail)
        self.plug("00008030000000000000000F")
        self.poll(5)
        self.assertEqual(["00008030000000000000000F"], self.serials())
        (line,) = self.logged("warn")
        self.assertIn("IndexError", line)
        self.assertTrue(line.isprintable())
        self.assertEqual(1, len(self.flushLoggedErrors(IndexError)))

    def test_switchingMode(self) -> None:
        """
        A phone that was told to change its mode is left alone until it has left
        the bus, or has had time enough; then it is used as it is, not told
        again.
        """
        self.discovery = self.build(USBSettings(mode=1))
        phone = self.plug(mode=3)
        self.poll(int(SWITCH_TIMEOUT))
        self.assertEqual([], self.serials())
        self.poll()
        self.assertEqual([SERIAL], self.serials())
        self.assertEqual([1], phone.modes)

    def test_switchedMode(self) -> None:
        """
        A phone that comes back with another address is used at once, whatever
        mode it is in; its first leaving was not that of a found phone.
        """
        self.discovery = self.build(USBSettings(mode=1))
        phone = self.plug(mode=3)
        self.poll()
        self.bus.unplug(phone)
        self.poll()
        self.bus.plug(phone)
        self.poll()
        self.assertEqual([SERIAL], self.serials())
        self.assertEqual(([1], []), (phone.modes, self.listener.gone))
