# -*- test-case-name: tests.device.test_producing -*-
"""
A producer and what it was last told.
"""

from __future__ import annotations

from typing import Any


class ProducerGate:
    """
    Pauses a producer above a mark and resumes it below half of that; never
    tells it the same thing twice.

    A pull producer is asked for more whenever nothing is left.

    @ivar producer: The registered one, or None.
    """

    __slots__ = ("_mark", "_paused", "_streaming", "producer")

    def __init__(self, mark: int) -> None:
        """
        @param mark: Bytes.
        """
        self.producer: Any = None
        self._mark = mark
        self._streaming = False
        self._paused = False

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
        self._paused = False
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
        return producer

    def filled(self, buffered: int) -> None:
        """
        So many bytes are waiting after a write.
        """
        if self._streaming and not self._paused and buffered > self._mark:
            self._paused = True
            self.producer.pauseProducing()

    def drained(self, buffered: int) -> None:
        """
        So many bytes are left after some were taken.
        """
        if self.producer is None:
            return
        if not self._streaming:
            if not buffered:
                self.producer.resumeProducing()
        elif self._paused and buffered < self._mark // 2:
            self._paused = False
            self.producer.resumeProducing()
