# -*- test-case-name: tests.usbip.test_descriptors -*-
"""
Tests of L{muxd.usbip.descriptors}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.profiles import iPhone
from muxd.usbip.descriptors import (
    LONGEST,
    InvalidDescriptor,
    parseConfiguration,
    parseDevice,
    totalLength,
)

PHONE = iPhone()


class DescriptorTests(SynchronousTestCase):
    """
    Descriptors of phones, and of anything else.
    """

    def test_device(self) -> None:
        """
        A device's fields are those that it has sent.
        """
        device = parseDevice(PHONE.encode())
        for name in device.__dataclass_fields__:
            if name != "configurations":
                self.assertEqual(getattr(device, name), getattr(PHONE, name), name)

    def test_configurations(self) -> None:
        """
        So are those of each configuration, its interfaces and their endpoints.
        """
        for sent in PHONE.configurations:
            parsed = parseConfiguration(sent.encode())
            for name in ("bConfigurationValue", "wTotalLength", "bNumInterfaces", "bmAttributes"):
                self.assertEqual(getattr(parsed, name), getattr(sent, name), name)
            self.assertEqual(
                [
                    [
                        (
                            setting.bInterfaceNumber,
                            setting.bAlternateSetting,
                            setting.bInterfaceClass,
                            setting.bInterfaceSubClass,
                            setting.bInterfaceProtocol,
                            [(e.bEndpointAddress, e.wMaxPacketSize) for e in setting.endpoints],
                        )
                        for setting in settings
                    ]
                    for settings in parsed.interfaces
                ],
                [
                    [
                        (
                            setting.bInterfaceNumber,
                            setting.bAlternateSetting,
                            *setting.triple,
                            [(e.bEndpointAddress, e.wMaxPacketSize) for e in setting.endpoints],
                        )
                        for setting in settings
                    ]
                    for settings in sent.interfaces
                ],
            )

    def test_wrong(self) -> None:
        """
        What is cut short, too long, of another kind, or leads nowhere is an error.
        """
        whole = PHONE.configurations[0].encode()
        for data in (b"", whole[:8], whole[:-1], b"\x09\x01" + whole[2:]):
            self.assertRaises(InvalidDescriptor, parseConfiguration, data)
        tooLong = whole[:2] + (LONGEST + 1).to_bytes(2, "little") + whole[4:]
        self.assertRaises(InvalidDescriptor, totalLength, tooLong)
        standing = whole[:9] + b"\0\0" + whole[11:]
        self.assertRaises(InvalidDescriptor, parseConfiguration, standing)
        self.assertRaises(InvalidDescriptor, parseDevice, PHONE.encode()[:17])
        self.assertRaises(InvalidDescriptor, parseDevice, PHONE.encode()[:17] + b"\xff")

    @given(st.binary(max_size=200), st.integers(0, 200))
    def test_anything(self, data: bytes, at: int) -> None:
        """
        Whatever a device says is values or that error.
        """
        whole = PHONE.configurations[-1].encode()
        for each in (data, whole[:at] + data, whole[:at] + data + whole[at:]):
            with contextlib.suppress(InvalidDescriptor):
                parseConfiguration(each)
            with contextlib.suppress(InvalidDescriptor):
                parseDevice(each)
