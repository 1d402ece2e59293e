# -*- test-case-name: tests.phone.test_session -*-
"""
What a service writes, from its write to its segment, and whoever produces it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import (
    IDelayedCall,
    IProducer,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)

from muxd.phone.outbox import Outbox

SEND_BUFFER = 65536
"""Unsent bytes at which a producer is paused."""

ASKING = 1.0
"""Seconds that a producer has to write the rest, from when it is resumed."""


class Outflow:
    """
    A buffer that keeps one producer at a measure.

    A push producer is paused when the buffer is full and resumed when it is half
    empty.  A pull producer fills it up once in a reactor turn: in the same turn
    a host that takes everything at once would keep it at that for ever.

    @ivar producer: The registered one.
    """

    def __init__(self, clock: IReactorTime, written: Callable[[], None]) -> None:
        """
        @param written: Called when there is something new to send, or no
            producer any more.
        """
        self.producer: IProducer | None = None
        self._clock = clock
        self._written = written
        self._outbox = Outbox()
        self._streaming = True
        self._paused = False
        self._isClosing = False
        self._asking: IDelayedCall | None = None
        self._pulling = False
        self._refill: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._outbox)

    @property
    def full(self) -> bool:
        """
        Whether nothing more should be written.
        """
        return len(self._outbox) >= SEND_BUFFER

    @property
    def awaited(self) -> bool:
        """
        Whether there is a producer that has to be asked before it can write, or was asked
        for the rest just now.  As with Twisted's own transports, one that is free to write
        when the end comes has nothing more to say.
        """
        isAsked = self._asking is not None
        return self.producer is not None and (self._paused or isAsked or not self._streaming)

    def closing(self) -> None:
        """
        From now on it is asked for the rest.
        """
        self._isClosing = True

    def write(self, data: bytes) -> None:
        """
        Take data in any amount, and pause the producer that wrote too much.
        """
        self._outbox.append(data)
        self._stopAsking()
        if not self._pulling:
            self._written()
            self._check()

    def take(self, count: int) -> bytes:
        """
        The first bytes, at most so many.
        """
        return self._outbox.take(count)

    def drained(self) -> None:
        """
        Some of it has been sent: wake the producer if there is room again.
        """
        if len(self._outbox) >= SEND_BUFFER // 2 or self.producer is None:
            return
        if not self._streaming:
            self._scheduleRefill()
        elif self._paused:
            self._paused = False
            if self._isClosing:
                self._asking = self._clock.callLater(ASKING, self._notAnswered)
            cast(IPushProducer, self.producer).resumeProducing()

    def clear(self) -> None:
        """
        Forget what was written.
        """
        self._outbox.clear()

    def register(self, producer: IProducer, streaming: bool) -> None:
        """
        Begin to look after a producer.

        @raise RuntimeError: There is one.
        """
        if self.producer is not None:
            raise RuntimeError(f"cannot register {producer!r}: {self.producer!r} is registered")
        self.producer = producer
        self._streaming = streaming
        self._paused = False
        if streaming:
            self._check()
        else:
            self._scheduleRefill()

    def unregister(self) -> None:
        """
        Nobody produces any more.
        """
        self.producer = None
        self._stopAsking()
        self._written()

    def stop(self) -> None:
        """
        The session is over.
        """
        self.clear()
        self._stopAsking()
        if self._refill is not None:
            self._refill.cancel()
            self._refill = None
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()

    def _notAnswered(self) -> None:
        """
        It has nothing more to say: TLS does not know when to unregister.
        """
        self._asking = None
        self._written()

    def _stopAsking(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    def _check(self) -> None:
        if self.producer is not None and self._streaming and self.full and not self._paused:
            self._paused = True
            cast(IPushProducer, self.producer).pauseProducing()

    def _scheduleRefill(self) -> None:
        if self._refill is None:
            self._refill = self._clock.callLater(0, self._pull)

    def _pull(self) -> None:
        """
        Fill the buffer from a pull producer; what it writes is sent when it is
        full, in large segments.
        """
        self._refill = None
        self._pulling = True
        start = len(self._outbox)
        try:
            while self.producer is not None and not self.full:
                before = len(self._outbox)
                cast(IPullProducer, self.producer).resumeProducing()
                if len(self._outbox) == before:
                    break
        finally:
            self._pulling = False
        # One that had nothing is asked again when the host is next heard of.
        if len(self._outbox) > start:
            self._written()
