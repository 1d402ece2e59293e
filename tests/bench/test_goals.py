"""
Tests for L{bench.goals}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.bounds import BOUNDS
from bench.goals import (
    GOALS,
    AtLeast,
    AtLeastTimes,
    AtMost,
    AtMostTimes,
    CPUAtMostTimes,
    LikeOwn,
    Pair,
    Verdict,
)
from bench.workloads import workloads


class GoalTests(SynchronousTestCase):
    """
    Tests for each kind of goal.
    """

    def test_atLeastTimes(self) -> None:
        """
        A rate must be so many times the other's; between floor and goal is a
        verdict of its own.
        """
        goal = AtLeastTimes(1.2, 0.9)
        verdicts = [goal.judge(Pair(ours, 100), {}) for ours in (120, 119, 90, 89)]
        self.assertEqual(verdicts, [Verdict.MET, Verdict.FLOOR, Verdict.FLOOR, Verdict.MISSED])

    def test_atMostTimes(self) -> None:
        """
        A time may be so many times the other's.
        """
        goal = AtMostTimes(1, 1.5)
        verdicts = [goal.judge(Pair(ours, 100), {}) for ours in (100, 101, 150, 151)]
        self.assertEqual(verdicts, [Verdict.MET, Verdict.FLOOR, Verdict.FLOOR, Verdict.MISSED])

    def test_withoutFloor(self) -> None:
        """
        Without a floor there is nothing between met and missed.
        """
        self.assertIs(AtLeastTimes(5).judge(Pair(4.99, 1), {}), Verdict.MISSED)
        self.assertIs(AtMostTimes(0.1).judge(Pair(0.11, 1), {}), Verdict.MISSED)

    def test_cpu(self) -> None:
        """
        The CPU is compared by the row's costs, not by its figures.
        """
        goal = CPUAtMostTimes(1.2)
        self.assertIs(goal.judge(Pair(1, 100, 12, 10), {}), Verdict.MET)
        self.assertIs(goal.judge(Pair(100, 1, 13, 10), {}), Verdict.MISSED)

    def test_absolute(self) -> None:
        """
        A figure of its own is met whatever the other daemon does.
        """
        self.assertIs(AtLeast(95, "").judge(Pair(95, None), {}), Verdict.MET)
        self.assertIs(AtLeast(95, "").judge(Pair(94, 1), {}), Verdict.MISSED)
        self.assertIs(AtMost(1, "").judge(Pair(1, 100), {}), Verdict.MET)
        self.assertIs(AtMost(1, "").judge(Pair(1.1, 100), {}), Verdict.MISSED)

    def test_likeOwn(self) -> None:
        """
        A row may be compared with another row of our own.
        """
        table = {"without": Pair(ours=100, theirs=1)}
        rate, time = LikeOwn(10, "without"), LikeOwn(10, "without", lowerIsBetter=True)
        self.assertIs(rate.judge(Pair(90), table), Verdict.MET)
        self.assertIs(rate.judge(Pair(89), table), Verdict.MISSED)
        self.assertIs(time.judge(Pair(110), table), Verdict.MET)
        self.assertIs(time.judge(Pair(112), table), Verdict.MISSED)

    def test_notMeasured(self) -> None:
        """
        What lacks a figure is neither met nor missed.
        """
        for goal, pair in (
            (AtLeastTimes(1), Pair(ours=1)),
            (AtMostTimes(1), Pair(theirs=1)),
            (AtMostTimes(1), Pair(ours=1, theirs=0)),
            (CPUAtMostTimes(1), Pair(1, 1)),
            (AtLeast(1, ""), Pair(theirs=1)),
            (LikeOwn(10, "without"), Pair(1, 1)),
        ):
            self.assertIs(goal.judge(pair, {}), Verdict.UNKNOWN, str(goal))

    def test_texts(self) -> None:
        """
        A goal says what it asks for.
        """
        self.assertEqual(str(AtLeastTimes(5)), ">= 5x")
        self.assertEqual(str(AtMostTimes(1, 2.5)), "<= 1x (floor 2.5x)")
        self.assertEqual(str(CPUAtMostTimes(1.2)), "CPU <= 1.2x")
        self.assertEqual(str(LikeOwn(10, "a.b")), "within 10 % of our a.b")
        self.assertEqual(str(AtMost(1, "<= 1 s")), "<= 1 s")


class TableTests(SynchronousTestCase):
    """
    Tests for L{GOALS}.
    """

    def test_rowsExist(self) -> None:
        """
        Every goal, and every finding of what bounds it, is about a row that is
        measured, and so is every row that a goal refers to.
        """
        rows = {row.key for workload in workloads() for row in workload.rows}
        named = {
            goal.other for goals in GOALS.values() for goal in goals if isinstance(goal, LikeOwn)
        }
        self.assertEqual((GOALS.keys() | BOUNDS.keys() | named) - rows, set())
