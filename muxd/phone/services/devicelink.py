# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
Device link: what screenshots and backups are spoken in.

A message is a property list that is an array, whose first item is its name.  The phone says which
version it speaks, the host agrees, the phone is ready; then either side sends messages to be
processed, or asks the other one to do something with its files.
"""

from __future__ import annotations

import plistlib
from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService
from muxd.wire.measure import measure

VERSION = 300, 0
"""Major and minor."""

EMPTY = "___EmptyParameterString___"


class DeviceLink(RequestService):
    """
    One host.
    """

    keyword = "MessageName"
    _isReady = False

    def connectionMade(self) -> None:
        """
        Say which version is spoken.
        """
        super().connectionMade()
        self.say("DLMessageVersionExchange", *VERSION)

    def say(self, name: str, *values: Any) -> None:
        """
        Send a message.
        """
        self.sendValues([name, *values])

    def stringReceived(self, string: bytes) -> None:
        """
        A message has come.
        """
        try:
            message = plistlib.loads(string)
            measure(message, len(string))
            if not isinstance(message, list) or not message or not isinstance(message[0], str):
                raise ValueError("expected an array that begins with a name")
        except Exception as error:
            self.malformed(f"expected a message of device link: {error!r:.200}")
            return
        name, *values = message
        if name == "DLMessageVersionExchange":
            self._isReady = values[:1] == ["DLVersionsOk"]
            if self._isReady:
                self.say("DLMessageDeviceReady")
            else:
                self.malformed(f"expected DLVersionsOk, got {values!r:.80}")
        elif not self._isReady:
            self.malformed(f"expected DLMessageVersionExchange, got {name!r:.80}")
        elif name == "DLMessageDisconnect":
            self.close()
        elif name == "DLMessageProcessMessage" and values and isinstance(values[0], dict):
            self.processReceived(values[0])
        else:
            self.linkReceived(name, values)

    def processReceived(self, message: Message) -> None:
        """
        A message is to be processed.
        """
        raise NotImplementedError

    def linkReceived(self, name: str, values: list[Any]) -> None:
        """
        Another message has come.
        """
        self.malformed(f"expected DLMessageProcessMessage, got {name!r:.80}")
