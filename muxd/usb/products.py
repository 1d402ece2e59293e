# -*- test-case-name: tests.usb.test_products -*-
"""
Which USB devices are phones (protocol 1.1).

A device of Apple's is a phone if it has the interface of a muxer, whatever its product
id: there is a new one with each new kind of device.  The ids that are known need not be
looked into, and devices in recovery or DFU mode, which have no muxer, are never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

APPLE = 0x05AC

MUX_TRIPLE = (255, 254, 2)
"""Class, subclass and protocol of the mux interface: all three."""

KNOWN = (
    range(0x1290, 0x12B0),  # iPhone, iPod touch, iPad, Watch by cable, Apple TV
    range(0x8600, 0x8601),  # T1 and T2 coprocessors
    range(0x1901, 0x1906),  # Apple Silicon Macs in restore mode
)
"""Products that are phones, or fail like phones, without a look at their interfaces."""

BUILT_IN = (range(0x8600, 0x8601),)
"""
Parts of a Mac itself, T1 and T2: their camera, keyboard and sensors are other drivers'.
"""

RECOVERY = (range(0x1222, 0x1223), range(0x1227, 0x1228), range(0x1280, 0x1284))
"""DFU and recovery mode."""

LIKELY = (range(0x12B0, 0x1300),)
"""Where new phones get their ids: one of these without a muxer is worth a line."""

_INTERFACE = 4
_LARGEST_DESCRIPTORS = 65536


class Verdict(Enum):
    """
    What a USB device is to this program; the value says why it is left alone, if it is.
    """

    PHONE = ""
    OTHER = " "
    RECOVERY = "it is in recovery or DFU mode, where there is nothing to connect to"
    NO_MUXER = "none of its configurations has the interface of a muxer, 255/254/2"
    NOT_CHOSEN = "the source's products= does not name it"


Products = tuple[range, ...]


def judge(
    vendor: int, product: int, hasMuxer: Callable[[], bool], chosen: Products = ()
) -> Verdict:
    """
    What a device is.

    @param hasMuxer: Looks whether it has a mux interface, which takes a while.
    @param chosen: The only products to use, if there are any in it.
    """
    if vendor != APPLE:
        return Verdict.OTHER
    if _isIn(product, RECOVERY):
        return Verdict.RECOVERY
    if chosen:
        if _isIn(product, chosen):
            return Verdict.PHONE
        return Verdict.NOT_CHOSEN if _isIn(product, KNOWN) or hasMuxer() else Verdict.OTHER
    if _isIn(product, KNOWN) or hasMuxer():
        return Verdict.PHONE
    return Verdict.NO_MUXER if _isIn(product, LIKELY) else Verdict.OTHER


def muxerInDescriptors(data: bytes) -> bool:
    """
    Whether there is a mux interface in a device's descriptors, all configurations one after
    the other, as Linux shows them in C{/sys/bus/usb/devices/*/descriptors}.
    """
    data = data[:_LARGEST_DESCRIPTORS]
    at = 0
    while at + 2 <= len(data):
        length, kind = data[at], data[at + 1]
        if length < 2:
            return False
        if kind == _INTERFACE and tuple(data[at + 5 : at + 8]) == MUX_TRIPLE:
            return True
        at += length
    return False


def isBuiltIn(product: int) -> bool:
    """
    Whether a device is a part of the machine, and not plugged in for our sake.
    """
    return _isIn(product, BUILT_IN)


def _isIn(product: int, products: Products) -> bool:
    return any(product in each for each in products)
