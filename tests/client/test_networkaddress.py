# -*- test-case-name: tests.client.test_networkaddress -*-
"""
Tests for L{muxd.client.networkaddress}.
"""

from __future__ import annotations

from ipaddress import IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.networkaddress import networkAddressText

V4 = bytes([192, 168, 1, 7])
V6 = IPv6Address("fe80::1").packed


class NetworkAddressTests(SynchronousTestCase):
    """
    Tests for L{networkAddressText}.
    """

    def test_ipv4(self) -> None:
        """
        An IPv4 address is read in Apple's layout and in Linux'.
        """
        for head in (b"\x10\x02\0\0", b"\x02\0\0\0"):
            self.assertEqual("192.168.1.7", networkAddressText((head + V4).ljust(128, b"\0")))

    def test_ipv6(self) -> None:
        """
        An IPv6 address is read in the layouts of Apple's systems, Linux and
        Windows, with its zone.
        """
        for head in (b"\x1c\x1e\0\0", b"\x0a\0\0\0", b"\x17\0\0\0"):
            data = head + b"\0\0\0\0" + V6 + b"\x04\0\0\0"
            self.assertEqual("fe80::1%4", networkAddressText(data.ljust(128, b"\0")))
            self.assertEqual("fe80::1", networkAddressText(data[:-4]))

    def test_none(self) -> None:
        """
        What is neither, or too short, is no address.
        """
        for data in (b"", b"\x10\x02\0\0", b"\x1c\x1e\0\0" + bytes(8), b"\x01\0" + bytes(126)):
            self.assertIsNone(networkAddressText(data))

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=40))
    def test_anything(self, data: bytes) -> None:
        """
        No bytes make it raise.
        """
        networkAddressText(data)
