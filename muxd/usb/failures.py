# -*- test-case-name: tests.usb.test_writing -*-
"""
What becomes of pyusb's transfers when they fail.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from usb.core import USBError


class ClearingOnce:
    """
    A function that reads, and the first time that its endpoint is stalled clears
    that and tries again.

    It is for reading alone.  pyusb does not say how much of a transfer was moved before
    it was stalled, and that would be written twice.  What is read so is lost, of which
    the numbers in the packets tell.
    """

    def __init__(self, device: Any, endpoint: int, transfer: Callable[..., int]) -> None:
        self._device = device
        self._endpoint = endpoint
        self._transfer = transfer
        self._cleared = False

    def __call__(self, *args: object) -> int:
        """
        Read.

        @raise USBError: It failed, also if that was for a second stall.
        """
        try:
            return self._transfer(*args)
        except USBError as error:
            if error.errno != errno.EPIPE or self._cleared:
                raise
            self._cleared = True
            self._device.clear_halt(self._endpoint)
            return self._transfer(*args)


def transferFailure(error: USBError) -> Failure:
    """
    What upstairs is told when a transfer fails.
    """
    return Failure(ConnectionLost(f"USB transfer failed: {error}"))
