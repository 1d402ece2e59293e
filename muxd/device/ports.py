# -*- test-case-name: tests.device.test_ports -*-
"""
Source ports: which session's segments are whose (protocol 3.3).
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime

HIGHEST = 65535


class SourcePorts:
    """
    Hands out source ports from 1 to 65535, counting up.

    A port rests for a while after its session has ended, because late packets
    for that session still carry it; but a session is not refused for that: when
    no other port is left, the one that has rested longest is taken.
    """

    def __init__(self, clock: IReactorTime, rest: float) -> None:
        """
        @param rest: Seconds for a port to rest.
        """
        self._clock = clock
        self._rest = rest
        self._last = 0
        self._used: set[int] = set()
        self._resting: set[int] = set()
        self._since: deque[tuple[int, float]] = deque()

    def __len__(self) -> int:
        """
        How many ports are in use.
        """
        return len(self._used)

    def take(self) -> int | None:
        """
        A port that is not in use, or None when all are.
        """
        highest = HIGHEST
        if len(self._used) >= highest:
            return None
        if len(self._used) + len(self._resting) >= highest:
            port, _ = self._since.popleft()
            self._resting.discard(port)
        else:
            port = self._next()
        self._used.add(port)
        return port

    def release(self, port: int) -> None:
        """
        The session has ended.
        """
        now = self._clock.seconds()
        self._wake(now)
        self._used.discard(port)
        self._resting.add(port)
        self._since.append((port, now))

    def _wake(self, now: float) -> None:
        """
        Have those rest no longer that have rested for long enough: when others begin, and
        when it matters.
        """
        since = self._since
        while since and since[0][1] <= now - self._rest:
            self._resting.discard(since.popleft()[0])

    def _next(self) -> int:
        highest = HIGHEST
        port = self._last
        while True:
            port = port + 1 if port < highest else 1
            if port in self._resting:
                self._wake(self._clock.seconds())
            if port not in self._used and port not in self._resting:
                self._last = port
                return port
