# -*- test-case-name: tests.bench.test_goals -*-
"""
Tests of L{bench.goals}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.bounds import BOUNDS
from bench.goals import (
    DEMANDS,
    AtLeast,
    AtLeastTimes,
    AtMost,
    AtMostTimes,
    CPUAtMostTimes,
    LikeOwn,
    Pair,
    Standing,
    Verdict,
    goals,
)
from bench.subjects import Build
from bench.workloads import workloads


def standing(ours: float | None, theirs: float | None = None) -> Standing:
    """
    Make the standing of one round.
    """
    return Standing(Pair.of([ours], [theirs]))


class PairTests(SynchronousTestCase):
    """
    Tests of L{Pair}.
    """

    def test_ratio(self) -> None:
        """
        The ratio is the median of the rounds' ratios.
        """
        self.assertEqual(Pair.of([20, 300, 1000], [10, 100, 1000]), Pair(300, 100, 2))

    def test_gaps(self) -> None:
        """
        A round without one of the figures has no ratio, nor has one beside nothing.
        """
        self.assertEqual(Pair.of([None, 4, 6], [1, 2, 0]), Pair(5, 1, 2))
        self.assertEqual(Pair.of([None], [1]), Pair(None, 1, None))
        self.assertEqual(Pair.of([], []), Pair())


class GoalTests(SynchronousTestCase):
    """
    Tests of each kind of goal.
    """

    def test_atLeastTimes(self) -> None:
        """
        A rate must be so many times the reference's; between floor and goal is a
        verdict of its own.
        """
        goal = AtLeastTimes(1.2, 0.9)
        verdicts = [goal.judge(standing(ours, 100), {}) for ours in (120, 119, 90, 89)]
        self.assertEqual(verdicts, [Verdict.MET, Verdict.FLOOR, Verdict.FLOOR, Verdict.MISSED])

    def test_atMostTimes(self) -> None:
        """
        A time may be so many times the reference's.
        """
        goal = AtMostTimes(1, 1.5)
        verdicts = [goal.judge(standing(ours, 100), {}) for ours in (100, 101, 150, 151)]
        self.assertEqual(verdicts, [Verdict.MET, Verdict.FLOOR, Verdict.FLOOR, Verdict.MISSED])

    def test_withoutFloor(self) -> None:
        """
        Without a floor there is nothing between met and missed.
        """
        self.assertIs(AtLeastTimes(5).judge(standing(4.99, 1), {}), Verdict.MISSED)
        self.assertIs(AtMostTimes(0.1).judge(standing(0.11, 1), {}), Verdict.MISSED)

    def test_cpu(self) -> None:
        """
        The CPU is compared by the row's costs, not by its figures.
        """
        goal = CPUAtMostTimes(1.2, 1.5)
        for cost, verdict in (
            (12, Verdict.MET),
            (13, Verdict.FLOOR),
            (16, Verdict.MISSED),
        ):
            row = Standing(Pair.of([1], [100]), Pair.of([cost], [10]))
            self.assertIs(goal.judge(row, {}), verdict)

    def test_absolute(self) -> None:
        """
        A figure of its own is met whatever the reference does.
        """
        self.assertIs(AtLeast(95, "").judge(standing(95), {}), Verdict.MET)
        self.assertIs(AtLeast(95, "").judge(standing(94, 1), {}), Verdict.MISSED)
        self.assertIs(AtMost(1, "").judge(standing(1, 100), {}), Verdict.MET)
        self.assertIs(AtMost(1, "").judge(standing(1.1, 100), {}), Verdict.MISSED)

    def test_likeOwn(self) -> None:
        """
        A row may be compared with another row of the same subject.
        """
        table = {"without": standing(100, 1)}
        rate, time = LikeOwn(10, "without"), LikeOwn(10, "without", lowerIsBetter=True)
        self.assertIs(rate.judge(standing(90), table), Verdict.MET)
        self.assertIs(rate.judge(standing(89), table), Verdict.MISSED)
        self.assertIs(time.judge(standing(110), table), Verdict.MET)
        self.assertIs(time.judge(standing(112), table), Verdict.MISSED)

    def test_notMeasured(self) -> None:
        """
        What lacks a figure is neither met nor missed.
        """
        for goal, row in (
            (AtLeastTimes(1), standing(1)),
            (AtMostTimes(1), standing(None, 1)),
            (AtMostTimes(1), standing(1, 0)),
            (CPUAtMostTimes(1), standing(1, 1)),
            (AtLeast(1, ""), standing(None, 1)),
            (LikeOwn(10, "without"), standing(1, 1)),
        ):
            self.assertIs(goal.judge(row, {}), Verdict.UNKNOWN, str(goal))

    def test_texts(self) -> None:
        """
        A goal says what it asks for.
        """
        self.assertEqual(str(AtLeastTimes(5)), ">= 5x")
        self.assertEqual(str(AtMostTimes(1, 2.5)), "<= 1x (floor 2.5x)")
        self.assertEqual(str(CPUAtMostTimes(1.2, 2)), "CPU <= 1.2x (floor 2x)")
        self.assertEqual(str(LikeOwn(10, "a.b")), "within 10 % of our a.b")
        self.assertEqual(str(AtMost(1, "<= 1 s")), "<= 1 s")


class TableTests(SynchronousTestCase):
    """
    Tests of the table of goals.
    """

    def test_rowsExist(self) -> None:
        """
        Every goal, and every finding of what bounds it, is about a row that is
        measured, and so is every row that a goal refers to.
        """
        rows = {row.key for workload in workloads() for row in workload.rows}
        named = {
            demand.goal.other
            for demands in DEMANDS.values()
            for demand in demands
            if isinstance(demand.goal, LikeOwn)
        }
        self.assertEqual((DEMANDS.keys() | BOUNDS.keys() | named) - rows, set())

    def test_builds(self) -> None:
        """
        The compiled build has a goal and a floor, the pure one a floor that is its goal, and
        other subjects have none.
        """
        key = "unpaced.upload-4"
        self.assertEqual(goals(key, Build.COMPILED, oneCPU=False), (AtLeastTimes(1.4, 1.0),))
        self.assertEqual(goals(key, Build.PURE, oneCPU=False), (AtLeastTimes(0.65),))
        self.assertEqual(goals(key, None, oneCPU=False), ())

    def test_oneCPU(self) -> None:
        """
        Beside downloads that stand still on two CPUs, an echo is judged on one alone.
        """
        key = "unpaced.echo-1-beside-downloads"
        self.assertEqual(goals(key, Build.PURE, oneCPU=False), ())
        self.assertEqual(goals(key, Build.PURE, oneCPU=True), (AtMostTimes(1.7),))
        self.assertEqual(len(goals("unpaced.upload-1", Build.PURE, oneCPU=True)), 1)

    def test_pureIsNeverHarder(self) -> None:
        """
        Where both builds are measured by the C daemon, less is asked of the pure one, but for
        the processor time of uploads, of which both may have twice the C daemon's.
        """
        for key in DEMANDS:
            compiled = goals(key, Build.COMPILED, oneCPU=True)
            pure = goals(key, Build.PURE, oneCPU=True)
            for one, other in zip(compiled, pure, strict=False):
                if isinstance(one, AtLeastTimes) and isinstance(other, AtLeastTimes):
                    self.assertLessEqual(other.times, one.floor or one.times, key)
                elif isinstance(one, AtMostTimes) and isinstance(other, AtMostTimes):
                    self.assertGreaterEqual(other.times, one.times, key)
