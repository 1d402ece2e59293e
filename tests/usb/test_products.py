"""
Tests for L{muxd.usb.products}.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.products import APPLE, isPhone

RULES = Path(__file__).parents[2] / "udev" / "39-muxd.rules"


class ProductsTests(SynchronousTestCase):
    """
    Tests for L{isPhone}.
    """

    def test_phones(self) -> None:
        """
        The products of protocol 1.1, the ends of their ranges included.
        """
        for product in (0x1290, 0x12A8, 0x12AF, 0x8600, 0x1901, 0x1905):
            self.assertTrue(isPhone(APPLE, product), f"{product:#x}")

    def test_others(self) -> None:
        """
        Recovery and DFU modes are not touched (edge 16), nor are neighbours of
        the ranges and other vendors.
        """
        for product in (0x1222, 0x1227, 0x1280, 0x1283, 0x128F, 0x12B0, 0x1900, 0x1906, 0x8601):
            self.assertFalse(isPhone(APPLE, product), f"{product:#x}")
        self.assertFalse(isPhone(0x05AD, 0x12A8))

    def test_udevRules(self) -> None:
        """
        The udev rules give access to exactly these products.
        """
        found = re.findall(r'^ATTR\{idProduct\}=="([^"]+)"', RULES.read_text(), re.MULTILINE)
        patterns = [pattern for each in found for pattern in each.split("|")]
        for product in range(0x10000):
            matched = any(fnmatchcase(f"{product:04x}", pattern) for pattern in patterns)
            self.assertEqual(isPhone(APPLE, product), matched, f"{product:#x}")
