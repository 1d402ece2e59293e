# -*- test-case-name: tests.test_ratelimit -*-
"""
Tests of L{muxd.ratelimit}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.ratelimit import MOST_ORIGINS, Pace, RateLimit


class RateLimitTests(SynchronousTestCase):
    """
    The first few of each kind, and a summary.
    """

    def setUp(self) -> None:
        """
        Make a limit of two per minute.
        """
        self.clock = Clock()
        self.summaries: list[tuple[str, int]] = []
        self.limit = RateLimit(
            self.clock, lambda kind, count: self.summaries.append((kind, count)), 2, 60
        )

    def admitted(self, count: int, kind: str = "trouble") -> int:
        """
        How many of so many are admitted.
        """
        return sum(self.limit.admit(kind) for _ in range(count))

    def test_burst(self) -> None:
        """
        The first few are admitted; the others are counted and summarised at the
        end of the interval.
        """
        self.assertEqual(self.admitted(10), 2)
        self.clock.advance(59)
        self.assertEqual(self.admitted(1), 0)
        self.assertEqual(self.summaries, [])
        self.clock.advance(1)
        self.assertEqual(self.summaries, [("trouble", 9)])
        self.assertEqual(self.admitted(10), 2)

    def test_noSummaryOfNothing(self) -> None:
        """
        Where nothing was held back there is no summary, and no timer.
        """
        self.assertEqual(self.admitted(2), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(60)
        self.assertEqual(self.admitted(2), 2)
        self.assertEqual(self.summaries, [])

    def test_origins(self) -> None:
        """
        Much of one origin does not hide another's.
        """
        self.assertEqual(sum(self.limit.admit("trouble", "a") for _ in range(10)), 2)
        self.assertEqual(sum(self.limit.admit("trouble", 5) for _ in range(10)), 2)
        self.assertEqual(self.admitted(10), 2)
        self.clock.advance(60)
        self.assertEqual(
            sorted(self.summaries), [("trouble", 8), ("trouble (5)", 8), ("trouble (a)", 8)]
        )

    def test_manyOrigins(self) -> None:
        """
        Only a few are told apart, and no more is kept of them; those of an earlier interval make
        room.
        """
        for number in range(1000):
            self.limit.admit("trouble", number)
        self.assertEqual(len(self.limit._windows["trouble"]), MOST_ORIGINS + 1)
        self.clock.advance(60)
        [(kind, count)] = self.summaries
        self.assertEqual((kind, count), ("trouble (others)", 1000 - MOST_ORIGINS - 2))
        self.assertEqual(sum(self.limit.admit("trouble", -1) for _ in range(10)), 2)
        self.assertEqual(len(self.limit._windows["trouble"]), 1)

    def test_kindsAreIndependent(self) -> None:
        """
        Much of one kind does not hide another.
        """
        self.admitted(10)
        self.assertEqual(self.admitted(2, "other"), 2)

    def test_stop(self) -> None:
        """
        When it stops, what was held back is told, and no timer is left.
        """
        self.admitted(3)
        self.admitted(1, "other")
        self.limit.stop()
        self.assertEqual(self.summaries, [("trouble", 1)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.admitted(2), 2)


class PaceTests(SynchronousTestCase):
    """
    Tests of L{Pace}.
    """

    def test_pace(self) -> None:
        """
        So much at once, then so much in each second, and never more than that at once.
        """
        clock = Clock()
        pace = Pace(clock, 10, 2)
        self.assertEqual(sum(pace.take() for _ in range(20)), 10)
        clock.advance(1.5)
        self.assertEqual(sum(pace.take() for _ in range(20)), 3)
        clock.advance(1000)
        self.assertEqual(sum(pace.take() for _ in range(20)), 10)

    def test_spend(self) -> None:
        """
        What happens in any case counts, if need be before it is there.
        """
        clock = Clock()
        pace = Pace(clock, 2, 1)
        self.assertTrue(pace.take())
        pace.spend()
        pace.spend()
        clock.advance(1)
        self.assertFalse(pace.take())
        clock.advance(1)
        self.assertTrue(pace.take())

    def test_beginsLate(self) -> None:
        """
        It does not matter what the clock showed before something happened first.
        """
        clock = Clock()
        clock.advance(1e9)
        pace = Pace(clock, 2, 1)
        clock.rightNow = 5.0
        self.assertEqual([pace.take() for _ in range(3)], [True, True, False])
        clock.advance(1)
        self.assertTrue(pace.take())
