# -*- test-case-name: tests.usb.test_identification -*-
"""
Who a phone on the bus is: from descriptors to a L{DeviceIdentity}
(protocol 1.5, 1.6).
"""

from __future__ import annotations

from typing import Any

from usb.control import get_descriptor
from usb.util import DESC_TYPE_STRING

from muxd.identity import DeviceIdentity, udidFromSerial

HIGH_SPEED = 480_000_000

SPEEDS = {
    1: 1_500_000,
    2: 12_000_000,
    3: HIGH_SPEED,
    4: 5_000_000_000,
    5: 10_000_000_000,
    6: 20_000_000_000,
}
"""libusb's numbers of bus speeds, in bit/s."""

LONGEST_SERIAL = 255

# A string descriptor's length is one byte, and characters have two.
_LONGEST_STRING = 254


class NoSerial(ValueError):
    """
    A phone without a serial number, which clients could not be told about.
    """


def identify(device: Any) -> DeviceIdentity:
    """
    Ask a phone who it is.  This opens it.

    @param device: A C{usb.core.Device}.
    @raise NoSerial: It does not say.
    @raise usb.core.USBError: It cannot be asked.
    """
    serial = readSerial(device)
    return DeviceIdentity(
        udid=udidFromSerial(serial),
        serial=serial,
        productID=device.idProduct,
        locationID=(device.bus & 0xFFFF) << 16 | device.address & 0xFFFF,
        speed=SPEEDS.get(device.speed, HIGH_SPEED),
    )


def readSerial(device: Any) -> str:
    """
    The serial number in the phone's first language.
    """
    if not device.iSerialNumber:
        raise NoSerial("it has no serial number")
    languages = _stringDescriptor(device, 0, 0)
    language = int.from_bytes(languages[:2], "little")
    serial = asciiFromUTF16(_stringDescriptor(device, device.iSerialNumber, language))
    if not serial:
        raise NoSerial("its serial number is empty")
    return serial


def asciiFromUTF16(data: bytes) -> str:
    """
    The characters of a string descriptor: up to a NUL, and each code unit that
    is not printable ASCII as a question mark.
    """
    units = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data) - 1, 2)]
    if 0 in units:
        del units[units.index(0) :]
    text = "".join(chr(unit) if 0x20 <= unit < 0x7F else "?" for unit in units)
    return text[:LONGEST_SERIAL]


def _stringDescriptor(device: Any, index: int, language: int) -> bytes:
    """
    A string descriptor without its two bytes of header.

    pyusb's C{get_string} decodes strictly, and an odd serial number is no
    reason to go without the phone.
    """
    data = get_descriptor(device, _LONGEST_STRING, DESC_TYPE_STRING, index, language).tobytes()
    return bytes(data[2 : data[0]]) if data else b""
