# -*- test-case-name: tests.phone.services.test_requests -*-
"""
What services have in common whose messages are property lists.

A host asks with a dictionary that names what it wants; a service has a method for each of these
names, C{ask_Browse} for C{Browse}, which is given the dictionary and returns the answer.
"""

from __future__ import annotations

import plistlib
from typing import Any, ClassVar

from muxd.lockdown.plists import AnsweringProtocol, Message

LONGEST_REQUEST = 16 << 20
"""Bytes: an icon state or a profile may be long."""


class RequestService(AnsweringProtocol):
    """
    A service with a method for each request.

    @cvar keyword: Where a request is named.
    """

    MAX_LENGTH = LONGEST_REQUEST
    keyword: ClassVar[str] = "Request"

    def plistReceived(self, message: Message) -> None:
        """
        Answer a request.  A method that returns C{None} has answered it, or will.
        """
        name = message.get(self.keyword)
        known = isinstance(name, str) and name.isascii() and name.isidentifier()
        method = getattr(self, f"ask_{name}", None) if known else None
        answer = self.unknown(message) if method is None else method(message)
        if answer is not None:
            self.sendValues(answer)

    def sendValues(self, values: Any) -> None:
        """
        Say something, which need not be a dictionary.  What XML cannot say is said in binary: a
        file on the phone, or another host, may have brought it.
        """
        try:
            data = plistlib.dumps(values)
        except (TypeError, ValueError):
            data = plistlib.dumps(values, fmt=plistlib.FMT_BINARY)
        self.sendString(data)

    def unknown(self, message: Message) -> Message | None:
        """
        What is answered to a request that has no method.
        """
        return {"Error": "UnknownCommand"}
