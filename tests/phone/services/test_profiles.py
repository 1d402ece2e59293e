# -*- test-case-name: tests.phone.services.test_profiles -*-
"""
Tests of L{muxd.phone.services.profiles}.
"""

from __future__ import annotations

import plistlib
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import profiles
from muxd.phone.services.profiles import Configuration, ProfileInstaller
from muxd.wire.measure import LARGEST_INTEGER
from tests.phone.services.hosts import PlistHost

NAME = "com.example.profile"


def profile(identifier: Any = NAME, **said: Any) -> bytes:
    """
    A profile, within what a signature adds.
    """
    values = {"PayloadIdentifier": identifier, "PayloadDisplayName": "Ours", **said}
    return b"\x30\x82" + plistlib.dumps(values) + b"signature"


class ProfileInstallerTests(SynchronousTestCase):
    """
    The service.
    """

    def setUp(self) -> None:
        """
        A phone without profiles, and a host.
        """
        self.host = PlistHost(ProfileInstaller(Configuration()))

    def listed(self) -> list[str]:
        """
        The profiles that are told.
        """
        answer = self.host.ask(RequestType="GetProfileList")
        names: list[str] = answer["OrderedIdentifiers"]
        self.assertEqual(set(names), set(answer["ProfileManifest"]), set(answer["ProfileMetadata"]))
        return names

    def install(self, payload: object) -> str:
        """
        The status of an installation.
        """
        status: str = self.host.ask(RequestType="InstallProfile", Payload=payload)["Status"]
        return status

    def test_profiles(self) -> None:
        """
        A profile is installed, told with what it says of itself, and removed.
        """
        self.assertEqual(self.listed(), [])
        self.assertEqual(
            self.install(profile(PayloadVersion=7, PayloadUUID=b"odd")), "Acknowledged"
        )
        self.assertEqual(self.listed(), [NAME])
        told = self.host.ask(RequestType="GetProfileList")["ProfileMetadata"][NAME]
        self.assertEqual(
            (told["PayloadDisplayName"], told["PayloadVersion"], told["PayloadUUID"]),
            ("Ours", 7, ""),
        )
        for name in (NAME, plistlib.dumps({"PayloadIdentifier": NAME})):
            self.install({"PayloadIdentifier": NAME})
            answer = self.host.ask(RequestType="RemoveProfile", ProfileIdentifier=name)
            self.assertEqual((answer["Status"], self.listed()), ("Acknowledged", []))

    def test_bounded(self) -> None:
        """
        However much a profile says of itself, little of it is kept, and no more than answers can
        say.
        """
        long = "x" * (profiles.LONGEST + 1)
        self.install(profile(PayloadDescription=long, PayloadDisplayName=long))
        told = self.host.ask(RequestType="GetProfileList")["ProfileMetadata"][NAME]
        self.assertEqual(
            (told["PayloadDescription"], told["PayloadDisplayName"]), (long[:-1], long[:-1])
        )
        sent = profile(PayloadVersion=7).replace(b">7<", b">%d<" % 10**30)
        self.install(sent)
        told = self.host.ask(RequestType="GetProfileList")["ProfileMetadata"][NAME]
        self.assertLessEqual(told["PayloadVersion"], LARGEST_INTEGER)

    def test_refused(self) -> None:
        """
        What is no profile, or not there, or not known, is an error with a text; so is one too many.
        """
        for payload in (b"", b"<?xml</plist>", plistlib.dumps([]), profile(""), profile(7), 7):
            self.assertEqual(self.install(payload), "Error")
        for name in ("none", b"", 7):
            answer = self.host.ask(RequestType="RemoveProfile", ProfileIdentifier=name)
            self.assertIn("not installed", answer["ErrorChain"][0]["LocalizedDescription"])
        self.assertEqual(self.host.ask(RequestType="EraseDevice")["Status"], "Error")
        self.assertEqual(self.host.ask(RequestType="Flush")["Status"], "Acknowledged")
        with patch.object(profiles, "MOST_PROFILES", 1):
            found = [self.install(profile(name)) for name in ("a", "a", "b")]
        self.assertEqual(found, ["Acknowledged", "Acknowledged", "Error"])
