"""
Tests of L{muxd.capture.packets}.
"""

from __future__ import annotations

import ipaddress

from twisted.trial.unittest import SynchronousTestCase

from muxd.capture.packets import SYN_OPTIONS, Addresses, flagsOf, packetParts, portsOf
from muxd.testing.packets import Segment
from tests.device.links import ACK, RST, SYN, SYN_ACK

ADDRESSES = Addresses("00008030-001A")


class AddressTests(SynchronousTestCase):
    """
    The addresses of a phone.
    """

    def test_private(self) -> None:
        """
        They are private ones, of one network of 64 bits, and differ.
        """
        host, phone = map(ipaddress.IPv6Address, (ADDRESSES.host, ADDRESSES.phone))
        self.assertTrue(host in ipaddress.ip_network("fd00::/8"))
        self.assertEqual(
            ipaddress.ip_network((int(host) >> 64 << 64, 64)).network_address, host - 1
        )
        self.assertEqual(phone, host + 1)

    def test_same(self) -> None:
        """
        A UDID has the same ones each time, and another UDID has others.
        """
        self.assertEqual(Addresses("00008030-001A").host, ADDRESSES.host)
        self.assertNotEqual(Addresses("00008030-001B").network, ADDRESSES.network)

    def test_anyUDID(self) -> None:
        """
        Whatever a phone calls itself has addresses.
        """
        self.assertEqual(len(Addresses("\udcff" * 300).phone), 16)


class PacketTests(SynchronousTestCase):
    """
    Segments as packets.
    """

    def packet(self, segment: Segment, *, isInbound: bool) -> bytes:
        """
        The packet of a segment.
        """
        return b"".join(packetParts(ADDRESSES, segment.encode(), isInbound=isInbound))

    def test_data(self) -> None:
        """
        A segment is carried as it is, from one address to the other.
        """
        segment = Segment(7, 62078, 1, 2, ACK, 65536, b"hello")
        packet = self.packet(segment, isInbound=False)
        self.assertEqual(packet[40:], segment.encode())
        self.assertEqual(packet[:8], bytes.fromhex("60000000001906") + b"\x40")
        self.assertEqual(packet[8:40], ADDRESSES.host + ADDRESSES.phone)
        inbound = self.packet(segment, isInbound=True)
        self.assertEqual(inbound[8:40], ADDRESSES.phone + ADDRESSES.host)

    def test_reset(self) -> None:
        """
        A RST keeps the phone's text, which is its payload.
        """
        segment = Segment(62078, 7, 1, 2, RST, 0, b"no such port")
        self.assertEqual(self.packet(segment, isInbound=True)[40:], segment.encode())

    def test_window(self) -> None:
        """
        A SYN tells the unit of the windows to come, and has its own in bytes.
        """
        for flags in (SYN, SYN_ACK):
            for window, told in ((131072, 65535), (1024, 1024)):
                packet = self.packet(Segment(7, 9, 5, 6, flags, window), isInbound=False)
                tcp = packet[40:]
                self.assertEqual(int.from_bytes(packet[4:6], "big"), len(tcp))
                self.assertEqual(tcp[12] >> 4, len(tcp) // 4)
                self.assertEqual(tcp[20:], SYN_OPTIONS)
                self.assertEqual(int.from_bytes(tcp[14:16], "big"), told)
                self.assertEqual(tcp[:12], Segment(7, 9, 5, 6, flags, 0).encode()[:12])

    def test_fields(self) -> None:
        """
        Ports and flags of a segment can be asked for.
        """
        segment = Segment(7, 62078, 1, 2, SYN_ACK, 0, b"hello").encode()
        self.assertEqual((portsOf(segment), flagsOf(segment)), ((7, 62078), SYN_ACK))
