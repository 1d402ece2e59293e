# -*- test-case-name: tests.tunnel.test_host -*-
"""
The phone's end of RSD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muxd.tunnel.remotexpc import RemoteXPC
from muxd.tunnel.xpc import Message


class RSDServer(RemoteXPC):
    """
    The phone's end of one RSD connection.
    """

    isHost = False

    def __init__(self, tell: Callable[[], dict[str, Any]]) -> None:
        """
        @param tell: Makes the message about the phone.
        """
        super().__init__()
        self._tell = tell

    def ready(self) -> None:
        """
        Tell what the phone is, and has.
        """
        self.send(self._tell())

    def messageReceived(self, message: Message) -> None:
        """
        What a host is concerns nothing here.
        """
