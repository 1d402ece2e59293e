"""
Tests of L{muxd.net.busypolling}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.busypolling import LEAST_REST, LENT, LONGEST, MOST, MOST_REST, WORTH, BusyPolling

TRY = int(LENT / (LONGEST - WORTH)) + 1
"""With how many of the longest looks a try has lost what it was lent."""


class BusyPollingTests(SynchronousTestCase):
    """
    A program with two processors.
    """

    def setUp(self) -> None:
        """
        The choice of its loop.
        """
        self.busy = BusyPolling(2)

    def look(self, seconds: float) -> int:
        """
        Wait until it is looked, for so long.

        @return: Before how many waits it was not.
        """
        for rested in range(MOST_REST + 1):
            if self.busy.isDue():
                self.busy.looked(seconds)
                return rested
        self.fail(f"it is not looked within {MOST_REST} waits")

    def test_oneProcessor(self) -> None:
        """
        With one processor it is never looked: the program that would end the wait needs it.
        """
        busy = BusyPolling(1)
        self.assertFalse(busy.isPossible)
        self.assertEqual([busy.isDue() for _ in range(3 * MOST_REST)], [False] * 3 * MOST_REST)

    def test_shortWaits(self) -> None:
        """
        While events come soon it is looked before each wait, forever.
        """
        self.assertEqual([self.look(WORTH / 2) for _ in range(1000)], [0] * 1000)

    def test_longFirst(self) -> None:
        """
        The first waits of a try may be long, as the other programs are asleep.
        """
        for _ in range(TRY - 1):
            self.assertEqual(self.look(LONGEST), 0)
        self.assertEqual([self.look(WORTH / 3) for _ in range(1000)], [0] * 1000)

    def test_longWaits(self) -> None:
        """
        While they come late it is tried seldom, and less and less often.
        """
        rests = []
        for _ in range(9):
            rests += [self.look(LONGEST) for _ in range(TRY)]
        rested = [rest for rest in rests if rest]
        self.assertEqual(rested, [64, 128, 256, 512, 1024, 2048, 4096, 4096])
        self.assertEqual((LEAST_REST, MOST_REST), (rested[0], rested[-1]))

    def test_longLater(self) -> None:
        """
        When they have become long it is given up within a few waits, and tried again soon.
        """
        for _ in range(100):
            self.look(WORTH / 2)
        rests = [self.look(LONGEST) for _ in range(2 * TRY)]
        self.assertEqual([rest for rest in rests if rest], [LEAST_REST])

    def test_soonAgain(self) -> None:
        """
        A try that has succeeded is followed by a short rest when it ends, whatever there was
        before.
        """
        for _ in range(5 * TRY):
            self.look(LONGEST)
        for _ in range(10 * TRY):
            self.look(WORTH / 2)
        rests = [self.look(LONGEST) for _ in range(2 * TRY)]
        self.assertEqual([rest for rest in rests if rest], [LEAST_REST])

    @given(st.lists(st.floats(0, LONGEST), min_size=1, max_size=200))
    def test_account(self, waits: list[float]) -> None:
        """
        Whatever the waits are: the account is never empty nor has more than it may, and all that
        was looked has cost no more than was gained and lent.
        """
        busy = BusyPolling(2)
        lent, gained, cost = LENT, 0.0, 0.0
        for seconds in waits:
            if busy.isDue():
                gained += WORTH
                cost += seconds
                busy.looked(seconds)
                if not busy.isDue():
                    lent += LENT
            self.assertLessEqual(0, busy.balance)
            self.assertLessEqual(busy.balance, MOST)
            self.assertLessEqual(cost, gained + lent + LONGEST)
