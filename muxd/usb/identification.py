# -*- test-case-name: tests.usb.test_identification -*-
"""
The identity of a phone on the bus: from descriptors to a L{DeviceIdentity}
(protocol 1.5, 1.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usb.control import get_descriptor
from usb.core import USBError
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
    Ask a phone for its identity.  This opens it.

    @param device: A C{usb.core.Device}.
    @raise NoSerial: It does not say.
    @raise usb.core.USBError: It cannot be asked.
    """
    serial = readSerial(device)
    ports = portNumbers(device)
    return DeviceIdentity(
        udid=udidFromSerial(serial),
        serial=serial,
        productID=device.idProduct,
        locationID=locationID(device.bus, device.address, ports),
        portPath=portPath(device.bus, ports),
        speed=SPEEDS.get(device.speed, HIGH_SPEED),
    )


def portNumbers(device: Any) -> tuple[int, ...]:
    """
    The ports on the way to a device, from the root hub's on; none if libusb does not say.
    """
    try:
        ports = device.port_numbers
    except (AttributeError, NotImplementedError, USBError):
        return ()
    return tuple(ports or ())


def portPath(bus: int, ports: Sequence[int]) -> str:
    """
    Where a device is plugged in, as Linux writes it: C{3-1.4.2}.

    @return: The empty string if the ports are not known.
    """
    return f"{bus}-{'.'.join(map(str, ports))}" if ports else ""


def locationID(bus: int, address: int, ports: Sequence[int]) -> int:
    """
    Where a device is, in 32 bits (protocol 1.6).

    Apple has the bus in the upper eight bits and then four bits for each port, so the
    number is the same after each plug.  Where the ports are not known, or do not fit, it is
    made of bus and address, as other daemons on Linux make it.
    """
    if ports and len(ports) <= 6 and all(0 < port < 16 for port in ports) and bus < 256:
        path = 0
        for port in ports:
            path = path << 4 | port
        return bus << 24 | path << 4 * (6 - len(ports))
    return (bus & 0xFFFF) << 16 | address & 0xFFFF


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
