# -*- test-case-name: tests.device.test_producing -*-
"""
A producer and what it was last told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime


def _nothing() -> None:
    pass


class ProducerGate:
    """
    Pauses a producer above a mark and resumes it at half of that; never tells
    it the same thing twice.

    A pull producer is asked for more whenever nothing is left.

    A caller that writes twice in a row may take it that nothing gets in between.
    As a link that has room takes a write at once, resuming the producer at once
    could put its bytes there: so it is done later.

    @ivar producer: The registered one, or None.
    @ivar paused: Whether it was told to pause.
    """

    __slots__ = (
        "_clock",
        "_failed",
        "_later",
        "_mark",
        "_streaming",
        "_writing",
        "paused",
        "producer",
    )

    def __init__(self, mark: int, clock: IReactorTime, failed: Callable[[], None]) -> None:
        """
        @param mark: Bytes.
        @param failed: Called in the handler of what C{resumeProducing} raised.
        """
        self.producer: Any = None
        self.paused = False
        self._mark = mark
        self._clock = clock
        self._failed = failed
        self._streaming = False
        self._writing = False
        self._later: IDelayedCall | None = None

    def register(self, producer: Any, streaming: bool, buffered: int) -> None:
        """
        @param buffered: How many bytes are waiting now.
        @raise RuntimeError: There is a producer already.
        """
        if self.producer is not None:
            raise RuntimeError(
                f"cannot register producer {producer!r}: {self.producer!r} is registered"
            )
        self.producer = producer
        self._streaming = streaming
        self.paused = False
        if streaming:
            self.filled(buffered)
        else:
            producer.resumeProducing()

    def unregister(self) -> Any:
        """
        Forget the producer, and return it.
        """
        producer, self.producer = self.producer, None
        self._streaming = False
        self.paused = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        return producer

    def close(self) -> Any:
        """
        Forget the producer, and return it; there will be no other.
        """
        # It is a method of what has this gate.
        self._failed = _nothing
        return self.unregister()

    def filled(self, buffered: int) -> None:
        """
        This many bytes are waiting after a write.
        """
        if self._streaming and not self.paused and buffered > self._mark:
            self.paused = True
            self.producer.pauseProducing()

    def writing(self, send: Callable[[], None]) -> None:
        """
        Let something be sent while the producer is paused, from within a write.
        """
        self._writing = True
        try:
            send()
        finally:
            self._writing = False

    def drained(self, buffered: int) -> None:
        """
        This many bytes are left after some were taken.
        """
        if self.producer is None or self._later is not None:
            return
        if not self._streaming:
            if not buffered:
                self._later = self._clock.callLater(0, self._resume)
        elif self.paused and buffered <= self._mark // 2:
            if self._writing:
                self._later = self._clock.callLater(0, self._resume)
            else:
                self._resume()

    def _resume(self) -> None:
        self._later = None
        self.paused = False
        try:
            self.producer.resumeProducing()
        except Exception:
            self._failed()
