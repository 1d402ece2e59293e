# -*- test-case-name: tests.net.test_busypolling -*-
"""
Whether to look for a moment before going to sleep.

To sleep, and to be woken up by another program, takes a processor 20 microseconds and
more, much more of them where processors are virtual; and the program that is to wake us up
pays a part of it.  While bytes move as fast as the machine goes, the next event is nearer
than that.  Then it costs less, and is faster, to look again and again until it comes
(measured on two virtual processors: an echo that the phone answers at once takes 50 microseconds
instead of 200, and 50 of the processor instead of 80).

It costs less only while the waits are that short, on the average, which no real phone on USB 2
makes them.  So it is tried: for L{TRY} waits, and on as long as they are, on the average, no
longer than L{WORTH}.  If they are not, nothing is tried for many waits, and the next time for
twice as many.

With one processor there is nothing to gain: what would end the wait needs it.
"""

from __future__ import annotations

LONGEST = 50e-6
"""The longest that is looked before sleeping, in seconds."""

WORTH = 20e-6
"""The average wait up to which it is worth it, in seconds."""

TRY = 16
"""Waits before it is judged: the first ones are long, as all others sleep as well."""

WEIGHT = 1 / TRY
"""What the latest wait counts in the average."""

LEAST_REST, MOST_REST = 64, 1024
"""After how many waits it is tried again, at least and at most."""


class BusyPolling:
    """
    The choice of one event loop, wait by wait.

    @ivar isPossible: Whether there is anything to gain.
    @ivar longest: The longest that is to be looked, in seconds.
    @ivar average: How long the latest waits were, in seconds, as far as it was looked.
    """

    def __init__(self, processors: int) -> None:
        """
        @param processors: How many this program may use.
        """
        self.isPossible = processors > 1
        self.longest = LONGEST
        self.average = WORTH
        # In compiled code a constant is an object of Python's.
        self._worth = WORTH
        self._weight = WEIGHT
        self._trying = TRY
        self._resting = 0
        self._rest = LEAST_REST

    def isDue(self) -> bool:
        """
        Whether to look before this wait.
        """
        if not self.isPossible:
            return False
        if self._resting:
            self._resting -= 1
            return False
        return True

    def looked(self, seconds: float) -> None:
        """
        It has been looked for this long, with success or without.
        """
        self.average += (seconds - self.average) * self._weight
        if self._trying:
            self._trying -= 1
        elif self.average > self._worth:
            self._giveUp()
        else:
            self._rest = LEAST_REST

    def _giveUp(self) -> None:
        """
        Sleep for a while.
        """
        self.average = WORTH
        self._trying = TRY
        self._resting = self._rest
        self._rest = min(2 * self._rest, MOST_REST)
