"""
Tests for L{muxd.usb.opening}.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError

from muxd.identity import Selection
from muxd.phone.bus.control import Stalled
from muxd.phone.bus.descriptors import SERIAL, Speed
from muxd.phone.bus.handles import Handle
from muxd.phone.bus.profiles import configuration, iPhone, mux, ptp
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.configuration import DriversInTheWay, NoMuxInterface
from muxd.usb.opening import NotWanted, PhoneOpener, SwitchingMode
from muxd.usb.settings import USBSettings
from tests.usb.devices import deviceOn, plugged


class PhoneOpenerTests(SynchronousTestCase):
    """
    Tests for L{PhoneOpener}.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

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

    def test_simulated(self) -> None:
        """
        A phone is a simulated one if the settings say that they all are.
        """
        for simulated in (False, True):
            _, _, device = plugged()
            opened = PhoneOpener(USBSettings(simulated=simulated)).open(device)
            self.assertIs(opened.identity.isSimulated, simulated)

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
        (event,) = self.said()
        self.assertIn("stays in USB mode 3, not 1: it refuses", event)

    def said(self) -> list[str]:
        """
        What was said so far of modes.
        """
        return [
            text
            for event in self.log
            if event["log_level"] is LogLevel.info
            and "USB mode" in (text := event["log_format"].format(**event))
        ]

    def test_everyMode(self) -> None:
        """
        A mode that was asked for is for each phone that knows of modes: for one that was
        just plugged in, with four configurations, and for one without a muxer.
        """
        for mode in (1, 5):
            _, phone, device = plugged(iPhone(mode=mode))
            opener = PhoneOpener(USBSettings(mode=3))
            self.assertRaises(SwitchingMode, opener.open, device)
            self.assertEqual([3], phone.modes)
        self.assertEqual([], self.said())

    def test_notSettled(self) -> None:
        """
        One that comes back in another mode is not told again; that is said once, and again
        after an unplug.
        """
        bus, phone, device = plugged(iPhone(mode=3))
        opener = PhoneOpener(USBSettings(mode=1))
        self.assertRaises(SwitchingMode, opener.open, device)
        for _ in range(3):
            opener.open(deviceOn(bus)).dispose()
        (line,) = self.said()
        self.assertIn("it was told so, and did not become it", line)
        opener.forget(SERIAL)
        self.assertRaises(SwitchingMode, opener.open, deviceOn(bus))
        opener.open(deviceOn(bus)).dispose()
        self.assertEqual(2, len(self.said()))
        self.assertEqual([1, 1], phone.modes)

    def test_noModes(self) -> None:
        """
        One that knows of no modes is used as it is, and that is said once.
        """
        bus, phone, device = plugged(iPhone(mode=3))

        def stall(attachment: object, request: object) -> bytes:
            raise Stalled

        self.patch(phone, "control", stall)
        opener = PhoneOpener(USBSettings(mode=1))
        opener.open(device).dispose()
        opener.open(deviceOn(bus)).dispose()
        self.assertEqual([], phone.modes)
        (line,) = self.said()
        self.assertIn("it does not answer the mode query", line)

    def coprocessor(self) -> tuple[RecordingGadget, Any]:
        """
        A part of the machine whose active configuration has drivers and no muxer.
        """
        camera = (replace(ptp(0, Speed.HIGH)[0], driver="uvcvideo"),)
        descriptor = iPhone(
            configurations=(
                configuration(1, camera),
                configuration(2, ptp(0, Speed.HIGH), mux(1, Speed.HIGH)),
            ),
            productID=0x8600,
        )
        _, phone, device = plugged(descriptor)
        return phone, device

    def test_coprocessor(self) -> None:
        """
        Drivers of a part of the machine keep it, and what is left alone is said.
        """
        phone, device = self.coprocessor()
        opener = PhoneOpener(USBSettings())
        text = str(self.assertRaises(DriversInTheWay, opener.open, device))
        self.assertIn("its configuration 1 has no muxer", text)
        self.assertIn("would take interfaces 0 (class 6) from the kernel's drivers", text)
        self.assertIn("products=8600", text)
        self.assertEqual([], phone.configurations)
        self.assertTrue(device.is_kernel_driver_active(0))

    def test_coprocessorMode(self) -> None:
        """
        Nor is it told a mode that was asked for, of phones.
        """
        phone, device = self.coprocessor()
        device.detach_kernel_driver(0)
        PhoneOpener(USBSettings(mode=3)).open(device)
        self.assertEqual([], phone.modes)
        (line,) = self.said()
        self.assertIn("it is a part of this machine", line)

    def test_coprocessorAskedFor(self) -> None:
        """
        A source that names it has it.
        """
        phone, device = self.coprocessor()
        settings = USBSettings(products=(range(0x8600, 0x8601),))
        PhoneOpener(settings).open(device)
        self.assertEqual([2], phone.configurations)

    def test_coprocessorWithoutDrivers(self) -> None:
        """
        One that nobody uses is configured as any other.
        """
        phone, device = self.coprocessor()
        device.detach_kernel_driver(0)
        PhoneOpener(USBSettings()).open(device)
        self.assertEqual([2], phone.configurations)
