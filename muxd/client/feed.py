# -*- test-case-name: tests.client.test_feed -*-
"""
A daemon's events, as they come on a connection in Listen mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.client import errors
from muxd.client.answers import DeviceTable, Event
from muxd.client.exchange import EventStream
from muxd.client.problems import DaemonNonsense
from muxd.limits import LIMITS, Limits


class EventReceiver(Protocol):
    """
    Reads events until the connection ends.

    An event that makes no sense is counted, logged and left out; a stream that
    is no sequence of messages any more is closed.
    """

    _log = Logger()

    def __init__(
        self,
        where: str,
        onEvent: Callable[[Event], None],
        onLost: Callable[[EventReceiver, Failure], None],
        limits: Limits = LIMITS,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param where: The daemon's address, for the log.
        @param onEvent: Called with each event, once C{devices} includes it.
        @param onLost: Called at the end; C{devices} has what was there.
        @param clock: For the time that the rest of a message may take; None for no
            limit.
        """
        self._where = where
        self._onEvent = onEvent
        self._onLost = onLost
        self._events = EventStream(where, errors, limits)
        self._limits = limits
        self._clock = clock
        self._stall: IDelayedCall | None = None
        self._isPaused = False

    @property
    def devices(self) -> DeviceTable:
        """
        Which devices are there.
        """
        return self._events.devices

    @property
    def malformed(self) -> int:
        """
        How many messages made no sense.
        """
        return self._events.malformed

    def dataReceived(self, data: bytes) -> None:
        """
        Part of a message came, or several of them.
        """
        complained, before = self.malformed > 0, self._events.messages
        self._events.feed(data)
        try:
            while (event := self._events.next()) is not None:
                self._onEvent(event)
        except DaemonNonsense:
            assert self.transport is not None
            self.transport.loseConnection()
        if self.malformed and not complained:
            self._log.warn(
                "usbmuxd at {where} sent an event that makes no sense: {error}",
                where=self._where,
                error=self._events.complaint,
            )

        if self._events.messages != before or not self._events.withinMessage:
            self._stopTimer()
        self._startTimer()

    def pause(self) -> None:
        """
        Hear nothing more for a while; what is told meanwhile is held back by the daemon.
        """
        self._isPaused = True
        self._stopTimer()
        transport: Any = self.transport
        transport.pauseProducing()

    def resume(self) -> None:
        """
        Hear it.
        """
        self._isPaused = False
        self._startTimer()
        transport: Any = self.transport
        transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The daemon is gone, or the connection was closed.
        """
        self._stopTimer()
        self._onLost(self, reason)

    def _startTimer(self) -> None:
        if self._isPaused or self._stall is not None or self._clock is None:
            return
        if self._events.withinMessage:
            self._stall = self._clock.callLater(self._limits.messageTimeout, self._stalled)

    def _stopTimer(self) -> None:
        stall, self._stall = self._stall, None
        if stall is not None:
            stall.cancel()

    def _stalled(self) -> None:
        self._stall = None
        self._log.warn(
            "usbmuxd at {where} has stopped within an event for {seconds} s; closing",
            where=self._where,
            seconds=self._limits.messageTimeout,
        )
        assert self.transport is not None
        self.transport.loseConnection()


class FeedFactory(Factory):
    """
    Builds feeds for one receiver.
    """

    noisy = False

    def __init__(self, build: Callable[[], EventReceiver]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> EventReceiver:
        """
        Make another feed.
        """
        return self._build()
