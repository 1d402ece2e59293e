# -*- test-case-name: tests.phone.bus.test_descriptors -*-
"""
What an iPhone says of itself on USB (protocol 1.1 to 1.5).

The fields carry the names of the USB specification, which pyusb reads them by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct

DEVICE = Struct("<BBHBBBBHHHBBBB")
CONFIGURATION = Struct("<BBHBBBBB")
INTERFACE = Struct("<BBBBBBBBB")
ENDPOINT = Struct("<BBBBHB")
BOS = Struct("<BBHB")

APPLE = 0x05AC
IPHONE = 0x12A8
SERIAL = "00008110000A1B2C3D4E5F60"
OLD_SERIAL = "0123456789abcdef0123456789abcdef01234567"

BULK = 2
INTERRUPT = 3

MUX_OUT = 0x04
MUX_IN = 0x85
MUX_TRIPLE = (0xFF, 0xFE, 2)

ENGLISH = 0x0409
SERIAL_INDEX = 3


class Speed(IntEnum):
    """
    Speeds, numbered as libusb does.
    """

    FULL = 2
    HIGH = 3
    SUPER = 4
    SUPER_PLUS = 5

    @property
    def bulkPacketSize(self) -> int:
        """
        The wMaxPacketSize of a bulk endpoint.
        """
        return {Speed.FULL: 64, Speed.HIGH: 512}.get(self, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDescriptor:
    """
    One endpoint.
    """

    bEndpointAddress: int
    wMaxPacketSize: int
    bmAttributes: int = BULK
    bInterval: int = 0
    bLength: int = ENDPOINT.size
    bDescriptorType: int = 5
    bRefresh: int = 0
    bSynchAddress: int = 0
    extra_descriptors: bytes = b""

    def encode(self) -> bytes:
        """
        As on the wire, with what belongs to it.
        """
        head = ENDPOINT.pack(
            self.bLength,
            self.bDescriptorType,
            self.bEndpointAddress,
            self.bmAttributes,
            self.wMaxPacketSize,
            self.bInterval,
        )
        return head + self.extra_descriptors


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceDescriptor:
    """
    One alternate setting of an interface.

    @ivar triple: Class, subclass and protocol.
    @ivar driver: The kernel driver that binds to it at once on a Linux host,
        if any: it must be detached before a program can claim the interface.
    """

    bInterfaceNumber: int
    triple: tuple[int, int, int]
    endpoints: tuple[EndpointDescriptor, ...] = ()
    bAlternateSetting: int = 0
    iInterface: int = 0
    extra_descriptors: bytes = b""
    driver: str = ""
    bLength: int = INTERFACE.size
    bDescriptorType: int = 4

    @property
    def bNumEndpoints(self) -> int:
        """
        How many endpoints it has.
        """
        return len(self.endpoints)

    @property
    def bInterfaceClass(self) -> int:
        """
        The first of the triple.
        """
        return self.triple[0]

    @property
    def bInterfaceSubClass(self) -> int:
        """
        The second of the triple.
        """
        return self.triple[1]

    @property
    def bInterfaceProtocol(self) -> int:
        """
        The third of the triple.
        """
        return self.triple[2]

    def encode(self) -> bytes:
        """
        As on the wire, endpoints included.
        """
        head = INTERFACE.pack(
            self.bLength,
            self.bDescriptorType,
            self.bInterfaceNumber,
            self.bAlternateSetting,
            self.bNumEndpoints,
            *self.triple,
            self.iInterface,
        )
        return head + self.extra_descriptors + b"".join(e.encode() for e in self.endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDescriptor:
    """
    One configuration.

    @ivar interfaces: For each interface its alternate settings.
    """

    bConfigurationValue: int
    interfaces: tuple[tuple[InterfaceDescriptor, ...], ...]
    iConfiguration: int = 0
    bmAttributes: int = 0xC0
    bMaxPower: int = 250
    bLength: int = CONFIGURATION.size
    bDescriptorType: int = 2
    extra_descriptors: bytes = b""

    @property
    def bNumInterfaces(self) -> int:
        """
        How many interfaces it has.
        """
        return len(self.interfaces)

    @property
    def wTotalLength(self) -> int:
        """
        The size of the whole descriptor.
        """
        return len(self.encode())

    def encode(self) -> bytes:
        """
        As on the wire, interfaces and endpoints included.
        """
        body = b"".join(s.encode() for settings in self.interfaces for s in settings)
        head = CONFIGURATION.pack(
            self.bLength,
            self.bDescriptorType,
            CONFIGURATION.size + len(body),
            self.bNumInterfaces,
            self.bConfigurationValue,
            self.iConfiguration,
            self.bmAttributes,
            self.bMaxPower,
        )
        return head + body


def muxEndpoints(configuration: ConfigurationDescriptor | None) -> tuple[int, int]:
    """
    The OUT and IN endpoint of a configuration's mux interface; those of other
    iPhones if it has none.
    """
    for settings in configuration.interfaces if configuration else ():
        if settings[0].triple == MUX_TRIPLE:
            addresses = sorted(e.bEndpointAddress for e in settings[0].endpoints)
            return addresses[0], addresses[-1]
    return MUX_OUT, MUX_IN


STRINGS = {
    1: "Apple Inc.",
    2: "iPhone",
    SERIAL_INDEX: SERIAL,
    5: "PTP",
    6: "Apple USB Multiplexor",
    7: "Apple USB Ethernet",
    8: "Apple Mobile Device HID",
    9: "PTP",
    10: "iPod USB Interface",
    11: "PTP + Apple Mobile Device",
    12: "PTP + Apple Mobile Device + Apple USB Ethernet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescriptor:
    """
    A whole device.

    @ivar strings: The string descriptors by index.
    @ivar initialConfiguration: What the host's kernel has set by the time
        programs see the device; 0 is unconfigured, as with the udev rules of
        the C daemon (protocol 1.4).
    """

    configurations: tuple[ConfigurationDescriptor, ...]
    strings: Mapping[int, str] = field(default_factory=lambda: dict(STRINGS))
    deviceSpeed: Speed = Speed.HIGH
    initialConfiguration: int = 1
    idVendor: int = APPLE
    idProduct: int = IPHONE
    bcdUSB: int = 0x0200
    bcdDevice: int = 0x1505
    bDeviceClass: int = 0
    bDeviceSubClass: int = 0
    bDeviceProtocol: int = 0
    bMaxPacketSize0: int = 64
    iManufacturer: int = 1
    iProduct: int = 2
    iSerialNumber: int = SERIAL_INDEX
    bLength: int = DEVICE.size
    bDescriptorType: int = 1

    @property
    def bNumConfigurations(self) -> int:
        """
        How many configurations it has.
        """
        return len(self.configurations)

    def encode(self) -> bytes:
        """
        As on the wire: the device descriptor alone.
        """
        return DEVICE.pack(
            self.bLength,
            self.bDescriptorType,
            self.bcdUSB,
            self.bDeviceClass,
            self.bDeviceSubClass,
            self.bDeviceProtocol,
            self.bMaxPacketSize0,
            self.idVendor,
            self.idProduct,
            self.bcdDevice,
            self.iManufacturer,
            self.iProduct,
            self.iSerialNumber,
            self.bNumConfigurations,
        )

    def configuration(self, value: int) -> ConfigurationDescriptor | None:
        """
        The configuration with this bConfigurationValue.
        """
        for configuration in self.configurations:
            if configuration.bConfigurationValue == value:
                return configuration
        return None

    def qualifier(self) -> bytes | None:
        """
        What it would be like at the other one of full and high speed: the same.
        None if it is made for a faster bus, which has no such question.
        """
        if self.deviceSpeed > Speed.HIGH:
            return None
        head = self.encode()[2:8]
        return bytes((10, 6)) + head + bytes((self.bNumConfigurations, 0))

    def capabilities(self) -> bytes | None:
        """
        The BOS descriptor, which only devices of faster buses have: it can do without
        power saving, and all speeds.
        """
        if self.deviceSpeed <= Speed.HIGH:
            return None
        each = (bytes.fromhex("07 10 02 00000000"), bytes.fromhex("0a 10 03 00 0e00 01 00 0000"))
        body = b"".join(each)
        return BOS.pack(BOS.size, 15, BOS.size + len(body), len(each)) + body

    def stringDescriptor(self, index: int) -> bytes | None:
        """
        A string descriptor as on the wire; 0 is the list of languages.
        """
        if index == 0:
            return bytes((4, 3)) + ENGLISH.to_bytes(2, "little")
        text = self.strings.get(index)
        if text is None:
            return None
        # bLength is a byte, and a string is made of whole code units.
        units = text.encode("utf-16-le")[:252]
        return bytes((2 + len(units), 3)) + units
