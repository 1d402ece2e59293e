# -*- test-case-name: tests.device.test_address -*-
"""
Where a session begins and ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IAddress
from zope.interface import implementer


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """
    A TCP port of a phone.
    """

    udid: str
    port: int


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class HostAddress:
    """
    Our end of a session: the source port that its segments carry.
    """

    udid: str
    sourcePort: int
