# -*- test-case-name: tests.phone.services.test_webinspector -*-
"""
C{com.apple.webinspector}: the pages that are open in Safari, as far as listing them.

A message names a selector and has an argument.  Old hosts, and those that speak to old phones, cut
messages into parts and wrap each; a host that does so is answered in the same way.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService
from muxd.wire.messages import MalformedMessage, parsePlist

SAFARI = "PID:300"
BUNDLE = "com.apple.mobilesafari"

PARTIAL, FINAL = "WIRPartialMessageKey", "WIRFinalMessageKey"

PART = 8096
"""Bytes of a part of a message."""

LONGEST = 16 << 20
"""Bytes of all its parts."""

APPLICATION, PAGE = "WIRApplicationIdentifierKey", "WIRPageIdentifierKey"


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page that is open.
    """

    title: str = "A page of a simulated phone"
    url: str = "https://example.org/"


class WebInspector(RequestService):
    """
    One host.
    """

    MAX_LENGTH = LONGEST

    def __init__(self, pages: Sequence[Page] = (Page(),)) -> None:
        self._pages = pages
        self._parts = bytearray()
        self._isWrapping = False

    def plistReceived(self, message: Message) -> None:
        """
        A message, or a part of one.
        """
        part = message.get(PARTIAL, message.get(FINAL))
        if isinstance(part, bytes):
            self._isWrapping = True
            self._parts += part
            if len(self._parts) > LONGEST:
                self.malformed(f"expected messages of at most {LONGEST} bytes")
                return
            if PARTIAL in message:
                return
            whole = bytes(self._parts)
            self._parts.clear()
            try:
                message = parsePlist(whole)
            except MalformedMessage as error:
                self.malformed(str(error))
                return
        argument = message.get("__argument")
        self._selected(
            str(message.get("__selector")), argument if isinstance(argument, dict) else {}
        )

    def _selected(self, selector: str, argument: dict[str, Any]) -> None:
        if selector == "_rpc_reportIdentifier:":
            self._say("reportSetup", {"WIRSimulatorNameKey": "", "WIRSimulatorBuildKey": ""})
            state = {"WIRAutomationAvailabilityKey": "WIRAutomationAvailabilityNotAvailable"}
            self._say("reportCurrentState", state)
            self._sayApplications()
        elif selector == "_rpc_getConnectedApplications:":
            self._sayApplications()
        elif selector == "_rpc_forwardGetListing:" and argument.get(APPLICATION) == SAFARI:
            self._sayListing()
        # What is said to a page has no page here to hear it; hosts expect no answer to that.

    def _sayApplications(self) -> None:
        safari = {
            APPLICATION: SAFARI,
            "WIRApplicationBundleIdentifierKey": BUNDLE,
            "WIRApplicationNameKey": "Safari",
            "WIRAutomationAvailabilityKey": "WIRAutomationAvailabilityNotAvailable",
            "WIRIsApplicationActiveKey": 1,
            "WIRIsApplicationProxyKey": False,
            "WIRIsApplicationReadyKey": True,
        }
        known = {"WIRApplicationDictionaryKey": {SAFARI: safari}}
        self._say("reportConnectedApplicationList", known)

    def _sayListing(self) -> None:
        listing = {
            str(number): {
                PAGE: number,
                "WIRTitleKey": page.title,
                "WIRTypeKey": "WIRTypeWeb",
                "WIRURLKey": page.url,
            }
            for number, page in enumerate(self._pages, 1)
        }
        self._say("applicationSentListing", {APPLICATION: SAFARI, "WIRListingKey": listing})

    def _say(self, name: str, argument: dict[str, Any]) -> None:
        if name == "reportSetup" and not self._isWrapping:
            # Hosts that do not wrap are new, and know no such message.
            return
        message = {"__selector": f"_rpc_{name}:", "__argument": argument}
        if not self._isWrapping:
            self.sendValues(message)
            return
        data = plistlib.dumps(message, fmt=plistlib.FMT_BINARY)
        for start in range(0, len(data), PART):
            key = FINAL if start + PART >= len(data) else PARTIAL
            self.sendValues({key: data[start : start + PART]})
