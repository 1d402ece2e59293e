# -*- test-case-name: tests.client.test_watcher,tests.client.test_watchermachine -*-
"""
A feed of a daemon's events that is opened again whenever it is lost.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.internet import backoffPolicy
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.answers import Event
from muxd.client.client import UsbmuxClient
from muxd.client.feed import EventReceiver, FeedFactory
from muxd.client.persistent import PersistentClient

LONGEST_DELAY = 5.0
"""
Seconds between two attempts to reach a daemon: soon, since on many hosts it is the phone's
being plugged in that starts the daemon.
"""


class FeedService(Service):
    """
    A service that keeps listening to a daemon while it runs.

    What is wrong is logged once, and not at every attempt.
    """

    _log = Logger()

    def __init__(
        self,
        client: UsbmuxClient,
        opened: Callable[[], None],
        eventCame: Callable[[Event], None],
        lost: Callable[[], None],
        retryPolicy: Callable[[int], float] | None = None,
    ) -> None:
        """
        @param opened: Called when the daemon has accepted the listener, before any event.
        @param eventCame: Called with each event.
        @param lost: Called when the feed has ended, also by C{stopService}.
        @param retryPolicy: As in C{ClientService}, after how many seconds to try again to
            reach the daemon.  If None, at most L{LONGEST_DELAY}.
        """
        self._client = client
        self._opened = opened
        self._eventCame = eventCame
        self._lost = lost
        self._feed: EventReceiver | None = None
        self._trouble = ""
        self._listening = PersistentClient(
            _FeedEndpoint(self._listen, client.access.where),
            FeedFactory(self._buildFeed),
            retryPolicy=backoffPolicy(maxDelay=LONGEST_DELAY)
            if retryPolicy is None
            else retryPolicy,
            clock=client.access.clock,
        )

    @property
    def trouble(self) -> str:
        """
        Why the daemon cannot be listened to at present, or nothing.
        """
        return self._trouble

    def startService(self) -> None:
        """
        Begin to listen.
        """
        super().startService()
        self._listening.startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop listening.

        @return: fires when the connection is closed.
        """
        super().stopService()
        return self._listening.stopService()

    def drop(self) -> None:
        """
        Close the feed that is open, as one of a daemon that does not answer any more; it
        will be opened again.
        """
        if self._feed is not None and self._feed.transport is not None:
            transport = self._feed.transport
            getattr(transport, "abortConnection", transport.loseConnection)()

    def pause(self) -> None:
        """
        Hear no more of what the daemon tells, until L{resume} or the next feed.
        """
        if self._feed is not None:
            self._feed.pause()

    def resume(self) -> None:
        """
        Hear it.
        """
        if self._feed is not None:
            self._feed.resume()

    def _listen(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._client.listen(factory).addErrback(self._listenFailed)

    def _listenFailed(self, failure: Failure) -> Failure:
        trouble = failure.getErrorMessage()
        if self.running and trouble != self._trouble:
            self._trouble = trouble
            self._log.warn("not told of phones at present: {trouble}", trouble=trouble)
        return failure

    def _buildFeed(self) -> EventReceiver:
        access = self._client.access
        self._trouble = ""
        self._log.info("listening to the usbmuxd at {where}", where=access.where)
        self._feed = EventReceiver(
            access.where, self._eventCame, self._feedLost, access.limits, access.clock
        )
        self._opened()
        return self._feed

    def _feedLost(self, feed: EventReceiver, reason: Failure) -> None:
        if feed is self._feed:
            self._feed = None
        self._lost()


@implementer(IStreamClientEndpoint)
class _FeedEndpoint:
    """
    What C{ClientService} connects: no connection counts that has not been
    accepted as a listener.
    """

    def __init__(
        self, listen: Callable[[IProtocolFactory], Deferred[IProtocol]], where: str
    ) -> None:
        self._listen = listen
        self._where = where

    def __repr__(self) -> str:
        return f"usbmuxd at {self._where}"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Become a listener.
        """
        return self._listen(protocolFactory)
