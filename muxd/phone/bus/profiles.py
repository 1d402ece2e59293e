# -*- test-case-name: tests.phone.bus.test_descriptors -*-
"""
The sets of configurations that iPhones show, by mode (protocol 1.3), and the
pieces to make others of.
"""

from __future__ import annotations

from collections.abc import Sequence

from muxd.phone.bus.descriptors import (
    INTERRUPT,
    IPHONE,
    MUX_IN,
    MUX_OUT,
    SERIAL,
    SERIAL_INDEX,
    STRINGS,
    ConfigurationDescriptor,
    DeviceDescriptor,
    EndpointDescriptor,
    InterfaceDescriptor,
    Speed,
)

RECOVERY = 0x1281
"""The product id of every iPhone in recovery mode."""

Settings = tuple[InterfaceDescriptor, ...]
"""The alternate settings of one interface."""


def companion(speed: Speed, bytesPerInterval: int = 0) -> bytes:
    """
    What a descriptor of an endpoint is followed by on a SuperSpeed bus.
    """
    if speed < Speed.SUPER:
        return b""
    return bytes((6, 0x30, 0, 0)) + bytesPerInterval.to_bytes(2, "little")


def bulk(speed: Speed, *addresses: int) -> tuple[EndpointDescriptor, ...]:
    """
    Bulk endpoints of the size that goes with a speed.
    """
    return tuple(
        EndpointDescriptor(
            bEndpointAddress=address,
            wMaxPacketSize=speed.bulkPacketSize,
            extra_descriptors=companion(speed),
        )
        for address in addresses
    )


def interrupt(address: int, speed: Speed = Speed.HIGH) -> EndpointDescriptor:
    """
    An interrupt endpoint.
    """
    return EndpointDescriptor(
        bEndpointAddress=address,
        wMaxPacketSize=64,
        bmAttributes=INTERRUPT,
        bInterval=10,
        extra_descriptors=companion(speed, 64),
    )


def ptp(number: int, speed: Speed) -> Settings:
    """
    The camera.
    """
    endpoints = (*bulk(speed, 0x02, 0x81), interrupt(0x83, speed))
    return (
        InterfaceDescriptor(
            bInterfaceNumber=number, triple=(6, 1, 1), endpoints=endpoints, iInterface=5
        ),
    )


def hid(number: int, speed: Speed = Speed.HIGH) -> Settings:
    """
    The buttons of an accessory.
    """
    return (
        InterfaceDescriptor(
            bInterfaceNumber=number,
            triple=(3, 0, 0),
            endpoints=(interrupt(0x83, speed),),
            iInterface=8,
            extra_descriptors=bytes((9, 0x21, 0x11, 1, 0, 1, 0x22, 7, 0)),
            driver="usbhid",
        ),
    )


def audio(number: int) -> Settings:
    """
    The control interface of a sound card.
    """
    return (InterfaceDescriptor(bInterfaceNumber=number, triple=(1, 1, 0), driver="snd-usb-audio"),)


def mux(number: int, speed: Speed, addresses: Sequence[int] = (MUX_OUT, MUX_IN)) -> Settings:
    """
    The multiplexor.

    @param addresses: The endpoints in the order of their descriptors, of which
        a host may assume nothing (protocol 1.1).
    """
    return vendor(number, 0xFE, 2, bulk(speed, *addresses), string=6)


def vendor(
    number: int,
    subclass: int,
    protocol: int,
    endpoints: tuple[EndpointDescriptor, ...],
    string: int = 0,
) -> Settings:
    """
    A vendor specific interface: what a multiplexor can be mistaken for.
    """
    return (
        InterfaceDescriptor(
            bInterfaceNumber=number,
            triple=(0xFF, subclass, protocol),
            endpoints=endpoints,
            iInterface=string,
        ),
    )


