"""
Hosts and phones for tests.
"""

from __future__ import annotations

from typing import Any

from muxd.fleet.requirement import Requirement
from muxd.fleet.values import Door, DoorKind, HostRecord, PhoneRecord, Request


def host(name: str = "a") -> HostRecord:
    """
    A host.
    """
    return HostRecord(name=name, door=Door(kind=DoorKind.TCP, where=f"{name}.example", port=7400))


def udid(number: int) -> str:
    """
    The UDID of a phone.
    """
    return f"00008110-{number:016X}"


def phone(number: int, host: str = "a", **more: Any) -> PhoneRecord:
    """
    A phone.
    """
    return PhoneRecord(udid=udid(number), host=host, **more)


def wants(text: str = "", **more: Any) -> Request:
    """
    What a job wants.
    """
    return Request(**{"user": "job", "requirement": Requirement.fromString(text), **more})
