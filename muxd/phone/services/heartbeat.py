# -*- test-case-name: tests.phone.services.test_heartbeat -*-
"""
C{com.apple.mobile.heartbeat}: the phone asks now and then whether the host is
still there (protocol 8).  The factory is C{ServiceFactory(lambda: Heartbeat(clock))}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import AnsweringProtocol, Message

INTERVAL = 10
"""Seconds between two questions."""

MARGIN = 5
"""Seconds longer that an answer may take."""


class Heartbeat(AnsweringProtocol):
    """
    One host's heart.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Ask for the first time.
        """
        super().connectionMade()
        self._ask()

    def plistReceived(self, message: Message) -> None:
        """
        The host has answered, so the next question follows after the interval.
        """
        if message.get("Command") != "Polo":
            self.malformed(f"expected Polo, got {message.get('Command')!r}")
        else:
            self._wait(INTERVAL, self._ask)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _ask(self) -> None:
        self.sendPlist({"Command": "Marco", "Interval": INTERVAL, "SupportsSleepyTime": True})
        self._wait(INTERVAL + MARGIN, self._silent)

    def _silent(self) -> None:
        self.sendPlist({"Command": "SleepyTime"})
        self.close()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, then)
