# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
Services that hosts ask for, and that have nothing to do on a simulated phone: it never sleeps
(C{com.apple.mobile.assertion_agent}), has no watch (C{com.apple.companion_proxy}), and keeps its
crash reports where hosts read them (C{com.apple.crashreportmover}).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService

NO_WATCH = {"Error": "NoPairedWatches"}

MOVED = b"ping\0"


class AssertionAgent(RequestService):
    """
    C{com.apple.mobile.assertion_agent}, for one host: it asks that the phone does not sleep.
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


class CompanionProxy(RequestService):
    """
    C{com.apple.companion_proxy}, for one host: the watches of a phone, of which it has none.
    """

    keyword = "Command"

    def ask_GetDeviceRegistry(self, request: Message) -> Message:
        """
        Tell the watches.
        """
        return dict(NO_WATCH)

    def ask_StartListeningForDevices(self, request: Message) -> None:
        """
        Tell each watch that comes, which none does.
        """

    ask_StopListeningForDevices = ask_StartListeningForDevices

    def ask_GetValueFromRegistry(self, request: Message) -> Message:
        """
        Tell something of a watch.
        """
        return dict(NO_WATCH)

    ask_StartForwardingServicePort = ask_GetValueFromRegistry
    ask_StopForwardingServicePort = ask_GetValueFromRegistry


class CrashReportMover(Protocol):
    """
    C{com.apple.crashreportmover}, for one host: it has the phone put its crash reports where hosts
    can read them, which is by C{com.apple.crashreportcopymobile}, an AFC of their directory.  They
    are there already.
    """

    def connectionMade(self) -> None:
        """
        Say that it is done.
        """
        transport: Any = self.transport
        transport.write(MOVED)
