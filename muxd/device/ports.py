# -*- test-case-name: tests.device.test_ports -*-
"""
Source ports: which session's segments are whose (protocol 3.3).
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime

HIGHEST = 65535

FREE, USED, RESTING = 0, 1, 2
"""What a port is."""


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
        self._seconds = clock.seconds
        self._rest = rest
        self._last = 0
        self._used = self._resting = 0
        self._ports = bytearray(HIGHEST + 1)
        # Of those that rest, and since when.  Not pairs: tens of thousands of those would be
        # looked through for cycles.
        self._rested: deque[int] = deque()
        self._since: deque[float] = deque()

    def __len__(self) -> int:
        """
        How many ports are in use.
        """
        return self._used

    def take(self) -> int | None:
        """
        A port that is not in use, or None when all are.
        """
        highest = HIGHEST
        if self._used >= highest:
            return None
        if self._used + self._resting >= highest:
            port = self._rested.popleft()
            self._since.popleft()
            self._resting -= 1
        else:
            port = self._next()
        self._ports[port] = USED
        self._used += 1
        return port

    def release(self, port: int) -> None:
        """
        The session has ended.
        """
        if self._ports[port] != USED:
            return
        now: float = self._seconds()
        self._wake(now)
        self._ports[port] = RESTING
        self._used -= 1
        self._resting += 1
        self._rested.append(port)
        self._since.append(now)

    def _wake(self, now: float) -> None:
        """
        Have those rest no longer that have rested for long enough: when others begin, and
        when it matters.
        """
        since, ports = self._since, self._ports
        while since:
            began = since[0]
            if began > now - self._rest:
                break
            since.popleft()
            ports[self._rested.popleft()] = FREE
            self._resting -= 1

    def _next(self) -> int:
        highest = HIGHEST
        ports = self._ports
        port = self._last
        while True:
            port = port + 1 if port < highest else 1
            if ports[port] == RESTING:
                self._wake(self._seconds())
            if ports[port] == FREE:
                self._last = port
                return port
