"""
Tests of L{muxd.phone.services.requests}.
"""

from __future__ import annotations

import plistlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.requests import RequestService
from tests.phone.services.hosts import PlistHost


class Parrot(RequestService):
    """
    Says what it is told.
    """

    def ask_Say(self, request: dict[str, Any]) -> Any:
        """
        Say it.
        """
        return request.get("Text")


class RequestServiceTests(SynchronousTestCase):
    """
    Tests of L{RequestService}.
    """

    def test_method(self) -> None:
        """
        A request is answered by its method, which need not answer at all.
        """
        host = PlistHost(Parrot())
        self.assertEqual(host.ask(Request="Say", Text=["a"]), ["a"])
        self.assertEqual(host.askAll({"Request": "Say"}), [])

    def test_unknown(self) -> None:
        """
        What has no method, or is no name, is answered in the same way.
        """
        host = PlistHost(Parrot())
        for name in ("Sing", "__class__", "", 7, ["Say"], "Sa y", "S\xe4y"):
            self.assertEqual(host.ask(Request=name), {"Error": "UnknownCommand"})

    def test_unsayable(self) -> None:
        """
        What XML cannot say is said in binary.
        """
        host = PlistHost(Parrot())
        data = plistlib.dumps({"Request": "Say", "Text": "\x1b"}, fmt=plistlib.FMT_BINARY)
        host.service.stringReceived(data)
        self.assertEqual(host.heard(), ["\x1b"])
