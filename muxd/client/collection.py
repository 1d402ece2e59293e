# -*- test-case-name: tests.client.test_collection -*-
"""
The devices of a daemon that has no command to list them (protocol 4.12).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muxd.client.access import DaemonAccess
from muxd.client.answers import Device, Event
from muxd.client.errors import DaemonLost
from muxd.client.feed import EventReceiver


class DeviceCollection:
    """
    Listens until no event has come for a moment: a daemon tells a new listener
    of all that are there at once.

    If the events do not stop, as when a phone comes and goes, what is there when
    the time is over is the list.

    @ivar finished: Fires with the devices, after the connection was closed.  It
        fails with L{DaemonLost}.
    """

    def __init__(self, access: DaemonAccess, left: Callable[[], float]) -> None:
        """
        @param left: How many seconds it may take from then on.
        """
        self.finished: Deferred[list[Device]] = Deferred(self._cancelled)
        self._access = access
        self._left = left
        self._feed = EventReceiver(access.where, self._eventCame, self._lost, access.limits)
        self._silence: IDelayedCall | None = None

    def buildFeed(self) -> EventReceiver:
        """
        The feed to listen to; from now on, silence counts.
        """
        self._silence = self._access.clock.callLater(self._patience(), self._silent)
        return self._feed

    def _patience(self) -> float:
        return min(self._access.limits.listSilence, self._left())

    def _eventCame(self, event: Event) -> None:
        if self._silence is not None:
            self._silence.reset(self._patience())

    def _silent(self) -> None:
        self._silence = None
        self._close()
        self.finished.callback(list(self._feed.devices))

    def _lost(self, feed: EventReceiver, reason: Failure) -> None:
        if self._stopTimer():
            self.finished.errback(DaemonLost(self._access.where, "events"))

    def _cancelled(self, finished: Deferred[list[Device]]) -> None:
        self._stopTimer()
        self._close()

    def _stopTimer(self) -> bool:
        """
        @return: whether we were still listening.
        """
        silence, self._silence = self._silence, None
        if silence is not None:
            silence.cancel()
        return silence is not None

    def _close(self) -> None:
        assert self._feed.transport is not None, "cancelled before it was connected"
        self._feed.transport.loseConnection()
