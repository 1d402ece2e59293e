# -*- test-case-name: tests.phone.test_lockdownd -*-
"""
The phone's lockdownd, for a host that is not paired: it says who the phone is,
and that somebody has to agree on its screen.

A message is a big-endian length of four bytes and an XML property list.
"""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from zope.interface import implementer

from muxd.phone.values import Domains
from muxd.wire.messages import MalformedMessage, parsePlist

LOCKDOWN_PORT = 62078
LONGEST_MESSAGE = 1 << 20

Message = dict[str, Any]

HOST_ID_KEY = "UntrustedHostBUID"
"""What a host may set before it is paired."""


@implementer(IPushProducer)
class Lockdownd(Int32StringReceiver):
    """
    One conversation.

    It produces answers for its transport, so a host that asks and does not read
    is not listened to.
    """

    _log = Logger()
    MAX_LENGTH = LONGEST_MESSAGE

    def __init__(self, domains: Domains) -> None:
        """
        @param domains: What GetValue answers.
        """
        self._domains = domains
        self._answers: dict[str, Callable[[Message], Message]] = {
            "QueryType": lambda _: {"Type": "com.apple.mobile.lockdown"},
            "GetValue": self._getValue,
            "SetValue": self._setValue,
            "StartSession": lambda _: {"Error": "InvalidHostID"},
            "StopSession": lambda _: {"Error": "SessionInactive"},
            "Pair": lambda _: {"Error": "PairingDialogResponsePending"},
            "ValidatePair": lambda _: {"Error": "InvalidHostID"},
            "Unpair": lambda _: {"Error": "InvalidHostID"},
            "StartService": lambda _: {"Error": "InvalidService"},
            "EnterRecovery": lambda _: {"Error": "SessionInactive"},
            "Goodbye": lambda _: {"Result": "Success"},
        }

    def connectionMade(self) -> None:
        """
        Agree with the transport on a measure.
        """
        cast(IConsumer, self.transport).registerProducer(self, True)

    def stringReceived(self, string: bytes) -> None:
        """
        Answer a request.
        """
        try:
            request = parsePlist(string)
        except MalformedMessage as error:
            self._log.info("lockdownd closes: {error}", error=str(error))
            self._close()
            return
        name = request.get("Request")
        answer = self._answers.get(name) if isinstance(name, str) else None
        body = answer(request) if answer else {"Error": "InvalidRequest"}
        head = {"Request": name} if isinstance(name, str) else {}
        self.sendString(plistlib.dumps({**head, **body}))
        if name == "Goodbye":
            self._close()

    def lengthLimitExceeded(self, length: int) -> None:
        """
        No host sends so much: this is none.
        """
        self._log.info(
            "lockdownd closes: message of {length} bytes, expected at most {most}",
            length=length,
            most=self.MAX_LENGTH,
        )
        self._close()

    def _close(self) -> None:
        self.paused = True
        cast(IConsumer, self.transport).unregisterProducer()
        cast(ITransport, self.transport).loseConnection()

    def _getValue(self, request: Message) -> Message:
        """
        One value, or without a key all of a domain.
        """
        echoed: Message = {key: request[key] for key in ("Domain", "Key") if key in request}
        domain, key = request.get("Domain", ""), request.get("Key")
        values = self._domains.get(domain, {}) if isinstance(domain, str) else {}
        if key is None and (values or domain == ""):
            # A key must be asked for by its name to be shown.
            shown = {k: v for k, v in values.items() if not isinstance(v, bytes)}
            return {**echoed, "Value": shown}
        if isinstance(key, str) and key in values:
            return {**echoed, "Value": values[key]}
        return {**echoed, "Error": "MissingValue"}

    def _setValue(self, request: Message) -> Message:
        """
        All but one are for paired hosts.
        """
        if request.get("Key") != HOST_ID_KEY:
            return {"Error": "SetProhibited"}
        return {"Key": HOST_ID_KEY, "Value": request.get("Value", "")}
