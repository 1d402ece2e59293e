# -*- test-case-name: tests.phone.services.test_profiles -*-
"""
C{com.apple.mobile.MCInstall}: configuration profiles, which a host installs, lists and removes.

The owner of a phone confirms each in the settings; here that is done at once.  What is in them
changes nothing.
"""

from __future__ import annotations

from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService
from muxd.wire.messages import MalformedMessage, parsePlist

MOST_PROFILES = 1000
LONGEST = 256
"""Characters of what a profile says of itself: of each text."""

NOT_VALID, NOT_THERE, NOT_KNOWN = 1000, 12021, 4001
"""Codes of errors."""

USUAL: dict[str, Any] = {
    "PayloadDescription": "",
    "PayloadDisplayName": "",
    "PayloadOrganization": "",
    "PayloadRemovalDisallowed": False,
    "PayloadUUID": "",
    "PayloadVersion": 1,
}
"""What is told of a profile, and what a phone takes it for if it is not said."""


class Configuration:
    """
    The profiles of a phone: what is told of each, by identifier.
    """

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}

    def add(self, payload: object) -> str:
        """
        Keep a profile.

        @return: What is wrong with it; C{""} for nothing.
        """
        said = _contents(payload)
        identifier = said.get("PayloadIdentifier")
        if not isinstance(identifier, str) or not 0 < len(identifier) <= LONGEST:
            return "expected a profile with a PayloadIdentifier"
        if len(self.profiles) >= MOST_PROFILES and identifier not in self.profiles:
            return f"expected at most {MOST_PROFILES} profiles"
        self.profiles[identifier] = {
            key: _short(value) if type(value := said.get(key)) is type(usual) else usual
            for key, usual in USUAL.items()
        }
        return ""


class ProfileInstaller(RequestService):
    """
    One host.
    """

    keyword = "RequestType"

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def ask_HelloHostIdentifier(self, request: Message) -> Message:
        """
        Greet.
        """
        return {"Status": "Acknowledged"}

    ask_Flush = ask_HelloHostIdentifier

    def ask_GetProfileList(self, request: Message) -> Message:
        """
        Tell all profiles.
        """
        found = self._configuration.profiles
        return {
            "Status": "Acknowledged",
            "OrderedIdentifiers": list(found),
            "ProfileManifest": {
                name: {"Description": told["PayloadDisplayName"], "IsActive": True}
                for name, told in found.items()
            },
            "ProfileMetadata": found,
        }

    def ask_InstallProfile(self, request: Message) -> Message:
        """
        Install one.
        """
        wrong = self._configuration.add(request.get("Payload"))
        return _refusal(NOT_VALID, wrong) if wrong else {"Status": "Acknowledged"}

    def ask_RemoveProfile(self, request: Message) -> Message:
        """
        Remove one, by its identifier or by a property list with that.
        """
        name = request.get("ProfileIdentifier")
        if isinstance(name, bytes):
            name = _contents(name).get("PayloadIdentifier")
        known = isinstance(name, str) and self._configuration.profiles.pop(name, None) is not None
        if known:
            return {"Status": "Acknowledged"}
        return _refusal(NOT_THERE, f"the profile {str(name)!r:.80} is not installed")

    def unknown(self, message: Message) -> Message:
        """
        What is not done here.
        """
        return _refusal(NOT_KNOWN, f"unknown request {str(message.get('RequestType'))!r:.80}")


def _contents(profile: object) -> dict[str, Any]:
    """
    What a profile says; nothing if it is none.  A signature around it is left aside.
    """
    if isinstance(profile, dict):
        return profile
    if not isinstance(profile, bytes):
        return {}
    start, end = profile.find(b"<?xml"), profile.rfind(b"</plist>")
    if 0 <= start < end:
        profile = profile[start : end + len(b"</plist>")]
    try:
        return parsePlist(profile)
    except MalformedMessage:
        return {}


def _short(value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str) else value


def _refusal(code: int, text: str) -> Message:
    error = {"ErrorCode": code, "ErrorDomain": "MCProfileErrorDomain"}
    return {"Status": "Error", "ErrorChain": [{**error, "LocalizedDescription": text}]}
