"""
Tests of L{muxd.phone.bus.simulated} by pyusb's own objects, and of the gadgets on it.
"""

from __future__ import annotations

import array
import errno

import usb.core
import usb.util
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT, SERIAL, Speed
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.interfaces import CannotPlug, IGadget
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import WatchedBus
from muxd.testing.gadgets import RecordingGadget
from tests.phone.bus.onbus import BusTestCase


class DiscoveryTests(BusTestCase):
    """
    Finding devices and reading what they say.
    """

    def test_gadgets(self) -> None:
        """
        L{Gadget} and L{RecordingGadget} provide L{IGadget}.
        """
        verifyObject(IGadget, self.gadget)
        verifyObject(IGadget, Gadget(iPhone()))

    def test_identity(self) -> None:
        """
        The serial number, the place and the speed are read by pyusb.
        """
        device = self.device
        self.assertEqual(device.serial_number, SERIAL)
        self.assertEqual((device.bus, device.address, device.port_numbers), (1, 2, (1,)))
        self.assertEqual(device.speed, Speed.HIGH)
        self.assertIdentical(device.parent, None)
        self.assertIn("Apple USB Multiplexor", str(device))

    def test_descriptors(self) -> None:
        """
        Every interface is seen, with every alternate setting.
        """
        found = [
            (i.bInterfaceNumber, i.bAlternateSetting, [e.bEndpointAddress for e in i])
            for i in self.device.get_active_configuration()
        ]
        self.assertEqual(
            found,
            [(0, 0, [0x02, 0x81, 0x83]), (1, 0, [4, 0x85]), (2, 0, []), (2, 1, [0x86, 5])],
        )

    def test_addressesCountUp(self) -> None:
        """
        A device has a new address each time it is plugged in, and the port that
        is free.
        """
        self.bus.unplug(self.gadget)
        self.assertIdentical(usb.core.find(backend=self.bus), None)
        self.assertEqual(self.bus.plug(self.gadget).address, 3)
        second = self.bus.plug(RecordingGadget(iPhone()))
        self.assertEqual((second.address, second.port), (4, 2))

    def test_portsStay(self) -> None:
        """
        A device that comes back is at the port that it was at, also while another one is not
        there, whose port a new one takes only when no other is left.
        """
        others = [Gadget(iPhone()) for _ in range(2)]
        for each in others:
            self.bus.plug(each)
        for each in (self.gadget, *others):
            self.bus.unplug(each)
        ports = [self.bus.plug(each).port for each in (others[1], Gadget(iPhone()))]
        self.assertEqual(ports, [3, 4])
        ports = [self.bus.plug(Gadget(iPhone())).port for _ in range(124)]
        self.assertEqual(ports, [*range(5, 128), 1])

    def test_addressesGoRound(self) -> None:
        """
        After address 127 comes the first free one, and a full bus takes no more.
        """
        for _ in range(125):
            self.bus.plug(Gadget(iPhone()))
        self.assertRaises(CannotPlug, self.bus.plug, Gadget(iPhone()))
        self.bus.unplug(self.gadget)
        self.assertEqual(self.bus.plug(self.gadget).address, 2)

    def test_pluggedTwice(self) -> None:
        """
        A device is in one place at a time.
        """
        self.assertRaises(CannotPlug, self.bus.plug, self.gadget)

    def test_enumerationFails(self) -> None:
        """
        Enumerating and opening can be made to fail.
        """
        self.bus.enumerationErrno = errno.EIO
        self.assertErrno(errno.EIO, lambda: usb.core.find(backend=self.bus))
        self.bus.enumerationErrno = 0
        self.bus.openErrno = errno.EACCES
        device = usb.core.find(backend=self.bus)
        self.assertErrno(errno.EACCES, device.get_active_configuration)

    def test_watched(self) -> None:
        """
        A bus tells of each device that has come or gone, when it has.
        """
        seen: list[int] = []

        def changed() -> None:
            seen.append(len(self.bus.attachments))

        self.bus.watch(changed)
        self.bus.unplug(self.gadget)
        self.bus.unplug(self.gadget)
        self.bus.plug(self.gadget)
        self.bus.plug(Gadget(iPhone()))
        self.assertEqual([0, 1, 2], seen)
        self.bus.unwatch(changed)
        self.bus.unplug(self.gadget)
        self.assertEqual([0, 1, 2], seen)

    def test_waitedFor(self) -> None:
        """
        Discovery's wait for a change ends with it; once closed, it is not told any more.
        """
        watched = WatchedBus(self.bus)
        self.assertFalse(watched.isWoken)
        self.bus.unplug(self.gadget)
        self.assertTrue(watched.isWoken)
        watched.wait(0)
        self.assertFalse(watched.isWoken)
        watched.close()
        self.bus.plug(self.gadget)
        self.assertFalse(watched.isWoken)

    def test_unplugTwice(self) -> None:
        """
        Unplugging what is not there does nothing.
        """
        self.bus.unplug(self.gadget)
        self.bus.unplug(self.gadget)
        self.attachment.unplug()
        self.assertTrue(self.attachment.gone)


