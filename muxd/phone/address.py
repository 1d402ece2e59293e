# -*- test-case-name: tests.phone.test_session -*-
"""
Where the ends of a phone's sessions are.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IAddress
from zope.interface import implementer


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class PhoneAddress:
    """
    One end of a session, as the phone sees it.

    @ivar udid: The phone's.
    @ivar port: The phone's port, or the host's source port.
    """

    udid: str
    port: int
