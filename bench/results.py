# -*- test-case-name: tests.bench.test_report -*-
"""
What was measured, and its medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.goals import GOALS, IGoal, Pair, Verdict
from bench.measuring import Figures
from bench.workloads import Row, Workload


@dataclass(slots=True)
class Series:
    """
    One daemon's answers to one workload, a round each.
    """

    rounds: list[Figures] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def median(self, figure: str) -> float | None:
        """
        @return: C{None} if no round has that figure.
        """
        values = [figures[figure] for figures in self.rounds if figure in figures]
        return median(values) if values else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One workload on both daemons.
    """

    workload: Workload
    ours: Series = field(default_factory=Series)
    theirs: Series = field(default_factory=Series)


@dataclass(frozen=True, slots=True)
class Line:
    """
    A row of the table with its medians and what its goals say.

    @ivar failed: What went wrong with our daemon, or C{""}.
    """

    row: Row
    comparison: Comparison
    pair: Pair
    verdicts: tuple[tuple[IGoal, Verdict], ...]
    failed: str

    @property
    def missed(self) -> bool:
        """
        Whether a goal was not reached, or its row failed.
        """
        return bool(self.failed) or any(v is Verdict.MISSED for _, v in self.verdicts)


def lines(comparisons: Iterable[Comparison]) -> Sequence[Line]:
    """
    The table.
    """
    rows = [(row, each) for each in comparisons for row in each.workload.rows]
    table = {row.key: _pair(row, each) for row, each in rows}
    return [
        Line(
            row=row,
            comparison=each,
            pair=table[row.key],
            verdicts=tuple(
                (goal, goal.judge(table[row.key], table)) for goal in GOALS.get(row.key, ())
            ),
            failed="; ".join(dict.fromkeys(each.ours.failures)),
        )
        for row, each in rows
    ]


def _pair(row: Row, each: Comparison) -> Pair:
    return Pair(
        ours=each.ours.median(row.figure),
        theirs=each.theirs.median(row.figure),
        ourCost=each.ours.median(row.cost) if row.cost else None,
        theirCost=each.theirs.median(row.cost) if row.cost else None,
    )
