# -*- test-case-name: tests.device.test_phonelog -*-
"""
Trouble with a phone, counted always and logged as often as bears reading.
"""

from __future__ import annotations

from constantly import NamedConstant
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from muxd.device.counters import Breach, MuxerCounters
from muxd.interfaces import Buffer
from muxd.ratelimit import RateLimit
from muxd.wire.mux import ControlKind, phoneText

INFORMATION = 1000
"""How many lines a minute are logged for debugging: more than comes with sessions."""


class PhoneLog:
    """
    What we say of a phone, and what it says of us.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, label: str, counters: MuxerCounters) -> None:
        """
        @param label: What the phone is called in logs.
        @param counters: Where to count.
        """
        self._label = label
        self._counters = counters
        self._told: set[Breach] = set()
        self._trouble = RateLimit(clock, self._summariseTrouble)
        self._information = RateLimit(clock, self._summariseInformation, burst=INFORMATION)

    def add(self, breach: Breach, text: str) -> None:
        """
        The phone broke a rule: count it, and say so the first time.

        @param text: What was expected, and what came.
        """
        self._counters.breached(breach)
        if breach not in self._told:
            self._told.add(breach)
            self._log.warn(
                "{udid} broke the protocol ({breach}): {text}",
                udid=self._label,
                breach=breach.value,
                text=text,
            )

    def controlReceived(self, body: Buffer) -> None:
        """
        The phone has something to say (protocol 2.4).  Information comes with
        every session and is for debugging; errors and warnings are for the
        operator.  Neither of them is to be flooded, and what a line costs, read or
        not, is twenty times what it takes to hold it back.
        """
        if not body:
            self.add(Breach.MALFORMED, "CONTROL: expected a kind, got nothing")
            return
        kind = body[0]
        if kind == ControlKind.INFORMATION:
            if self._information.admit("information"):
                self._say(LogLevel.debug, kind, body)
        elif self._trouble.admit("CONTROL"):
            isTrouble = kind == ControlKind.ERROR or kind == ControlKind.WARNING
            self._say(LogLevel.warn if isTrouble else LogLevel.info, kind, body)

    def stop(self) -> None:
        """
        Leave no timer behind.
        """
        self._trouble.stop()
        self._information.stop()

    def _say(self, level: NamedConstant, kind: int, body: Buffer) -> None:
        text = phoneText(body[1:])
        self._log.emit(level, "{udid} says: {text}", udid=self._label, kind=kind, text=text)

    def _summariseTrouble(self, kind: str, count: int) -> None:
        self._summarise(LogLevel.warn, count)

    def _summariseInformation(self, kind: str, count: int) -> None:
        self._summarise(LogLevel.debug, count)

    def _summarise(self, level: NamedConstant, count: int) -> None:
        self._log.emit(level, "{udid} said {count} more like that", udid=self._label, count=count)
