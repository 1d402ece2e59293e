# -*- test-case-name: tests.server.test_clients -*-
"""
What a client has told us about itself (protocol 4.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muxd.wire.text import printable

LONGEST_NAME = 64
"""
How many characters of a name are kept: every client may ask for the names of all that
listen.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDetails:
    """
    The latest of everything that its requests have said.

    @ivar programName: C{ProgName}.
    @ivar bundleID: C{BundleID}.
    @ivar version: C{ClientVersionString}.
    @ivar libraryVersion: C{kLibUSBMuxVersion}, 0 if it has none.
    """

    programName: str = ""
    bundleID: str = ""
    version: str = ""
    libraryVersion: int = 0

    def updated(self, values: Mapping[str, Any]) -> ClientDetails:
        """
        With what one more request says; what it leaves out, or says in another
        type than it should, stays as it was.
        """
        name = _text(values, "ProgName", self.programName)
        bundleID = _text(values, "BundleID", self.bundleID)
        version = _text(values, "ClientVersionString", self.version)
        libraryVersion = values.get("kLibUSBMuxVersion")
        # A property list has 64-bit integers at most: larger ones could not be
        # written.
        if type(libraryVersion) is not int or not 0 <= libraryVersion < 1 << 63:
            libraryVersion = self.libraryVersion
        return ClientDetails(
            programName=name, bundleID=bundleID, version=version, libraryVersion=libraryVersion
        )

    def listenerValues(self, number: int) -> dict[str, Any]:
        """
        An entry of C{ListListeners}.

        @param number: The listener's own number, not the asking client's
            (protocol 9, edge 55).
        """
        name = self.programName or "unknown"
        values: dict[str, Any] = {
            "Blacklisted": False,
            "ConnType": 0,
            "ID String": f"{number}-{name}",
            "ProgName": name,
            "kLibUSBMuxVersion": self.libraryVersion,
        }
        if self.bundleID:
            values["BundleID"] = self.bundleID
        return values


_KEYS = ("ProgName", "BundleID", "ClientVersionString", "kLibUSBMuxVersion")


class Introduction:
    """
    What one client's requests have said about it.  It is worked out when it is asked for,
    or when there is more of it: most clients say one thing and are never asked about.
    """

    __slots__ = ("_details", "_said")

    def __init__(self) -> None:
        self._details = ClientDetails()
        self._said: Mapping[str, Any] | None = None

    def add(self, values: Mapping[str, Any]) -> None:
        """
        A request says more, or the same again.
        """
        if self._said is not None:
            self._details = self._details.updated(self._said)
        # Not all of it: a request may be a thousand times as large as what it says.
        said = ((key, values.get(key)) for key in _KEYS)
        self._said = {
            key: value[:LONGEST_NAME] if isinstance(value, str) else value
            for key, value in said
            if isinstance(value, (str, int))
        }

    @property
    def details(self) -> ClientDetails:
        """
        All of it.
        """
        if self._said is not None:
            self._details = self._details.updated(self._said)
            self._said = None
        return self._details


def _text(values: Mapping[str, Any], key: str, otherwise: str) -> str:
    value = values.get(key)
    return printable(value[:LONGEST_NAME]) if isinstance(value, str) else otherwise
