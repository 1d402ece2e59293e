# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.mobile.assertion_agent}: a host asks that the phone does not sleep, which it never does.
"""

from __future__ import annotations

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService


class AssertionAgent(RequestService):
    """
    One host.
    """

    keyword = "CommandKey"

    def ask_CommandCreateAssertion(self, request: Message) -> Message:
        """
        Agree.
        """
        return {
            key: request[key]
            for key in ("CommandKey", "AssertionTypeKey", "AssertionNameKey")
            if isinstance(request.get(key), str)
        }

    def unknown(self, message: Message) -> Message:
        """
        What is not done here.
        """
        return {"ErrorKey": "unknown command"}
