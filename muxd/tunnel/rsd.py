# -*- test-case-name: tests.tunnel.test_rsd -*-
"""
RSD, remote service discovery: the phone tells what it is, and which services it has in a tunnel, in
one message after both ends have begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from muxd.tunnel.xpc import MalformedXPC, Unsigned
from muxd.wire.text import printable

VERSION = 7
FLAGS = 0x0100000000000006
"""What hosts say of the language that they speak."""

MOST_SERVICES = 4096
"""Services of one phone; real ones have about a hundred."""

LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class RemoteService:
    """
    A service of a phone in a tunnel.

    @ivar port: Where it is.
    @ivar isRemoteXPC: Whether it speaks RemoteXPC, and not what it speaks by way of lockdownd.
    @ivar features: What it does, in the words of CoreDevice, where it says that.
    """

    name: str
    port: int
    isRemoteXPC: bool = False
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """
    What a phone tells.

    @ivar properties: What it is.
    @ivar services: By name.
    """

    properties: Mapping[str, Any]
    services: Mapping[str, RemoteService]


def writePeerInfo(info: PeerInfo, identity: UUID) -> dict[str, Any]:
    """
    The message that tells it.
    """
    return {
        "MessageType": "Handshake",
        "MessagingProtocolVersion": Unsigned(VERSION),
        "Properties": dict(info.properties),
        "Services": {
            each.name: {
                "Entitlement": "com.apple.mobile.lockdown.remote.trusted",
                "Port": str(each.port),
                "Properties": _written(each),
            }
            for each in info.services.values()
        },
        "UUID": identity,
    }


def _written(service: RemoteService) -> dict[str, Any]:
    if not service.isRemoteXPC:
        return {}
    told: dict[str, Any] = {"UsesRemoteXPC": True}
    if service.features:
        told |= {"Features": list(service.features), "ServiceVersion": Unsigned(1)}
    return told


def parsePeerInfo(body: Any) -> PeerInfo:
    """
    What a message tells.

    @raise MalformedXPC: It is another one.
    """
    if not isinstance(body, dict) or body.get("MessageType") != "Handshake":
        got = body.get("MessageType") if isinstance(body, dict) else body
        raise MalformedXPC(f"expected a handshake, got {printable(repr(got))[:80]}")
    properties, services = body.get("Properties"), body.get("Services")
    if not isinstance(properties, dict) or not isinstance(services, dict):
        raise MalformedXPC("expected properties and services")
    if len(services) > MOST_SERVICES:
        raise MalformedXPC(f"{len(services)} services, expected at most {MOST_SERVICES}")
    found = {}
    for name, entry in services.items():
        service = _service(name, entry)
        if service is not None:
            found[name] = service
    return PeerInfo(properties, found)


def _service(name: str, entry: Any) -> RemoteService | None:
    """
    A service; C{None} for one that cannot be reached.
    """
    if not _isName(name) or not isinstance(entry, dict):
        return None
    port, more = str(entry.get("Port")), entry.get("Properties")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        return None
    isRemoteXPC = isinstance(more, dict) and more.get("UsesRemoteXPC") is True
    told = more.get("Features") if isinstance(more, dict) else None
    features = tuple(filter(_isName, told)) if isinstance(told, list) else ()
    return RemoteService(name, int(port), isRemoteXPC, features)


def _isName(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST_NAME
