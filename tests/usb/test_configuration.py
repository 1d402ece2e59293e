"""
Tests for L{muxd.usb.configuration}.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import weakref
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError
from usb.util import dispose_resources

from muxd.phone.bus.descriptors import (
    MUX_IN,
    MUX_OUT,
    ConfigurationDescriptor,
    InterfaceDescriptor,
    Speed,
)
from muxd.phone.bus.profiles import (
    bulk,
    configuration,
    ethernet,
    interrupt,
    iPhone,
    mux,
    ptp,
    vendor,
)
from muxd.phone.bus.simulated import SimulatedBus, usbError
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.configuration import (
    NoMuxInterface,
    activeConfiguration,
    candidates,
    configure,
    findMuxInterface,
)
from tests.usb.devices import deviceOn, plugged

HIGH = Speed.HIGH


def phoneWith(
    *configurations: ConfigurationDescriptor, active: int = 1
) -> tuple[SimulatedBus, RecordingGadget, Any]:
    """
    A phone with configurations of its own.
    """
    return plugged(iPhone(configurations=configurations, initialConfiguration=active))


class FindMuxInterfaceTests(SynchronousTestCase):
    """
    Tests for L{findMuxInterface}.
    """

    def find(self, *interfaces: tuple[InterfaceDescriptor, ...]) -> Any:
        """
        What is found in a configuration of these interfaces.
        """
        _, _, device = phoneWith(configuration(1, *interfaces))
        return findMuxInterface(device[0])

    def test_found(self) -> None:
        """
        Interface, endpoints and packet size of the muxer.
        """
        found = self.find(ptp(0, HIGH), mux(1, HIGH))
        self.assertEqual((1, 1), (found.configuration, found.number))
        self.assertEqual((MUX_OUT, MUX_IN), (found.output, found.input))
        self.assertEqual((512, 512), (found.maxPacketSize, found.inputPacketSize))

    def test_eitherOrder(self) -> None:
        """
        The IN endpoint may be described first (protocol 1.1).
        """
        found = self.find(mux(1, HIGH, (MUX_IN, MUX_OUT)))
        self.assertEqual((MUX_OUT, MUX_IN), (found.output, found.input))

    def test_packetSizeOfTheEndpoint(self) -> None:
        """
        WMaxPacketSize is read, not assumed (edge 4), and 64 if it says nothing.
        """
        self.assertEqual(1024, self.find(mux(1, Speed.SUPER)).maxPacketSize)
        silent = tuple(replace(each, wMaxPacketSize=0) for each in bulk(HIGH, MUX_OUT, MUX_IN))
        self.assertEqual(64, self.find(vendor(1, 254, 2, silent)).maxPacketSize)

    def test_allOfTheTriple(self) -> None:
        """
        Class, subclass and protocol must match, not one of them (edge 1).
        """
        endpoints = bulk(HIGH, MUX_OUT, MUX_IN)
        self.assertIsNone(self.find(vendor(1, 253, 2, endpoints)))
        self.assertIsNone(self.find(vendor(1, 254, 1, endpoints)))
        other = InterfaceDescriptor(bInterfaceNumber=1, triple=(6, 254, 2), endpoints=endpoints)
        self.assertIsNone(self.find((other,)))

    def test_exactlyTwoBulkEndpoints(self) -> None:
        """
        One OUT and one IN endpoint, both bulk, no more and no fewer.
        """
        for endpoints in (
            (),
            bulk(HIGH, MUX_OUT),
            bulk(HIGH, 0x81, 0x85),
            bulk(HIGH, MUX_OUT, MUX_IN, 0x86),
            (*bulk(HIGH, MUX_OUT, MUX_IN), interrupt(0x87)),
            (*bulk(HIGH, MUX_OUT), interrupt(0x85)),
        ):
            self.assertIsNone(self.find(vendor(1, 254, 2, endpoints)), repr(endpoints))

    def test_alternateSettingZero(self) -> None:
        """
        An interface that must be switched to another setting first is none.
        """
        empty, full = vendor(1, 254, 2, ())[0], mux(1, HIGH)[0]
        self.assertIsNone(self.find((empty, replace(full, bAlternateSetting=1))))


class ConfigureTests(SynchronousTestCase):
    """
    Tests for L{configure}.
    """

    def test_keepsTheActiveOne(self) -> None:
        """
        A configuration that has the interface is kept, though there is a higher
        one, and not set again, which would reset the phone.
        """
        _, phone, device = plugged(iPhone(initialConfiguration=3))
        interface = configure(device)
        self.assertEqual(3, interface.configuration)
        self.assertEqual([], phone.configurations)

    def test_highest(self) -> None:
        """
        Otherwise the highest one with the interface is set.
        """
        _, phone, device = plugged()
        self.assertEqual(4, configure(device).configuration)
        self.assertEqual([4], phone.configurations)

    def test_unconfigured(self) -> None:
        """
        A phone that udev rules have left in configuration 0 is configured.
        """
        _, phone, device = plugged(iPhone(initialConfiguration=0))
        self.assertEqual(0, activeConfiguration(device))
        self.assertEqual(4, configure(device).configuration)
        self.assertEqual([4], phone.configurations)

    def test_highestIsVerified(self) -> None:
        """
        A higher configuration without the interface is not chosen (edge 12).
        """
        _, _, device = phoneWith(
            configuration(1, ptp(0, HIGH)),
            configuration(2, mux(1, HIGH)),
            configuration(5, ptp(0, HIGH), ethernet(1, HIGH)),
        )
        self.assertEqual(2, configure(device).configuration)

    def test_preferred(self) -> None:
        """
        The caller's choice goes before all, if there is such a one.
        """
        for preferred, chosen in ((3, 3), (1, 4), (9, 4)):
            _, _, device = plugged(iPhone(initialConfiguration=4))
            self.assertEqual(chosen, configure(device, preferred).configuration)

    def test_driversAreDetached(self) -> None:
        """
        Kernel drivers of the active configuration do not keep another one from
        being set.
        """
        _, _, device = plugged(iPhone(initialConfiguration=2))
        self.assertTrue(device.is_kernel_driver_active(0))
        self.assertEqual(4, configure(device).configuration)

    def test_driverOfTheInterface(self) -> None:
        """
        A driver that has the mux interface itself loses it.
        """
        taken = (replace(mux(1, HIGH)[0], driver="usbfs-test"),)
        _, _, device = phoneWith(configuration(1, taken))
        self.assertEqual(1, configure(device).number)
        self.assertFalse(device.is_kernel_driver_active(1))

    def test_driversCannotBeDetached(self) -> None:
        """
        On a system without such calls it goes on, and works if it can.
        """
        _, _, device = plugged(iPhone(initialConfiguration=3))

        def refuse(number: int) -> bool:
            raise NotImplementedError

        device.is_kernel_driver_active = refuse
        self.assertEqual(3, configure(device).configuration)

    def test_failedSetTriesTheNext(self) -> None:
        """
        When a configuration cannot be set, the next lower one is, with its own
        interface number and endpoints (edge 2).
        """
        _, phone, device = phoneWith(
            configuration(1, ptp(0, HIGH)),
            configuration(2, mux(0, HIGH, (0x02, 0x81))),
            configuration(3, mux(1, HIGH)),
        )
        setConfiguration = device.set_configuration

        def failOnce(value: int) -> None:
            if value == 3:
                raise usbError(errno.EIO)
            setConfiguration(value)

        device.set_configuration = failOnce
        interface = configure(device)
        self.assertEqual((2, 0), (interface.configuration, interface.number))
        self.assertEqual((0x02, 0x81), (interface.output, interface.input))
        self.assertEqual([2], phone.configurations)

    def test_noneCanBeSet(self) -> None:
        """
        When none can be set, the error of the last one is the caller's.
        """
        _, _, device = plugged()

        def fail(value: int) -> None:
            raise usbError(errno.EIO)

        device.set_configuration = fail
        self.assertEqual(errno.EIO, self.assertRaises(USBError, configure, device).errno)

    def test_letGo(self) -> None:
        """
        A phone whose configurations cannot be set is let go of with the error, and not when the
        collector next finds it: its context has descriptors, and an idle daemon has no garbage.
        """
        if gc.isenabled():
            gc.disable()
            self.addCleanup(gc.enable)

        for refused in ((3, 2), (3,)):
            _, _, device = phoneWith(configuration(2, mux(1, HIGH)), configuration(3, mux(1, HIGH)))
            phone = weakref.ref(device)

            def setConfiguration(value: int, of: Any = phone, refused: Any = refused) -> None:
                if value in refused:
                    raise usbError(errno.EIO)
                type(of()).set_configuration(of(), value)

            device.set_configuration = setConfiguration
            with contextlib.suppress(USBError):
                configure(device)
            del device
            self.assertIsNone(phone(), refused)

    def test_noInterface(self) -> None:
        """
        A phone without the interface is refused with words, untouched.
        """
        _, phone, device = plugged(iPhone(mode=5))
        error = self.assertRaises(NoMuxInterface, configure, device)
        self.assertIn("none of its 1 configurations", str(error))
        self.assertEqual([], phone.configurations)

    def test_claims(self) -> None:
        """
        The interface is claimed: nobody else gets it until it is given back.
        """
        bus, _, device = plugged()
        configure(device)
        other = deviceOn(bus)
        self.assertEqual(errno.EBUSY, self.assertRaises(USBError, configure, other).errno)
        dispose_resources(device)
        configure(other)

    def test_unreadableConfiguration(self) -> None:
        """
        A configuration whose descriptor cannot be read is passed over.
        """
        bus, _, device = plugged()
        original = bus.get_configuration_descriptor

        def failAtLast(dev: Any, index: int) -> ConfigurationDescriptor:
            if index == 3:
                raise usbError(errno.EIO)
            found: ConfigurationDescriptor = original(dev, index)
            return found

        self.patch(bus, "get_configuration_descriptor", failAtLast)
        self.assertEqual([3], [each.configuration for each in candidates(device, 1)])

    def test_activeCannotBeAsked(self) -> None:
        """
        An error of the system is not taken for an unconfigured phone.
        """
        bus, phone, device = plugged()
        bus.unplug(phone)
        error = self.assertRaises(USBError, activeConfiguration, device)
        self.assertEqual(errno.ENODEV, error.errno)
