# -*- test-case-name: tests.tunnel.test_codecs -*-
"""
CDTunnel: what is said at the beginning of a tunnel, before packets follow.

A message is eight bytes of name, a big-endian length of two bytes, and JSON.  The host says how
large packets may be, the phone which addresses the two ends have.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv6Address
from struct import Struct
from typing import Any

from muxd.wire.text import printable

NAME = b"CDTunnel"
_HEADER = Struct(">8sH")

LONGEST = 4096
"""Bytes of JSON; what is said takes less than 256."""

SMALLEST_MTU = 1280
"""What every link that carries IPv6 must carry."""

LARGEST_MTU = 16000
"""What hosts of Apple's ask for."""


class MalformedHandshake(ValueError):
    """
    The other side does not speak CDTunnel.
    """


@dataclass(frozen=True, slots=True)
class TunnelParameters:
    """
    What the phone has said of a tunnel.

    @ivar host: The host's address in it.
    @ivar phone: The phone's.
    @ivar mtu: The size of the largest packets.
    @ivar rsdPort: Where the phone tells of its services.
    @ivar netmask: Of the network that the two are in.
    """

    host: IPv6Address
    phone: IPv6Address
    mtu: int
    rsdPort: int
    netmask: str = "ffff:ffff:ffff:ffff::"


class HandshakeReader:
    """
    Reads one message; what is behind it is L{rest}.

    @ivar rest: What follows it.
    """

    def __init__(self) -> None:
        self._held = b""
        self.rest = b""

    def feed(self, data: bytes) -> dict[str, Any] | None:
        """
        Take bytes.

        @return: The message, once it is whole.
        @raise MalformedHandshake: It is none.
        """
        self._held += data
        if self._held[: len(NAME)] != NAME[: len(self._held)]:
            got = printable(repr(self._held[: len(NAME)]))
            raise MalformedHandshake(f"expected {NAME!r}, got {got}")
        if len(self._held) < _HEADER.size:
            return None
        _, length = _HEADER.unpack_from(self._held)
        if length > LONGEST:
            raise MalformedHandshake(f"message of {length} bytes, expected at most {LONGEST}")
        end = _HEADER.size + length
        if len(self._held) < end:
            return None
        body, self.rest = self._held[_HEADER.size : end], self._held[end:]
        self._held = b""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MalformedHandshake(f"expected JSON: {printable(str(error))}") from error
        if not isinstance(message, dict):
            raise MalformedHandshake(f"expected an object, got {printable(repr(message))[:80]}")
        return message


def writeHandshake(message: dict[str, Any]) -> bytes:
    """
    A message as bytes.
    """
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return _HEADER.pack(NAME, len(body)) + body


def hostHandshake(mtu: int) -> dict[str, Any]:
    """
    What the host says.
    """
    return {"type": "clientHandshakeRequest", "mtu": mtu}


def parseHostHandshake(message: dict[str, Any]) -> int:
    """
    The MTU that a host has asked for, as near as may be.

    @raise MalformedHandshake: It is no host's.
    """
    if message.get("type") != "clientHandshakeRequest":
        got = printable(repr(message.get("type")))
        raise MalformedHandshake(f"expected clientHandshakeRequest, got {got[:80]}")
    mtu = message.get("mtu")
    if type(mtu) is not int:
        raise MalformedHandshake(f"expected an MTU, got {printable(repr(mtu))[:80]}")
    return min(max(mtu, SMALLEST_MTU), LARGEST_MTU)


def phoneHandshake(parameters: TunnelParameters) -> dict[str, Any]:
    """
    What the phone answers.
    """
    return {
        "type": "serverHandshakeResponse",
        "clientParameters": {
            "address": str(parameters.host),
            "mtu": parameters.mtu,
            "netmask": parameters.netmask,
        },
        "serverAddress": str(parameters.phone),
        "serverRSDPort": parameters.rsdPort,
    }


def parsePhoneHandshake(message: dict[str, Any]) -> TunnelParameters:
    """
    What a phone has answered.

    @raise MalformedHandshake: It is no phone's, or says what cannot be.
    """
    if message.get("type") != "serverHandshakeResponse":
        got = printable(repr(message.get("type")))
        raise MalformedHandshake(f"expected serverHandshakeResponse, got {got[:80]}")
    client = message.get("clientParameters")
    if not isinstance(client, dict):
        raise MalformedHandshake("expected clientParameters")
    mtu, port = client.get("mtu"), message.get("serverRSDPort")
    if type(mtu) is not int or not SMALLEST_MTU <= mtu <= 65535:
        raise MalformedHandshake(f"expected an MTU of 1280 to 65535, got {mtu!r:.80}")
    if type(port) is not int or not 0 < port < 65536:
        raise MalformedHandshake(f"expected the port of RSD, got {printable(repr(port))[:80]}")
    host, phone = _address(client.get("address")), _address(message.get("serverAddress"))
    if host == phone:
        raise MalformedHandshake(f"both ends have the address {host}")
    return TunnelParameters(host, phone, mtu, port, printable(str(client.get("netmask")))[:64])


def _address(text: object) -> IPv6Address:
    try:
        if not isinstance(text, str):
            raise ValueError("it is no text")
        return IPv6Address(text)
    except ValueError as error:
        got = printable(repr(text))[:80]
        raise MalformedHandshake(f"expected an IPv6 address, got {got}") from error
