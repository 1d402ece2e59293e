# -*- test-case-name: tests.status.test_streaming -*-
"""
Answers without an end: events, lines of a log, packets.

A stream holds nothing for a reader that does not read: it is asked whether it has room,
and told when it has again; and a reader that takes nothing for some time is let go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from muxd.status.answers import RequestError

if TYPE_CHECKING:
    from muxd.status.channel import StatusChannel


@implementer(IPushProducer)
class AnswerStream:
    """
    One answer that goes on until its reader, or its writer, ends it.

    @ivar hasRoom: Whether more should be written now: otherwise leave it out, or wait
        until C{resumed} is called.
    @ivar isOpen: Whether it has not ended.
    """

    def __init__(
        self,
        request: Request,
        contentType: bytes,
        ended: Callable[[], None],
        resumed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        @param ended: Called once, when the reader has gone.
        @param resumed: Called when there is room again.
        @raise RequestError: There are too many.
        """
        self._channel: StatusChannel = cast("StatusChannel", request.channel)
        self._site = self._channel.site
        if self._site.streams >= self._site.limits.statusStreams:
            raise RequestError(
                503,
                f"there are {self._site.streams} streams already",
                "close some of the pages and programs that watch this daemon",
            )
        self._site.streams += 1
        self._request = request
        self._ended = ended
        self._resumed = resumed
        self.hasRoom = True
        self.isOpen = True
        self._patience: IDelayedCall | None = None
        request.setHeader(b"Content-Type", contentType)
        # Read by proxies such as nginx.
        request.setHeader(b"X-Accel-Buffering", b"no")
        request.notifyFinish().addBoth(self._finished)
        request.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """
        Send more, whether there is room or not.
        """
        if self.isOpen:
            self._request.write(data)

    def finish(self) -> None:
        """
        There is no more to come.
        """
        if self.isOpen:
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        """
        The reader is behind.
        """
        self.hasRoom = False
        if self._patience is None and self.isOpen:
            clock, limits = self._site.reactor, self._site.limits
            self._patience = clock.callLater(limits.statusPatience, self._drop)

    def resumeProducing(self) -> None:
        """
        It has caught up.
        """
        self.hasRoom = True
        self._stopTimer()
        if self.isOpen:
            self._resumed()

    def stopProducing(self) -> None:
        """
        It has gone; C{ended} is called for that.
        """

    def _drop(self) -> None:
        self._patience = None
        self._site.dropped("streams from the status socket whose client does not read")
        self._channel.transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._patience = self._patience, None
        if timer is not None:
            timer.cancel()

    def _finished(self, result: Failure | None) -> None:
        self._stopTimer()
        self.isOpen = False
        self._site.streams -= 1
        self._ended()
