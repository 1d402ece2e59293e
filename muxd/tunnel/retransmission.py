# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
What has been sent and not acknowledged, when it is sent again (RFC 6298), and how much of it there
may be (RFC 5681).

The stream that carries a tunnel loses nothing; what loses segments is a phone that has no room for
them.  So this is the plain sort.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from muxd.tunnel.packets import FIN, SYN
from muxd.tunnel.reassembly import signed
from muxd.wire.sequence import advance, distance

FIRST_TIMEOUT = 1.0
SHORTEST_TIMEOUT = 0.5
"""
Seconds: what other connections have to send is in front of an answer, in a queue that is as long as
the cable is slow.
"""
LONGEST_TIMEOUT = 10.0
GRANULARITY = 0.01
FIRST_SEGMENTS = 10
"""Segments that are sent before anything is known."""


@dataclass(slots=True)
class Sent:
    """
    A segment that has not been acknowledged.

    @ivar at: When it was sent, the last time.
    @ivar tries: How often it was sent again.
    """

    sequence: int
    flags: int
    payload: bytes
    at: float
    tries: int = 0

    @property
    def end(self) -> int:
        """
        The sequence number behind it.
        """
        isFin, isSyn = bool(self.flags & FIN), bool(self.flags & SYN)
        return advance(self.sequence, len(self.payload) + isFin + isSyn)


class Flight(deque[Sent]):
    """
    The segments that are under way, in the order of their numbers.
    """

    __slots__ = ()

    def acknowledged(self, ack: int) -> tuple[bool, float | None]:
        """
        All that is before a number has arrived; of what has arrived in part, the rest is kept.

        @return: Whether a FIN was among it; and when the last one was sent, None if that says
            nothing of the way: there was none, or one was sent again, for which others waited.
        """
        isFin = isAgain = False
        sent: Sent | None = None
        while self and signed(self[0].end, ack) >= 0:
            sent = self.popleft()
            isFin = isFin or bool(sent.flags & FIN)
            isAgain = isAgain or sent.tries > 0
        if self and signed(self[0].sequence, ack) > 0:
            first = self[0]
            first.payload = first.payload[distance(first.sequence, ack) :]
            first.sequence = ack
        return isFin, None if sent is None or isAgain else sent.at


class Timeout:
    """
    How long an acknowledgement is waited for.

    @ivar seconds: So long.
    """

    __slots__ = ("_smooth", "_variation", "seconds")

    def __init__(self) -> None:
        self.seconds = FIRST_TIMEOUT
        self._smooth: float | None = None
        self._variation = 0.0

    def measured(self, seconds: float) -> None:
        """
        A segment that was sent once was acknowledged after so long.
        """
        if self._smooth is None:
            self._smooth, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(self._smooth - seconds) - self._variation) / 4
            self._smooth += (seconds - self._smooth) / 8
        self.known()

    def known(self) -> None:
        """
        Forget how often it has passed.
        """
        if self._smooth is None:
            self.seconds = FIRST_TIMEOUT
            return
        wanted = self._smooth + max(GRANULARITY, 4 * self._variation)
        self.seconds = min(max(wanted, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)

    def passed(self) -> None:
        """
        There was none: wait for twice as long.
        """
        self.seconds = min(2 * self.seconds, LONGEST_TIMEOUT)


class Congestion:
    """
    How many bytes may be under way, whatever the other side has room for.

    @ivar window: So many.
    """

    __slots__ = ("_most", "_mss", "_threshold", "window")

    def __init__(self, mss: int, most: int) -> None:
        """
        @param most: The most there ever may be.
        """
        self._mss = mss
        self._most = max(most, 2 * mss)
        self.window = min(FIRST_SEGMENTS * mss, self._most)
        self._threshold = self._most

    def acknowledged(self, count: int) -> None:
        """
        So many bytes have been taken.
        """
        if self.window < self._threshold:
            grown = min(count, 2 * self._mss)
        else:
            grown = max(1, self._mss * self._mss // self.window)
        self.window = min(self.window + grown, self._most)

    def lost(self, underWay: int, *, isLast: bool) -> None:
        """
        A segment was lost.

        @param underWay: How many bytes are under way.
        @param isLast: Whether nothing has come back since.
        """
        self._threshold = max(underWay // 2, 2 * self._mss)
        self.window = self._mss if isLast else self._threshold
