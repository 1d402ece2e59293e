"""
Tests for L{muxd.usb.opening}.
"""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError

from muxd.phone.bus.descriptors import SERIAL
from muxd.phone.bus.handles import Handle
from muxd.phone.bus.profiles import iPhone
from muxd.usb.configuration import NoMuxInterface
from muxd.usb.opening import NotWanted, PhoneOpener, SwitchingMode
from muxd.usb.settings import Selection, USBSettings
from tests.usb.devices import deviceOn, plugged


class PhoneOpenerTests(SynchronousTestCase):
    """
    Tests for L{PhoneOpener}.
    """

    def test_open(self) -> None:
        """
        An opened phone: identity, location, and the claimed interface, which
        is given back when it is disposed of.
        """
        bus, _, device = plugged()
        opener = PhoneOpener(USBSettings())
        phone = opener.open(device)
        self.assertEqual(SERIAL, phone.identity.serial)
        self.assertEqual((device.bus, device.address), phone.location)
        self.assertEqual(4, phone.interface.configuration)
        error = self.assertRaises(USBError, opener.open, deviceOn(bus))
        self.assertEqual(errno.EBUSY, error.errno)
        phone.dispose()
        opener.open(deviceOn(bus)).dispose()

    def test_notWanted(self) -> None:
        """
        A phone that the settings exclude is not configured.
        """
        _, phone, device = plugged()
        opener = PhoneOpener(USBSettings(only=Selection(udids=frozenset(("other",)))))
        self.assertRaises(NotWanted, opener.open, device)
        self.assertEqual([], phone.configurations)

    def test_failureLeavesNothingOpen(self) -> None:
        """
        A phone that cannot be used is closed again.
        """
        bus, _, device = plugged(iPhone(mode=5))
        closed = []
        original = bus.close_device

        def close(handle: Handle) -> None:
            closed.append(1)
            original(handle)

        self.patch(bus, "close_device", close)
        self.assertRaises(NoMuxInterface, PhoneOpener(USBSettings()).open, device)
        self.assertEqual([1], closed)

    def test_noSwitchByDefault(self) -> None:
        """
        A phone is left in the mode that it is in (edge 11).
        """
        _, phone, device = plugged(iPhone(mode=3))
        PhoneOpener(USBSettings()).open(device)
        self.assertEqual([], phone.modes)

    def test_switch(self) -> None:
        """
        When a mode is asked for, a phone in another one is told once, and used
        as it is if it has not helped; after an unplug it is told again.
        """
        bus, phone, device = plugged(iPhone(mode=3))
        opener = PhoneOpener(USBSettings(mode=1))
        self.assertRaises(SwitchingMode, opener.open, device)
        opened = opener.open(deviceOn(bus))
        self.assertEqual([1], phone.modes)
        opened.dispose()
        opener.forget(SERIAL)
        self.assertRaises(SwitchingMode, opener.open, deviceOn(bus))

    def test_rightModeAlready(self) -> None:
        """
        A phone in the right mode is not told.
        """
        _, phone, device = plugged(iPhone(mode=3))
        PhoneOpener(USBSettings(mode=3)).open(device)
        self.assertEqual([], phone.modes)

    def test_refusedSwitch(self) -> None:
        """
        A phone that refuses is used as it is.
        """
        _, phone, device = plugged(iPhone(mode=3))
        self.patch(phone, "modeRequested", lambda attachment, mode: b"\1")
        opened = PhoneOpener(USBSettings(mode=1)).open(device)
        self.assertEqual(SERIAL, opened.identity.serial)