def ethernet(number: int, speed: Speed) -> Settings:
    """
    Tethering: nothing at first, two endpoints in alternate setting 1.
    """
    return tuple(
        InterfaceDescriptor(
            bInterfaceNumber=number,
            triple=(0xFF, 0xFD, 1),
            endpoints=endpoints,
            bAlternateSetting=alternate,
            iInterface=7,
            driver="ipheth",
        )
        for alternate, endpoints in enumerate(((), bulk(speed, 0x86, 0x05)))
    )


def ncm(number: int, speed: Speed = Speed.HIGH) -> Settings:
    """
    The control interface of a CDC network.
    """
    return (
        InterfaceDescriptor(
            bInterfaceNumber=number, triple=(2, 0x0D, 0), endpoints=(interrupt(0x87, speed),)
        ),
    )


def configuration(value: int, *interfaces: Settings, string: int = 0) -> ConfigurationDescriptor:
    """
    A configuration of these interfaces.
    """
    return ConfigurationDescriptor(
        bConfigurationValue=value, interfaces=interfaces, iConfiguration=string
    )


def configurationsOfMode(
    mode: int, speed: Speed, addresses: Sequence[int] = (MUX_OUT, MUX_IN)
) -> tuple[ConfigurationDescriptor, ...]:
    """
    What a phone shows in one of its modes 1 to 5 (protocol 1.3).

    @param addresses: The multiplexor's endpoints in the order of their
        descriptors.
    """
    camera, muxer = ptp(0, speed), mux(1, speed, addresses)
    if mode == 5:
        return (configuration(1, ncm(0, speed)),)
    classic = (
        configuration(1, camera, string=9),
        configuration(2, audio(0), hid(1, speed), string=10),
        configuration(3, camera, muxer, string=11),
        configuration(4, camera, muxer, ethernet(2, speed), string=12),
    )
    screen = vendor(2, 42, 255, bulk(speed, 0x86, 0x05))
    extra = {
        1: (),
        2: (configuration(5, camera, muxer, screen),),
        3: (configuration(5, camera, muxer, ncm(2, speed)),),
        4: (
            configuration(5, camera, muxer, ncm(2, speed)),
            configuration(6, camera, muxer, ethernet(2, speed), ncm(3, speed)),
        ),
    }
    return classic + extra[mode]


def iPhone(
    serial: str = SERIAL,
    *,
    mode: int = 1,
    speed: Speed = Speed.HIGH,
    configurations: tuple[ConfigurationDescriptor, ...] | None = None,
    addresses: Sequence[int] = (MUX_OUT, MUX_IN),
    initialConfiguration: int = 1,
    productID: int = IPHONE,
) -> DeviceDescriptor:
    """
    The descriptors of an iPhone.

    @param serial: 24 characters, or 40 as old phones have (protocol 1.5).
    @param configurations: Other ones than its mode has.
    """
    return DeviceDescriptor(
        configurations=configurations or configurationsOfMode(mode, speed, addresses),
        strings={**STRINGS, SERIAL_INDEX: serial},
        deviceSpeed=speed,
        initialConfiguration=initialConfiguration,
        idProduct=productID,
        bcdUSB=0x0320 if speed >= Speed.SUPER else 0x0200,
        bMaxPacketSize0=9 if speed >= Speed.SUPER else 64,
    )


def recoveryDevice(serial: str, *, speed: Speed = Speed.HIGH) -> DeviceDescriptor:
    """
    The descriptors of an iPhone in recovery mode: its boot loader, which has no muxer.

    @param serial: Of the phone; the boot loader says more than that of itself, in one string.
    """
    chip, unit = (serial[4:8], serial[8:]) if len(serial) == 24 else ("0000", "0" * 16)
    text = f"CPID:{chip} CPRV:11 CPFM:03 SCEP:01 BDID:0A ECID:{unit} IBFL:3D SRNM:[{serial[-12:]}]"
    return DeviceDescriptor(
        configurations=(configuration(1, vendor(0, 0xFF, 0x51, bulk(speed, 0x04, 0x81))),),
        strings={**STRINGS, 2: "Apple Mobile Device (Recovery Mode)", SERIAL_INDEX: text},
        deviceSpeed=speed,
        initialConfiguration=1,
        idProduct=RECOVERY,
    )
