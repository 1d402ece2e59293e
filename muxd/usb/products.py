# -*- test-case-name: tests.usb.test_products -*-
"""
Which USB devices are phones (protocol 1.1).
"""

from __future__ import annotations

APPLE = 0x05AC

PRODUCTS = (
    range(0x1290, 0x12B0),  # iPhone, iPod touch, iPad, Watch by cable, Apple TV
    range(0x8600, 0x8601),  # T1 and T2 coprocessors
    range(0x1901, 0x1906),  # Apple Silicon Macs in restore mode
)
"""
Recovery (0x1280 to 0x1283) and DFU (0x1222, 0x1227) have no muxer and are left
alone.  udev/39-muxd.rules names the same products.
"""


def isPhone(vendor: int, product: int) -> bool:
    """
    Whether a device with these ids speaks to a muxer.
    """
    return vendor == APPLE and any(product in each for each in PRODUCTS)
