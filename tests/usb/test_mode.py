"""
Tests for L{muxd.usb.mode}.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.control import ControlRequest, Stalled
from muxd.phone.bus.descriptors import DeviceDescriptor, Speed
from muxd.phone.bus.interfaces import IAttachment
from muxd.phone.bus.profiles import configuration, iPhone, mux, ncm, ptp, vendor
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget
from muxd.usb.mode import ModeVerdict, guessMode, judgeMode, queryMode, switchMode
from tests.usb.devices import deviceOn, plugged

CAMERA = ptp(0, Speed.HIGH)
MUX = mux(1, Speed.HIGH)


class OldPhone(RecordingGadget):
    """
    A phone that knows of no modes.
    """

    def control(self, attachment: IAttachment, request: ControlRequest) -> bytes:
        """
        Stall.
        """
        raise Stalled


class AskedPhone(RecordingGadget):
    """
    A phone that remembers what it was asked.
    """

    def __init__(self, descriptor: DeviceDescriptor) -> None:
        super().__init__(descriptor)
        self.asked: list[ControlRequest] = []

    def control(self, attachment: IAttachment, request: ControlRequest) -> bytes:
        """
        Remember it, and answer.
        """
        self.asked.append(request)
        return super().control(attachment, request)


class StubbornPhone(RecordingGadget):
    """
    A phone that does not change its mode.
    """

    def modeRequested(self, attachment: IAttachment, mode: int) -> bytes:
        """
        Say no.
        """
        return b"\1"


def deviceOf(kind: type[RecordingGadget], descriptor: DeviceDescriptor) -> Any:
    """
    Pyusb's object of a phone of some kind.
    """
    bus = SimulatedBus()
    bus.plug(kind(descriptor))
    return deviceOn(bus)


class ModeTests(SynchronousTestCase):
    """
    Tests for the modes of a phone.
    """

    def test_query(self) -> None:
        """
        The phone's four bytes.
        """
        _, _, device = plugged()
        self.assertEqual(b"\3\3\3\0", queryMode(device))

    def test_queryStalls(self) -> None:
        """
        An old phone refuses, which is no error.
        """
        with capturedLogs() as events:
            self.assertIsNone(queryMode(deviceOf(OldPhone, iPhone())))
        (event,) = events
        self.assertIn("mode query refused", formatEvent(event))

    def test_requests(self) -> None:
        """
        Both requests are Apple's: 0x45 to get the mode, 0x52 to set it, which is in the index.
        """
        bus, phone = SimulatedBus(), AskedPhone(iPhone(mode=3))
        bus.plug(phone)
        device = deviceOn(bus)
        phone.asked.clear()
        queryMode(device)
        switchMode(device, 1)
        self.assertEqual(
            phone.asked, [ControlRequest(0xC0, 0x45, 0, 0, 4), ControlRequest(0xC0, 0x52, 0, 1, 1)]
        )

    def test_guess(self) -> None:
        """
        Each mode is known by its configurations.
        """
        for mode in range(1, 6):
            _, _, device = plugged(iPhone(mode=mode))
            self.assertEqual(mode, guessMode(device), f"mode {mode}")

    def test_guessUnknown(self) -> None:
        """
        Five configurations of which the last says nothing, or more than six,
        are no mode that is known.
        """
        fewer = tuple(configuration(value, CAMERA) for value in (1, 2, 3, 4))
        screen = vendor(2, 42, 255, ())
        for last in (
            configuration(5, CAMERA, MUX),
            configuration(5, CAMERA, screen),
            configuration(5, CAMERA, ncm(1)),
            configuration(6, CAMERA, MUX, screen),
        ):
            _, _, device = plugged(iPhone(configurations=(*fewer, last)))
            self.assertEqual(0, guessMode(device))
        seven = tuple(configuration(value, CAMERA) for value in range(1, 8))
        _, _, device = plugged(iPhone(configurations=seven))
        self.assertEqual(0, guessMode(device))

    def test_guessWithoutDescriptors(self) -> None:
        """
        Descriptors that cannot be read match no mode.
        """
        bus, _, device = plugged(iPhone(mode=3))

        def fail(dev: object, index: int) -> None:
            from muxd.phone.bus.simulated import usbError

            raise usbError(5)

        self.patch(bus, "get_configuration_descriptor", fail)
        self.assertEqual(0, guessMode(device))

    def test_judged(self) -> None:
        """
        Every phone that answers the mode query is to be told, from any mode to any other,
        one that nobody knows included; one that does not answer cannot be.
        """
        for mode, wanted, expected in (
            (3, 3, ModeVerdict.RIGHT),
            (1, 1, ModeVerdict.RIGHT),
            (3, 1, ModeVerdict.SWITCH),
            (2, 3, ModeVerdict.SWITCH),
            (4, 1, ModeVerdict.SWITCH),
            (1, 3, ModeVerdict.SWITCH),
            (5, 1, ModeVerdict.SWITCH),
            (5, 3, ModeVerdict.SWITCH),
        ):
            with self.subTest(f"{mode} to {wanted}"):
                _, _, device = plugged(iPhone(mode=mode))
                self.assertIs(expected, judgeMode(device, wanted, queryMode(device)))
                device = deviceOf(OldPhone, iPhone(mode=mode))
                isRight = expected is ModeVerdict.RIGHT
                unaware = ModeVerdict.RIGHT if isRight else ModeVerdict.UNAWARE
                self.assertIs(unaware, judgeMode(device, wanted, queryMode(device)))
        unknown = tuple(configuration(value, CAMERA) for value in range(1, 8))
        _, _, device = plugged(iPhone(configurations=unknown))
        self.assertIs(ModeVerdict.SWITCH, judgeMode(device, 1, queryMode(device)))

    def test_oneConfigurationWithMuxer(self) -> None:
        """
        One configuration is that of direct tethering only if there is no muxer in it.
        """
        _, _, device = plugged(iPhone(configurations=(configuration(1, CAMERA, MUX),)))
        self.assertEqual(1, guessMode(device))

    def test_switch(self) -> None:
        """
        The phone is told, and agrees.
        """
        _, phone, device = plugged(iPhone(mode=3))
        self.assertTrue(switchMode(device, 1))
        self.assertEqual([1], phone.modes)

    def test_switchRefused(self) -> None:
        """
        A stall and any answer but 0 mean that it stays as it is.
        """
        with capturedLogs() as events:
            self.assertFalse(switchMode(deviceOf(OldPhone, iPhone(mode=3)), 1))
        (event,) = events
        self.assertIn("mode 1 refused", formatEvent(event))
        self.assertFalse(switchMode(deviceOf(StubbornPhone, iPhone(mode=3)), 1))
