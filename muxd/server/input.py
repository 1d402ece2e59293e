# -*- test-case-name: tests.server.test_input -*-
"""
Bytes received from a client and not yet parsed, up to a limit.

It is held while a request before it waits for its answer, from a phone or a disk, and
it may all be requests that have to wait themselves.  So it is not enough to read no
further for the time of one of them: a read for each that is performed would fill the
memory, with a client that asks on and on.  L{InputQueue.hold} and L{InputQueue.flow}
are called when the requests that can be performed have been.

Then there may be the beginning of a message, which has its time to become a whole one.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.limits import Limits
from muxd.net.pipe import Joinable
from muxd.server.quickplist import LONGEST_REQUEST
from muxd.wire.messages import Message, MessageReader


def _nothing() -> None:
    pass


class InputQueue:
    """
    A client's bytes that are not performed.
    """

    __slots__ = ("_clock", "_isPaused", "_limits", "_reader", "_timedOut", "_timer", "_transport")

    def __init__(
        self,
        transport: Joinable,
        clock: IReactorTime,
        limits: Limits,
        timedOut: Callable[[], None],
    ) -> None:
        """
        @param timedOut: Called when a message has not become a whole one in time.
        """
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._timedOut = timedOut
        self._reader = MessageReader(limits.messageSize)
        self._timer: IDelayedCall | None = None
        self._isPaused = False

    @property
    def isPaused(self) -> bool:
        """
        Whether the client is read no further.
        """
        return self._isPaused

    def __len__(self) -> int:
        """
        How many bytes there are.
        """
        return len(self._reader)

    def add(self, data: bytes) -> None:
        """
        More has come.
        """
        self._reader.feed(data)

    def next(self) -> Message | None:
        """
        Take a message out, or None while it is incomplete.

        @raise MalformedMessage: It cannot be one; or its header says that it is longer than
            a request of its kind.
        """
        message = self._reader.next(LONGEST_REQUEST)
        if message is not None:
            self._stopTimer()
        return message

    def hold(self) -> None:
        """
        What is there has to wait: read on only if it is little.
        """
        if len(self._reader) <= self._limits.pendingInput:
            self.resume()
        else:
            self.pause()

    def pause(self) -> None:
        """
        Read no further: what is there has to wait for its turn, and there is no end to what
        others ask.
        """
        if not self._isPaused:
            self._isPaused = True
            self._transport.pauseProducing()

    def flow(self) -> None:
        """
        Nothing is there that could be performed: read on, and give an incomplete
        message its time, from its first byte to its last.
        """
        self.resume()
        if not len(self._reader):
            self._stopTimer()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._limits.messageTimeout, self._expired)

    def resume(self) -> None:
        """
        Read on, for what takes the bytes from now on.
        """
        if self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    def stop(self) -> None:
        """
        The client is gone.
        """
        self.take()
        # It is a method of what has this queue.
        self._timedOut = _nothing

    def take(self) -> bytes:
        """
        Take out everything that is left: from here on it is no message.
        """
        self._stopTimer()
        return self._reader.takeRest()

    def _expired(self) -> None:
        self._timer = None
        self._timedOut()

    def _stopTimer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
