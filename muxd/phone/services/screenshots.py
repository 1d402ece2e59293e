# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.mobile.screenshotr}: a picture of the screen.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.lockdown.plists import Message
from muxd.phone.services.devicelink import DeviceLink


class Screenshotr(DeviceLink):
    """
    One host.
    """

    def __init__(self, picture: Callable[[], bytes]) -> None:
        """
        @param picture: Takes one.
        """
        self._picture = picture

    def processReceived(self, message: Message) -> None:
        """
        The host wants a picture.
        """
        if message.get("MessageType") != "ScreenShotRequest":
            self.malformed(f"expected ScreenShotRequest, got {message.get('MessageType')!r:.80}")
            return
        reply = {"MessageType": "ScreenShotReply", "ScreenShotData": self._picture()}
        self.say("DLMessageProcessMessage", reply)
