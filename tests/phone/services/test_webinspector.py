"""
Tests of L{muxd.phone.services.webinspector}.
"""

from __future__ import annotations

import plistlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import webinspector
from muxd.phone.services.webinspector import FINAL, PARTIAL, SAFARI, Page, WebInspector
from tests.phone.services.hosts import PlistHost


def message(selector: str, **argument: Any) -> dict[str, Any]:
    """
    A message of a host.
    """
    return {"__selector": f"_rpc_{selector}:", "__argument": argument}


class WebInspectorTests(SynchronousTestCase):
    """
    Tests of L{WebInspector}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.host = PlistHost(WebInspector([Page("A", "http://a/"), Page("B", "http://b/")]))

    def test_pages(self) -> None:
        """
        A host that names itself is told of Safari, and then of its pages.
        """
        state, apps = self.host.askAll(message("reportIdentifier", WIRConnectionIdentifierKey="X"))
        self.assertEqual(state["__selector"], "_rpc_reportCurrentState:")
        self.assertIn(SAFARI, apps["__argument"]["WIRApplicationDictionaryKey"])
        request = message("forwardGetListing", WIRApplicationIdentifierKey=SAFARI)
        (listing,) = self.host.askAll(request)
        pages = listing["__argument"]["WIRListingKey"]
        self.assertEqual([page["WIRTitleKey"] for page in pages.values()], ["A", "B"])
        (apps,) = self.host.askAll(message("getConnectedApplications"))
        self.assertEqual(apps["__selector"], "_rpc_reportConnectedApplicationList:")

    def test_parts(self) -> None:
        """
        A host that cuts its messages into parts gets parts.
        """
        self.patch(webinspector, "PART", 100)
        data = plistlib.dumps(message("reportIdentifier"), fmt=plistlib.FMT_BINARY)
        self.assertEqual(self.host.askAll({PARTIAL: data[:10]}), [])
        parts = self.host.askAll({FINAL: data[10:]})
        found, whole = [], b""
        for part in parts:
            whole += part.get(PARTIAL, part.get(FINAL))
            if FINAL in part:
                found.append(plistlib.loads(whole)["__selector"])
                whole = b""
        self.assertEqual(
            found,
            [
                f"_rpc_report{what}:"
                for what in ("Setup", "CurrentState", "ConnectedApplicationList")
            ],
        )

    def test_other(self) -> None:
        """
        What is for a page, or makes no sense, is not answered.
        """
        for request in (
            message("forwardSocketData", WIRSocketDataKey=b"{}"),
            message("forwardGetListing", WIRApplicationIdentifierKey="PID:1"),
            {"__selector": 7},
            {},
        ):
            self.assertEqual(self.host.askAll(request), [])
        self.host.askAll({FINAL: b"nonsense"})
        self.assertTrue(self.host.transport.disconnecting)

    def test_tooLong(self) -> None:
        """
        Parts without an end are the end.
        """
        self.patch(webinspector, "LONGEST", 100)
        self.host.askAll({PARTIAL: b"x" * 101})
        self.assertTrue(self.host.transport.disconnecting)
