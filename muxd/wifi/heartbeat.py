# -*- test-case-name: tests.wifi.test_heartbeat -*-
"""
A host's side of C{com.apple.mobile.heartbeat}: without it a phone closes what it serves by
the network after a while.

The phone asks (Marco), the host answers at once (Polo), and the phone says in how many
seconds it will ask again; and when it is about to sleep (SleepyTime).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import AnsweringProtocol, Message

FIRST_WAIT = 15.0
MARGIN = 5.0
"""Seconds that a question may be late."""

LONGEST_INTERVAL = 3600.0

AT_ONCE = 16
"""Messages within a second; phones send one in ten seconds."""


class HeartbeatClient(AnsweringProtocol):
    """
    One conversation.

    @ivar begun: Fires when there is a connection.
    @ivar onBeat: Called with each question.
    @ivar onSleep: Called when the phone is about to sleep.
    @ivar onLost: Called once, with why there will be no more questions.
    """

    MAX_LENGTH = 4096

    def __init__(
        self,
        clock: IReactorTime,
        onBeat: Callable[[], object],
        onSleep: Callable[[], object],
        onLost: Callable[[str], object],
    ) -> None:
        self.begun: Deferred[None] = Deferred()
        self._clock = clock
        self._onBeat = onBeat
        self._onSleep = onSleep
        self._onLost: Callable[[str], object] | None = onLost
        self._timer: IDelayedCall | None = None
        self._since = clock.seconds()
        self._heard = 0

    def connectionMade(self) -> None:
        """
        Wait for the first question.
        """
        super().connectionMade()
        if not self.begun.called:
            self.begun.callback(None)
        self._wait(FIRST_WAIT)

    def plistReceived(self, message: Message) -> None:
        """
        Answer a question.
        """
        now = self._clock.seconds()
        if now - self._since >= 1:
            self._since, self._heard = now, 0
        self._heard += 1
        if self._heard > AT_ONCE:
            # It would keep this process busy with nothing else.
            self.malformed(f"more than {AT_ONCE} messages within a second")
            return
        match message.get("Command"):
            case "Marco":
                interval = message.get("Interval")
                if not isinstance(interval, int | float) or not 0 < interval <= LONGEST_INTERVAL:
                    interval = FIRST_WAIT - MARGIN
                self.sendPlist({"Command": "Polo"})
                self._wait(interval + MARGIN)
                self._onBeat()
            case "SleepyTime":
                self._onSleep()
            case command:
                self.malformed(f"expected Marco or SleepyTime, got {command!r}")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        There will be no more questions.
        """
        self._end(reason.getErrorMessage())

    def stop(self) -> None:
        """
        End, and tell of nothing.
        """
        self._onLost = None
        self._end("")
        self.close()

    def _wait(self, seconds: float) -> None:
        self._stopTimer()
        self._timer = self._clock.callLater(seconds, self._late, seconds)

    def _late(self, seconds: float) -> None:
        self._timer = None
        self._end(f"it has not asked for {seconds:g} s")
        self.close()

    def _end(self, reason: str) -> None:
        self._stopTimer()
        onLost, self._onLost = self._onLost, None
        if onLost is not None:
            onLost(reason)

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
