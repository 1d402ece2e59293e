"""
What can go wrong with a hub.
"""

from __future__ import annotations

from muxd.client.socketerrors import UsbmuxError

NOT_THERE, WRONG_USAGE, NO_HUB, TIME_OUT, FAILED = 1, 2, 3, 4, 5


class FleetProblem(UsbmuxError):
    """
    A hub does not do what was asked.

    @ivar status: What to exit with.
    """

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status
