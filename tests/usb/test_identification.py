"""
Tests for L{muxd.usb.identification}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError

from muxd.phone.bus.descriptors import OLD_SERIAL, SERIAL, SERIAL_INDEX, Speed
from muxd.phone.bus.profiles import iPhone
from muxd.usb.identification import (
    LONGEST_SERIAL,
    NoSerial,
    asciiFromUTF16,
    identify,
    locationID,
    portNumbers,
    portPath,
)
from tests.usb.devices import plugged


class IdentifyTests(SynchronousTestCase):
    """
    Tests for L{identify}.
    """

    def test_identity(self) -> None:
        """
        Serial number, UDID, product, location and speed of a phone.
        """
        _, _, device = plugged()
        identity = identify(device)
        self.assertEqual(SERIAL, identity.serial)
        self.assertEqual(f"{SERIAL[:8]}-{SERIAL[8:]}", identity.udid)
        self.assertEqual(0x12A8, identity.productID)
        self.assertEqual(device.bus << 24 | 1 << 20, identity.locationID)
        self.assertEqual("1-1", identity.portPath)
        self.assertEqual(480_000_000, identity.speed)
        self.assertEqual("USB", identity.connectionType)

    def test_oldSerial(self) -> None:
        """
        Forty characters are a UDID as they are (edge 14).
        """
        _, _, device = plugged(iPhone(OLD_SERIAL))
        self.assertEqual(OLD_SERIAL, identify(device).udid)

    def test_speeds(self) -> None:
        """
        Libusb's speeds in bit/s, and high speed for one that is unknown.
        """
        for speed, expected in (
            (Speed.FULL, 12_000_000),
            (Speed.SUPER, 5_000_000_000),
            (Speed.SUPER_PLUS, 10_000_000_000),
        ):
            _, _, device = plugged(iPhone(speed=speed))
            self.assertEqual(expected, identify(device).speed)
        _, _, device = plugged()
        for unknown in (0, None, 99):
            device.speed = unknown
            self.assertEqual(480_000_000, identify(device).speed)

    def test_locationFitsIn32Bits(self) -> None:
        """
        Apple's library crashes at more (edge 15).
        """
        _, _, device = plugged()
        device.bus, device.address = 0x12345, 0x10007
        self.assertEqual(0x23450007, identify(device).locationID)

    def test_place(self) -> None:
        """
        The place is the bus and the ports of all hubs on the way, as Linux and as Apple
        write it; where libusb does not know the ports, or they do not fit into Apple's
        number, that is made of bus and address.
        """
        for ports, path, location in (
            ((1, 4, 2), "3-1.4.2", 0x03142000),
            ((1, 2, 3, 4, 5, 6), "3-1.2.3.4.5.6", 0x03123456),
            ((16,), "3-16", 0x00030007),
            ((1,) * 7, "3-1.1.1.1.1.1.1", 0x00030007),
            ((), "", 0x00030007),
        ):
            self.assertEqual(portPath(3, ports), path)
            self.assertEqual(locationID(3, 7, ports), location)
        self.assertEqual(locationID(255, 7, (1,)), 0xFF100000)
        self.assertEqual(locationID(256, 7, (1,)), 0x01000007)

    def test_unknownPorts(self) -> None:
        """
        A library that cannot tell the ports is no reason to go without the phone.
        """
        for error in (NotImplementedError, USBError("x")):

            class Device:
                @property
                def port_numbers(self) -> tuple[int, ...]:
                    raise error  # noqa: B023

            self.assertEqual(portNumbers(Device()), ())
        self.assertEqual(portNumbers(object()), ())

    def test_noSerial(self) -> None:
        """
        A phone without a serial number is refused: clients could not name it
        (edge 52).
        """
        _, _, device = plugged(replace(iPhone(), iSerialNumber=0))
        self.assertIn("no serial number", str(self.assertRaises(NoSerial, identify, device)))
        descriptor = iPhone()
        strings = {**descriptor.strings, SERIAL_INDEX: ""}
        _, _, device = plugged(replace(descriptor, strings=strings))
        self.assertIn("empty", str(self.assertRaises(NoSerial, identify, device)))


class AsciiFromUTF16Tests(SynchronousTestCase):
    """
    Tests for L{asciiFromUTF16}.
    """

    def test_ascii(self) -> None:
        """
        ASCII is itself.
        """
        self.assertEqual("0aZ", asciiFromUTF16("0aZ".encode("utf-16-le")))

    def test_nonASCII(self) -> None:
        """
        Each code unit that is not ASCII is a question mark, halves of a
        surrogate pair as well, and lone ones do no harm.
        """
        self.assertEqual("?x??", asciiFromUTF16("\u00e9x\U0001f600".encode("utf-16-le")))
        self.assertEqual("?", asciiFromUTF16(b"\x00\xd8"))

    def test_control(self) -> None:
        """
        So are characters that mean something to a terminal, to a log or to XML.
        """
        self.assertEqual("?[2J??/x", asciiFromUTF16("\x1b[2J\n\x7f/x".encode("utf-16-le")))
        self.assertEqual("? ~?", asciiFromUTF16("\x1f \x7e\x7f".encode("utf-16-le")))

    def test_stopsAtNUL(self) -> None:
        """
        What is behind a NUL is not part of it.
        """
        self.assertEqual("ab", asciiFromUTF16("ab\0cd".encode("utf-16-le")))

    def test_oddLength(self) -> None:
        """
        Half a code unit is ignored.
        """
        self.assertEqual("a", asciiFromUTF16(b"a\0b"))
        self.assertEqual("", asciiFromUTF16(b""))

    def test_bounded(self) -> None:
        """
        There is a longest serial number.
        """
        self.assertEqual(LONGEST_SERIAL, len(asciiFromUTF16(b"a\0" * 300)))
