# -*- test-case-name: tests.wifi.test_heartbeat -*-
"""
The address of a phone in its entry of a list (protocol 4.10).
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from muxd.wifi.settings import AddressLayout

SIZE = 128
FAMILIES = {
    (AddressLayout.BSD, 4): b"\x10\x02",
    (AddressLayout.BSD, 6): b"\x1c\x1e",
    (AddressLayout.LINUX, 4): b"\x02\x00",
    (AddressLayout.LINUX, 6): b"\x0a\x00",
}
"""The first two bytes: length and family, or the family alone, little-endian."""


def networkAddress(address: str, layout: AddressLayout) -> bytes:
    """
    A C{sockaddr} without a port, in a C{sockaddr_storage}.

    @param address: Numerically, an IPv6 one of the link with the number of its scope.
    @raise ValueError: It is none.
    """
    plain, _, scope = address.partition("%")
    parsed = ip_address(plain)
    head = FAMILIES[layout, parsed.version] + bytes(2)
    if isinstance(parsed, IPv4Address):
        body = parsed.packed
    else:
        body = bytes(4) + parsed.packed + int(scope or 0).to_bytes(4, "little")
    return (head + body).ljust(SIZE, b"\0")


def scopeOf(address: str) -> int:
    """
    The number of an address's scope, 0 if it has none.
    """
    scope = address.partition("%")[2]
    return int(scope) if scope.isdecimal() else 0
