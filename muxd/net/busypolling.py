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
makes them.  So it is tried, and accounts are kept: each wait that was looked through has gained
L{WORTH}, the price of sleeping, and has cost as long as it was.  A try is lent L{LENT}, since the
first waits are long, as all other programs sleep as well.  When that is lost, nothing is tried for
many waits, and the next time for twice as many; but soon again after a try that has filled its
account (L{MOST}), which is what it can lose when waits become longer.

With one processor there is nothing to gain: what would end the wait needs it.
"""

from __future__ import annotations

LONGEST = 50e-6
"""The longest that is looked before sleeping, in seconds."""

WORTH = 15e-6
"""The average wait up to which it is worth it, in seconds."""

LENT = 250e-6
"""What a try may lose, in seconds: seven of the longest looks."""

MOST = 2 * LENT
"""What a try may have gained, in seconds."""

LEAST_REST, MOST_REST = 64, 4096
"""After how many waits it is tried again, at least and at most."""


class BusyPolling:
    """
    The choice of one event loop, wait by wait.

    @ivar isPossible: Whether there is anything to gain.
    @ivar longest: The longest that is to be looked, in seconds.
    @ivar balance: What the account of this try has, in seconds.
    """

    def __init__(self, processors: int) -> None:
        """
        @param processors: How many this program may use.
        """
        self.isPossible = processors > 1
        self.longest = LONGEST
        self.balance = LENT
        # In compiled code a constant is an object of Python's.
        self._worth = WORTH
        self._most = MOST
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
        self.balance += self._worth - seconds
        if self.balance < 0:
            self._giveUp()
        elif self.balance >= self._most:
            self.balance = self._most
            self._rest = LEAST_REST

    def _giveUp(self) -> None:
        """
        Sleep for a while.
        """
        self.balance = LENT
        self._resting = self._rest
        self._rest = min(2 * self._rest, MOST_REST)
