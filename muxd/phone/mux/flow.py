# -*- test-case-name: tests.phone.mux.test_session,tests.phone.mux.test_flow -*-
"""
The two directions of a phone's session: what the host has sent, what the service has
written, and the numbers that a host must keep to (protocol 3.4, 3.6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from twisted.internet.interfaces import (
    IDelayedCall,
    IProducer,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)

from muxd.wire.mux import WINDOW_SHIFT
from muxd.wire.sequence import advance, between, distance


class Outbox:
    """
    A queue of bytes that is written in any pieces and taken in other ones.
    """

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """
        Add to the end.
        """
        if data:
            self._chunks.append(data)
            self._size += len(data)

    def take(self, count: int) -> bytes:
        """
        Take at most this many from the front.
        """
        parts: list[bytes] = []
        count = min(count, self._size)
        self._size -= count
        while count:
            head = self._chunks[0]
            part = head[self._offset : self._offset + count]
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
            if self._offset == len(head):
                self._chunks.popleft()
                self._offset = 0
        return b"".join(parts)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._chunks.clear()
        self._offset = self._size = 0


LARGEST_WINDOW = 0xFFFF << WINDOW_SHIFT


class Inflow:
    """
    The numbers of the receiving side, and the bytes between them.

    @ivar expected: The sequence number of the next byte from the host.
    @ivar taken: Of the next byte that the service gets.
    """

    def __init__(self) -> None:
        self.expected = 0
        self.taken = 0
        self._told = 0
        self._edge = 0
        self._chunks: deque[bytes] = deque()

    def __len__(self) -> int:
        return distance(self.taken, self.expected)

    @property
    def room(self) -> int:
        """
        How many bytes more the host was allowed.
        """
        return distance(self.expected, self._edge)

    @property
    def owed(self) -> bool:
        """
        Whether the service has had bytes that the host has not been told of.
        """
        return self._told != self.taken

    def begin(self, seq: int) -> None:
        """
        The host's SYN, which counts as a byte.
        """
        self.expected = self.taken = self._told = self._edge = advance(seq, 1)

    def append(self, payload: bytes) -> None:
        """
        Bytes in sequence, within the room.
        """
        self.expected = advance(self.expected, len(payload))
        self._chunks.append(payload)

    def take(self) -> bytes:
        """
        The next bytes for the service.
        """
        data = self._chunks.popleft()
        self.taken = advance(self.taken, len(data))
        return data

    def offer(self, window: int) -> tuple[int, int]:
        """
        Tell the host of a window.  What was offered once is not taken back by a
        smaller one.

        @return: The acknowledgement, and the window as it can be told.
        """
        self._told = self.taken
        window = min(window, LARGEST_WINDOW) & ~0xFF
        if window > distance(self.taken, self._edge):
            self._edge = advance(self.taken, window)
        return self.taken, window

    def clear(self) -> None:
        """
        Forget what the service will not get; it stays unacknowledged.
        """
        self._chunks.clear()

    def __bool__(self) -> bool:
        return bool(self._chunks)


@dataclass(frozen=True, slots=True)
class Objection:
    """
    What ends a session.

    @ivar text: For the reader of the violations.
    @ivar reason: For the host, in the reset.
    """

    text: str
    reason: bytes


@dataclass(slots=True)
class Outgoing:
    """
    The numbers of the sending side.

    @ivar sequence: Of the next byte to the host.
    @ivar acknowledged: By the host.
    @ivar window: The host's, in bytes.
    """

    sequence: int = 0
    acknowledged: int = 0
    window: int = 0

    def begin(self, sequence: int, window: int) -> None:
        """
        The SYN|ACK is next.
        """
        self.sequence = self.acknowledged = sequence
        self.window = window

    @property
    def room(self) -> int:
        """
        How many bytes more the host takes.
        """
        return max(0, self.window - ((self.sequence - self.acknowledged) & 0xFFFFFFFF))


def objection(
    inflow: Inflow, outgoing: Outgoing, seq: int, ack: int, size: int, opening: bool
) -> Objection | None:
    """
    Whether a segment with these numbers is out of order.

    @param size: Of its payload.
    @param opening: It ends the handshake.
    """
    low = outgoing.sequence if opening else outgoing.acknowledged
    if not between(low, ack, outgoing.sequence):
        return Objection(f"ack {ack}, expected {low} to {outgoing.sequence}", b"ack out of range")
    if seq != inflow.expected:
        return Objection(f"seq {seq}, expected {inflow.expected}", b"sequence gap")
    if size > inflow.room:
        return Objection(
            f"window overrun: {size} bytes, room for {inflow.room}",
            b"amnesia: the host has overrun the window",
        )
    return None


SEND_BUFFER = 65536
"""Unsent bytes at which a producer is paused."""

ASKING = 1.0
"""Seconds that a producer has to write the rest, from when it is resumed."""


class Outflow:
    """
    A buffer that keeps one producer at a measure.

    A push producer is paused when the buffer is full and resumed when it is half
    empty.  A pull producer fills it up once in a reactor turn: in the same turn
    a host that takes everything at once would keep it at that forever.

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
        The first bytes, at most this many.
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
        There is no producer any more.
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
