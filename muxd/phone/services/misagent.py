# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.misagent}: provisioning profiles.

A profile's signature is not checked here; what is in it is a property list as XML.
"""

from __future__ import annotations

import plistlib

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService

MOST_PROFILES = 1000
MOST_BYTES = 16 << 20
"""Of all of them, which are told in one answer."""

NOT_VALID = 0xE8008003
"""Of what a host sends as a profile."""

NOT_THERE = 0xE8008012
"""Of a profile that is to be removed."""


class Profiles:
    """
    The profiles of a phone, by UUID.
    """

    def __init__(self) -> None:
        self.installed: dict[str, bytes] = {}

    def add(self, profile: object) -> bool:
        """
        Keep a profile.

        @return: Whether it is one, and there is room for it.
        """
        name = _uuidOf(profile) if isinstance(profile, bytes) else None
        if name is None or len(self.installed) >= MOST_PROFILES:
            return False
        assert isinstance(profile, bytes)
        others = sum(len(each) for at, each in self.installed.items() if at != name)
        if others + len(profile) > MOST_BYTES:
            return False
        self.installed[name] = profile
        return True


def _uuidOf(profile: bytes) -> str | None:
    start, end = profile.find(b"<?xml"), profile.find(b"</plist>")
    if start < 0 or end < start:
        return None
    try:
        name = plistlib.loads(profile[start : end + len(b"</plist>")])["UUID"]
    except Exception:  # plistlib raises what its parser raises
        return None
    return name if isinstance(name, str) and 0 < len(name) <= 64 else None


class Misagent(RequestService):
    """
    One host.
    """

    keyword = "MessageType"

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def ask_Install(self, request: Message) -> Message:
        """
        Install a profile.
        """
        return _answer(0 if self._profiles.add(request.get("Profile")) else NOT_VALID)

    def ask_Remove(self, request: Message) -> Message:
        """
        Remove one by its UUID.
        """
        name = request.get("ProfileID")
        known = isinstance(name, str) and self._profiles.installed.pop(name, None) is not None
        return _answer(0 if known else NOT_THERE)

    def ask_CopyAll(self, request: Message) -> Message:
        """
        Tell all of them.
        """
        return {**_answer(0), "Payload": list(self._profiles.installed.values())}

    ask_Copy = ask_CopyAll


def _answer(status: int) -> Message:
    return {"MessageType": "Response", "Status": status}
