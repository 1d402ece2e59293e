# -*- test-case-name: tests.device.test_times -*-
"""
How long things take with a phone, in plain integers: how many took up to so long.
"""

from __future__ import annotations

CONNECT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""In seconds; a phone has ten to answer."""

STALL_BOUNDS = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0)
"""In seconds; a client may take nothing for as long as it likes."""


class Histogram:
    """
    How many values were up to each of some bounds.

    @ivar bounds: In ascending order.
    @ivar counts: How many were up to each, and above the one before; the last of them is
        of those above all.
    @ivar total: Of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """
        Count a value.
        """
        place = 0
        # Most are among the first.
        for bound in self.bounds:
            if value <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.total += value


class SessionTimes:
    """
    Those of one phone since it was attached, in seconds.

    @ivar connects: From SYN to SYN|ACK.
    @ivar stalls: From when a session's end did not take all that the phone had sent, until
        it had.
    """

    __slots__ = ("connects", "stalls")

    def __init__(self) -> None:
        self.connects = Histogram(CONNECT_BOUNDS)
        self.stalls = Histogram(STALL_BOUNDS)