class ConfigurationTests(BusTestCase):
    """
    Configurations, claims and drivers.
    """

    def test_unconfigured(self) -> None:
        """
        A device without a configuration can be read but not used: pyusb's error
        has no errno, and a claim finds no interface.
        """
        self.bus.unplug(self.gadget)
        self.bus.plug(RecordingGadget(iPhone(initialConfiguration=0)))
        device = usb.core.find(backend=self.bus)
        self.assertEqual(device.serial_number, SERIAL)
        error = self.assertRaises(usb.core.USBError, device.get_active_configuration)
        self.assertIdentical(error.errno, None)
        self.assertRaises(usb.core.USBError, device.write, MUX_OUT, b"x")
        self.assertErrno(errno.ENOENT, usb.util.claim_interface, device, 1)
        device.set_configuration(3)
        self.assertEqual(device.write(MUX_OUT, b"x"), 1)

    def test_setConfiguration(self) -> None:
        """
        Setting a configuration, the same one as well, empties the endpoints and
        tells the device; it needs the drivers detached.
        """
        self.assertErrno(errno.EBUSY, self.device.set_configuration, 4)
        self.assertTrue(self.device.is_kernel_driver_active(2))
        self.device.detach_kernel_driver(2)
        self.assertFalse(self.device.is_kernel_driver_active(2))
        self.assertErrno(errno.ENOENT, self.device.detach_kernel_driver, 2)
        self.gadget.send(b"x")
        self.device.set_configuration(4)
        self.assertEqual(self.gadget.configurations, [4])
        self.assertEqual(self.attachment.unread(MUX_IN), 0)

    def test_attachDriver(self) -> None:
        """
        A detached driver can be attached again, once.
        """
        self.device.detach_kernel_driver(2)
        self.device.attach_kernel_driver(2)
        self.assertErrno(errno.EBUSY, self.device.attach_kernel_driver, 2)
        self.assertErrno(errno.EBUSY, usb.util.claim_interface, self.device, 2)

    def test_unknownConfiguration(self) -> None:
        """
        A value that is not there is refused by pyusb and by the bus.
        """
        self.device.detach_kernel_driver(2)
        self.assertRaises(ValueError, self.device.set_configuration, 9)
        handle = self.bus.open_device(self.attachment)
        self.assertErrno(errno.ENOENT, self.bus.set_configuration, handle, 9)

    def test_claimIsExclusive(self) -> None:
        """
        A second handle gets EBUSY until the first gives the interface back or
        is closed; nobody can change the configuration meanwhile.
        """
        other = usb.core.find(backend=self.bus)
        usb.util.claim_interface(self.device, 1)
        usb.util.claim_interface(self.device, 1)
        self.assertErrno(errno.EBUSY, usb.util.claim_interface, other, 1)
        self.assertErrno(errno.EBUSY, other.write, MUX_OUT, b"x")
        self.device.detach_kernel_driver(2)
        self.assertErrno(errno.EBUSY, self.device.set_configuration, 4)
        usb.util.release_interface(self.device, 1)
        usb.util.claim_interface(other, 1)
        usb.util.dispose_resources(other)
        usb.util.claim_interface(self.device, 1)

    def test_releaseUnclaimed(self) -> None:
        """
        What was not claimed cannot be given back.
        """
        handle = self.bus.open_device(self.attachment)
        self.assertErrno(errno.ENOENT, self.bus.release_interface, handle, 1)
        self.bus.claim_interface(handle, 1)
        self.bus.claim_interface(handle, 1)

    def test_unknownEndpoint(self) -> None:
        """
        There is no transfer on an endpoint of another configuration.
        """
        handle = self.bus.open_device(self.attachment)
        self.assertErrno(
            errno.ENOENT, self.bus.bulk_write, handle, 0x0F, 1, array.array("B", b"x"), 10
        )

    def test_alternateSetting(self) -> None:
        """
        Only alternate setting 0 can be chosen.
        """
        self.device.set_interface_altsetting(1, 0)
        handle = self.bus.open_device(self.attachment)
        self.device.detach_kernel_driver(2)
        self.assertErrno(errno.ENOENT, self.bus.set_interface_altsetting, handle, 2, 1)

    def test_reset(self) -> None:
        """
        A reset device begins anew in the same configuration.
        """
        self.gadget.send(b"x")
        self.device.reset()
        self.assertEqual(self.gadget.configurations, [4])
        self.assertEqual(self.attachment.unread(MUX_IN), 0)
