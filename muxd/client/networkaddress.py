# -*- test-case-name: tests.client.test_networkaddress -*-
"""
The IP address in a network device's C{NetworkAddress} (protocol 4.10).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

IPV4_FAMILY = 2
IPV6_FAMILIES = frozenset({10, 23, 30})
"""On Linux, Windows and Apple's systems."""


def networkAddressText(data: bytes) -> str | None:
    """
    Read a C{sockaddr}, whichever system it comes from: Apple's begin with their
    length and have the family in the second byte, others have it in the first
    two, little-endian.

    @return: the address, with its zone if it has one (C{"fe80::1%4"}); None if
        it is none.
    """
    if len(data) < 8:
        return None
    family = data[1] or data[0]
    if family == IPV4_FAMILY:
        return str(IPv4Address(data[4:8]))
    if family not in IPV6_FAMILIES or len(data) < 24:
        return None
    zone = int.from_bytes(data[24:28], "little")
    address = IPv6Address(data[8:24])
    return f"{address}%{zone}" if zone else str(address)
