# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.companion_proxy}: the watches of a phone, of which it has none.
"""

from __future__ import annotations

from muxd.lockdown.plists import Message
from muxd.phone.services.requests import RequestService

NO_WATCH = {"Error": "NoPairedWatches"}


class CompanionProxy(RequestService):
    """
    One host.
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
