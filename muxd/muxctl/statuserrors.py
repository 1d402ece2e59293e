# -*- test-case-name: tests.muxctl.test_statusclient -*-
"""
What can go wrong between a program and a daemon's status socket.
"""

from __future__ import annotations

from muxd.client.socketerrors import UsbmuxError


class NoStatus(UsbmuxError, ConnectionError):
    """
    There is no status socket where we looked, or we may not connect to it.
    """


class StatusNonsense(UsbmuxError):
    """
    What came is no answer of a status socket.
    """


class StatusRefused(UsbmuxError):
    """
    The daemon has answered with an error.

    @ivar status: The number that HTTP has for it.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
