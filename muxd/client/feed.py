# -*- test-case-name: tests.client.test_feed -*-
"""
A daemon's events, as they come on a connection in Listen mode.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.client.answers import DeviceTable, Event
from muxd.limits import LIMITS, Limits
from muxd.wire.messages import MalformedMessage, MessageReader


class EventFeed(Protocol):
    """
    Reads events until the connection ends.

    An event that makes no sense is counted, logged and left out; a stream that
    is no sequence of messages any more is closed.

    @ivar devices: Which devices are there.
    @ivar malformed: How many messages made no sense.
    """

    _log = Logger()

    def __init__(
        self,
        where: str,
        onEvent: Callable[[Event], None],
        onLost: Callable[[EventFeed, Failure], None],
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param where: The daemon's address, for the log.
        @param onEvent: Called with each event, once C{devices} includes it.
        @param onLost: Called at the end; C{devices} has what was there.
        """
        self.devices = DeviceTable()
        self.malformed = 0
        self._where = where
        self._onEvent = onEvent
        self._onLost = onLost
        self._reader = MessageReader(limits.replySize)

    def dataReceived(self, data: bytes) -> None:
        """
        Part of a message came, or several of them.
        """
        self._reader.feed(data)
        while self._readEvent():
            pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The daemon is gone, or the connection was closed.
        """
        self._onLost(self, reason)

    def _readEvent(self) -> bool:
        """
        @return: whether there may be another one.
        """
        try:
            message = self._reader.next()
        except MalformedMessage as error:
            self._complain(error)
            self._reader.takeRest()
            assert self.transport is not None
            self.transport.loseConnection()
            return False
        if message is None:
            return False
        try:
            event = self.devices.update(message)
        except MalformedMessage as error:
            self._complain(error)
        else:
            if event is not None:
                self._onEvent(event)
        return True

    def _complain(self, error: MalformedMessage) -> None:
        self.malformed += 1
        if self.malformed == 1:
            self._log.warn(
                "usbmuxd at {where} sent an event that makes no sense: {error}",
                where=self._where,
                error=error,
            )


class FeedFactory(Factory):
    """
    Builds feeds for one receiver.
    """

    noisy = False

    def __init__(self, build: Callable[[], EventFeed]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> EventFeed:
        """
        Make another feed.
        """
        return self._build()
