# -*- test-case-name: tests.usbip.test_descriptors -*-
"""
Descriptors as a device sends them, bytes to values.

The fields carry the names of the USB specification, by which pyusb reads them.  What a
device says of itself is not to be trusted: whatever it is, it is values or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from struct import Struct

DEVICE = Struct("<BBHBBBBHHHBBBB")
CONFIGURATION = Struct("<BBHBBBBB")
INTERFACE = Struct("<BBBBBBBBB")
ENDPOINT = Struct("<BBBBHB")

LONGEST = 4096
"""Bytes of a configuration; those of phones have some hundred."""

MOST_CONFIGURATIONS = 32


class DescriptorKind:
    """
    What a descriptor is of.
    """

    DEVICE = 1
    CONFIGURATION = 2
    INTERFACE = 4
    ENDPOINT = 5


class InvalidDescriptor(Exception):
    """
    A device's own words make no sense; the text is one line.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDescriptor:
    """
    One endpoint.
    """

    bEndpointAddress: int
    bmAttributes: int
    wMaxPacketSize: int
    bInterval: int
    bLength: int = ENDPOINT.size
    bDescriptorType: int = DescriptorKind.ENDPOINT
    bRefresh: int = 0
    bSynchAddress: int = 0
    extra_descriptors: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceDescriptor:
    """
    One alternate setting of an interface.
    """

    bInterfaceNumber: int
    bAlternateSetting: int
    bInterfaceClass: int
    bInterfaceSubClass: int
    bInterfaceProtocol: int
    iInterface: int
    endpoints: tuple[EndpointDescriptor, ...] = ()
    bLength: int = INTERFACE.size
    bDescriptorType: int = DescriptorKind.INTERFACE
    extra_descriptors: bytes = b""

    @property
    def bNumEndpoints(self) -> int:
        """
        How many endpoints it has.
        """
        return len(self.endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDescriptor:
    """
    One configuration.

    @ivar interfaces: For each interface, in the order of their numbers, its alternate
        settings.
    """

    wTotalLength: int
    bConfigurationValue: int
    iConfiguration: int
    bmAttributes: int
    bMaxPower: int
    interfaces: tuple[tuple[InterfaceDescriptor, ...], ...] = ()
    bLength: int = CONFIGURATION.size
    bDescriptorType: int = DescriptorKind.CONFIGURATION
    extra_descriptors: bytes = b""

    @property
    def bNumInterfaces(self) -> int:
        """
        How many interfaces it has.
        """
        return len(self.interfaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDescriptor:
    """
    A device, and all of its configurations.
    """

    bcdUSB: int
    bDeviceClass: int
    bDeviceSubClass: int
    bDeviceProtocol: int
    bMaxPacketSize0: int
    idVendor: int
    idProduct: int
    bcdDevice: int
    iManufacturer: int
    iProduct: int
    iSerialNumber: int
    bNumConfigurations: int
    configurations: tuple[ConfigurationDescriptor, ...] = field(default=(), repr=False)
    bLength: int = DEVICE.size
    bDescriptorType: int = DescriptorKind.DEVICE


def parseDevice(data: bytes) -> DeviceDescriptor:
    """
    A device descriptor, still without its configurations.

    @raise InvalidDescriptor: It is none.
    """
    if len(data) < DEVICE.size or data[1] != DescriptorKind.DEVICE:
        raise InvalidDescriptor(f"a device descriptor of {len(data)} bytes")
    _, _, usb, kind, sub, protocol, packet, vendor, product, release, *rest = DEVICE.unpack(
        data[: DEVICE.size]
    )
    if rest[3] > MOST_CONFIGURATIONS:
        raise InvalidDescriptor(f"{rest[3]} configurations, at most {MOST_CONFIGURATIONS}")
    return DeviceDescriptor(
        bcdUSB=usb,
        bDeviceClass=kind,
        bDeviceSubClass=sub,
        bDeviceProtocol=protocol,
        bMaxPacketSize0=packet,
        idVendor=vendor,
        idProduct=product,
        bcdDevice=release,
        iManufacturer=rest[0],
        iProduct=rest[1],
        iSerialNumber=rest[2],
        bNumConfigurations=rest[3],
    )


def totalLength(data: bytes) -> int:
    """
    How long the whole configuration is that begins with these bytes.

    @raise InvalidDescriptor: It is none.
    """
    if len(data) < CONFIGURATION.size or data[1] != DescriptorKind.CONFIGURATION:
        raise InvalidDescriptor(f"a configuration descriptor of {len(data)} bytes")
    total: int = CONFIGURATION.unpack_from(data)[2]
    if not CONFIGURATION.size <= total <= LONGEST:
        raise InvalidDescriptor(f"a configuration of {total} bytes, at most {LONGEST}")
    return total


def parseConfiguration(data: bytes) -> ConfigurationDescriptor:
    """
    A configuration with all that is in it.  What is neither interface nor endpoint is left
    out.

    @raise InvalidDescriptor: It is none, or cut short.
    """
    total = totalLength(data)
    if len(data) < total:
        raise InvalidDescriptor(f"a configuration cut short: {len(data)} bytes of {total}")
    _, _, _, _, value, index, attributes, power = CONFIGURATION.unpack_from(data)
    settings: list[InterfaceDescriptor] = []
    at = data[0]
    while at < total:
        size, kind = data[at], data[at + 1] if at + 1 < total else 0
        if size < 2 or at + size > total:
            raise InvalidDescriptor(f"a descriptor of {size} bytes at byte {at} of {total}")
        if kind == DescriptorKind.INTERFACE and size >= INTERFACE.size:
            settings.append(_interface(data, at))
        elif kind == DescriptorKind.ENDPOINT and size >= ENDPOINT.size and settings:
            endpoints = (*settings[-1].endpoints, _endpoint(data, at))
            settings[-1] = replace(settings[-1], endpoints=endpoints)
        at += size
    numbers = sorted({setting.bInterfaceNumber for setting in settings})
    return ConfigurationDescriptor(
        wTotalLength=total,
        bConfigurationValue=value,
        iConfiguration=index,
        bmAttributes=attributes,
        bMaxPower=power,
        interfaces=tuple(
            tuple(setting for setting in settings if setting.bInterfaceNumber == number)
            for number in numbers
        ),
    )


def _interface(data: bytes, at: int) -> InterfaceDescriptor:
    _, _, number, alternate, _, kind, sub, protocol, index = INTERFACE.unpack_from(data, at)
    return InterfaceDescriptor(
        bInterfaceNumber=number,
        bAlternateSetting=alternate,
        bInterfaceClass=kind,
        bInterfaceSubClass=sub,
        bInterfaceProtocol=protocol,
        iInterface=index,
    )


def _endpoint(data: bytes, at: int) -> EndpointDescriptor:
    _, _, address, attributes, packet, interval = ENDPOINT.unpack_from(data, at)
    return EndpointDescriptor(
        bEndpointAddress=address,
        bmAttributes=attributes,
        wMaxPacketSize=packet,
        bInterval=interval,
    )
