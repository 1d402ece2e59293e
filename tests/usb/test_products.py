"""
Tests of L{muxd.usb.products}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.products import APPLE, KNOWN, RECOVERY, Verdict, judge, muxerInDescriptors

RULES = Path(__file__).parents[2] / "udev" / "39-muxd.rules"

MUXER = bytes((9, 4, 1, 0, 2, 255, 254, 2, 0))
CAMERA = bytes((9, 4, 0, 0, 3, 6, 1, 1, 0))
DEVICE = bytes((18, 1)) + bytes(16)
CONFIGURATION = bytes((9, 2, 0, 0, 1, 1, 0, 192, 250))


def says(answer: bool) -> Callable[[], bool]:
    """
    A look at a device's interfaces.
    """
    return lambda: answer


class JudgeTests(SynchronousTestCase):
    """
    Tests of L{judge}.
    """

    def test_known(self) -> None:
        """
        The products of protocol 1.1, the ends of their ranges included, are phones without
        a look at their interfaces.
        """

        def look() -> bool:
            raise AssertionError("looked at")

        for product in (0x1290, 0x12A8, 0x12AF, 0x8600, 0x1901, 0x1905):
            self.assertIs(judge(APPLE, product, look), Verdict.PHONE, f"{product:#x}")

    def test_muxer(self) -> None:
        """
        Any device of Apple's that has a muxer is a phone: a Vision Pro is 0x12b1.
        """
        for product in (0x12B1, 0x12FF, 0x1900, 0x8601, 0x0001):
            self.assertIs(judge(APPLE, product, says(True)), Verdict.PHONE, f"{product:#x}")
        self.assertIs(judge(0x05AD, 0x12A8, says(True)), Verdict.OTHER)

    def test_recovery(self) -> None:
        """
        Recovery and DFU modes are not touched (edge 16), whatever is said of them.
        """
        for product in (0x1222, 0x1227, 0x1280, 0x1281, 0x1282, 0x1283):
            for chosen in ((), (range(0x10000),)):
                verdict = judge(APPLE, product, says(True), chosen)
                self.assertIs(verdict, Verdict.RECOVERY, f"{product:#x}")

    def test_noMuxer(self) -> None:
        """
        One that has the product id of a phone of the future and no muxer is worth a line;
        a keyboard is not.
        """
        self.assertIs(judge(APPLE, 0x12B1, says(False)), Verdict.NO_MUXER)
        self.assertIs(judge(APPLE, 0x024F, says(False)), Verdict.OTHER)

    def test_chosen(self) -> None:
        """
        When products are chosen, no others are used.
        """
        chosen = (range(0x12A8, 0x12A9), range(0x2000, 0x2001))
        self.assertIs(judge(APPLE, 0x12A8, says(False), chosen), Verdict.PHONE)
        self.assertIs(judge(APPLE, 0x2000, says(False), chosen), Verdict.PHONE)
        self.assertIs(judge(APPLE, 0x12A9, says(False), chosen), Verdict.NOT_CHOSEN)
        self.assertIs(judge(APPLE, 0x12B1, says(True), chosen), Verdict.NOT_CHOSEN)
        self.assertIs(judge(APPLE, 0x024F, says(False), chosen), Verdict.OTHER)


class MuxerInDescriptorsTests(SynchronousTestCase):
    """
    Tests of L{muxerInDescriptors}.
    """

    def test_found(self) -> None:
        """
        It is found in whichever configuration.
        """
        data = DEVICE + CONFIGURATION + CAMERA + CONFIGURATION + CAMERA + MUXER
        self.assertTrue(muxerInDescriptors(data))
        # The shortest descriptor that there is says nothing.
        self.assertTrue(muxerInDescriptors(DEVICE + bytes((2, 99)) + MUXER))

    def test_notFound(self) -> None:
        """
        Another interface is none, nor is one that is cut off, nor what only looks like it.
        """
        for data in (
            DEVICE + CONFIGURATION + CAMERA,
            DEVICE + CONFIGURATION + MUXER[:7],
            DEVICE + bytes((9, 5)) + MUXER[2:],
            DEVICE + bytes((0, 4)) + MUXER,
            DEVICE + bytes((1,)) + MUXER,
            b"",
        ):
            self.assertFalse(muxerInDescriptors(data), data)

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        """
        Whatever a device says of itself, there is an answer.
        """
        self.assertIn(muxerInDescriptors(DEVICE + data), (True, False))


class RulesTests(SynchronousTestCase):
    """
    Tests of F{udev/39-muxd.rules}.
    """

    def setUp(self) -> None:
        """
        Read them.
        """
        self.rules = RULES.read_text()

    def test_products(self) -> None:
        """
        The rules name the known products and the range of the coming ones, and none of
        recovery mode; all others go by their interface.
        """
        found = re.findall(r'^ATTR\{idProduct\}=="([^"]+)"', self.rules, re.MULTILINE)
        patterns = [pattern for each in found for pattern in each.split("|")]
        for product in range(0x10000):
            matched = any(fnmatchcase(f"{product:04x}", pattern) for pattern in patterns)
            if any(product in each for each in KNOWN):
                self.assertTrue(matched, f"{product:#x}")
            elif any(product in each for each in RECOVERY):
                self.assertFalse(matched, f"{product:#x}")
            elif matched:
                self.assertIn(product, range(0x12B0, 0x1300))
        self.assertIn('ENV{ID_USB_INTERFACES}=="*:fffe02:*"', self.rules)

    def test_desktops(self) -> None:
        """
        Desktops are told that this is a phone, in the way that they look for it.
        """
        self.assertIn('ENV{USBMUX_SUPPORTED}="1"', self.rules)
