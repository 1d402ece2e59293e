# -*- test-case-name: tests.bench.test_results -*-
"""
Results of a run, its medians and ratios, and the file that they are kept in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.goals import Goal, Pair, Standing, Verdict, goals
from bench.subjects import Build, Subject
from bench.workloads import Row, Workload, workloads

FORMAT = 2
"""Of the file; another one is not read."""

Figures = Mapping[str, float]


class ResultsError(Exception):
    """
    A file of results cannot be used; the text says why.
    """


@dataclass(frozen=True, slots=True)
class Setting:
    """
    The CPUs of a run, on which daemons, phones and clients share.

    @ivar key: For files.
    @ivar cpus: Their numbers.
    """

    key: str
    cpus: tuple[int, ...]

    @property
    def title(self) -> str:
        """
        The setting for people.
        """
        return f"{len(self.cpus)} CPU{'s' * (len(self.cpus) > 1)}"


@dataclass(slots=True)
class Series:
    """
    A subject's answers to one workload.

    @ivar rounds: The figures of each round; None for one that has failed.
    @ivar failures: Why.
    """

    rounds: list[Figures | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def values(self, figure: str) -> list[float | None]:
        """
        Return one figure of each round.
        """
        return [None if one is None else one.get(figure) for one in self.rounds]

    def median(self, figure: str) -> float | None:
        """
        Return the median of a figure.

        @return: C{None} if no round has that figure.
        """
        return Pair.of(self.values(figure), ()).ours


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One workload on all subjects, in one setting.

    @ivar series: By the keys of the subjects, in their order.
    """

    workload: Workload
    setting: Setting
    series: dict[str, Series]


@dataclass(frozen=True, slots=True)
class Column:
    """
    A subject in the table.

    @ivar key: As in L{Subject}.
    @ivar name: For people.
    @ivar build: If its goals are to be judged.
    """

    key: str
    name: str
    build: Build | None = None

    @classmethod
    def of(cls, subject: Subject) -> Column:
        """
        Make the column of a subject.
        """
        return cls(subject.key, subject.name, subject.build)


@dataclass(frozen=True, slots=True)
class Line:
    """
    A row of the table in one setting.

    @ivar standings: By the keys of the subjects.
    @ivar verdicts: The same.
    """

    row: Row
    comparison: Comparison
    standings: Mapping[str, Standing]
    verdicts: Mapping[str, tuple[tuple[Goal, Verdict], ...]]

    def failed(self, key: str) -> bool:
        """
        Whether a subject has failed in the row's workload.
        """
        return bool(self.comparison.series[key].failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """
    The results of a run.

    @ivar about: The machine and the run.
    @ivar columns: The subjects; the last is the reference.
    @ivar notes: What a reader has to know besides, as which subject could not be had.
    """

    about: Mapping[str, Any]
    columns: Sequence[Column]
    settings: Sequence[Setting]
    comparisons: Sequence[Comparison]
    notes: Sequence[str] = ()

    @property
    def reference(self) -> Column:
        """
        The subject that the others are compared with.
        """
        return self.columns[-1]

    def lines(self, setting: Setting) -> Sequence[Line]:
        """
        Return the table in one setting.
        """
        rows = [
            (row, each)
            for each in self.comparisons
            if each.setting == setting
            for row in each.workload.rows
        ]
        tables = {
            column.key: {row.key: self._standing(row, each, column) for row, each in rows}
            for column in self.columns
        }
        oneCPU = len(setting.cpus) == 1
        return [
            Line(
                row=row,
                comparison=each,
                standings={column.key: tables[column.key][row.key] for column in self.columns},
                verdicts={
                    column.key: tuple(
                        (goal, goal.judge(tables[column.key][row.key], tables[column.key]))
                        for goal in goals(row.key, column.build, oneCPU=oneCPU)
                    )
                    for column in self.columns
                },
            )
            for row, each in rows
        ]

    def _standing(self, row: Row, each: Comparison, column: Column) -> Standing:
        ours, theirs = each.series[column.key], each.series[self.reference.key]
        cost = Pair.of(ours.values(row.cost), theirs.values(row.cost)) if row.cost else Pair()
        return Standing(Pair.of(ours.values(row.figure), theirs.values(row.figure)), cost)

    def failures(self) -> list[str]:
        """
        Return what has failed, in words, each once.
        """
        return [
            f"{each.workload.rows[0].title}, {each.setting.title}, {column.name}: {why}"
            for each in self.comparisons
            for column in self.columns
            for why in dict.fromkeys(each.series[column.key].failures)
        ]

    def verdicts(self) -> list[Verdict]:
        """
        Return all verdicts of all settings.
        """
        return [
            verdict
            for setting in self.settings
            for line in self.lines(setting)
            for judged in line.verdicts.values()
            for _, verdict in judged
        ]

    @property
    def missed(self) -> bool:
        """
        Whether a goal was missed, or muxd has failed.
        """
        failed = any(
            each.series[column.key].failures
            for each in self.comparisons
            for column in self.columns
            if column.build is not None
        )
        return failed or Verdict.MISSED in self.verdicts()

    def toJSON(self) -> str:
        """
        Return everything that was measured, round by round, and what it comes to.
        """
        values = {
            "format": FORMAT,
            "about": dict(self.about),
            "notes": list(self.notes),
            "subjects": [
                {"key": one.key, "name": one.name, "build": one.build and one.build.value}
                for one in self.columns
            ],
            "settings": [{"key": one.key, "cpus": list(one.cpus)} for one in self.settings],
            "rows": [_rowJSON(line) for one in self.settings for line in self.lines(one)],
            "measured": [_comparisonJSON(each) for each in self.comparisons],
        }
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def fromJSON(cls, text: str) -> Results:
        """
        Read what L{toJSON} has written.  Workloads that are no longer known are left out.

        @raise ResultsError: It is something else.
        """
        try:
            values = json.loads(text)
            if values["format"] != FORMAT:
                raise ResultsError(f"results of format {values['format']}, expected {FORMAT}")
            settings = {
                one["key"]: Setting(one["key"], tuple(one["cpus"])) for one in values["settings"]
            }
            return cls(
                about=values["about"],
                columns=[
                    Column(one["key"], one["name"], one["build"] and Build(one["build"]))
                    for one in values["subjects"]
                ],
                settings=list(settings.values()),
                comparisons=list(_comparisons(values["measured"], settings)),
                notes=values["notes"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"this is no file of results: {error!r}") from None


def _comparisons(
    measured: Iterable[Mapping[str, Any]], settings: Mapping[str, Setting]
) -> Iterable[Comparison]:
    known = {each.rows[0].key: each for each in workloads()}
    for one in measured:
        workload = known.get(one["workload"])
        if workload is not None:
            series = {
                key: Series(each["rounds"], each["failures"]) for key, each in one["series"].items()
            }
            yield Comparison(workload, settings[one["setting"]], series)


def _rowJSON(line: Line) -> dict[str, object]:
    row = line.row
    return {
        "key": row.key,
        "setting": line.comparison.setting.key,
        "title": row.title,
        "unit": row.unit,
        "costUnit": row.costUnit,
        "subjects": {
            key: {
                "median": standing.figure.ours,
                "ratio": standing.figure.ratio,
                "cost": standing.cost.ours,
                "costRatio": standing.cost.ratio,
                "goals": {str(goal): verdict.name for goal, verdict in line.verdicts[key]},
            }
            for key, standing in line.standings.items()
        },
    }


def _comparisonJSON(each: Comparison) -> dict[str, object]:
    return {
        "workload": each.workload.rows[0].key,
        "setting": each.setting.key,
        "arguments": list(each.workload.arguments),
        "series": {
            key: {
                "rounds": [None if one is None else dict(one) for one in series.rounds],
                "failures": series.failures,
            }
            for key, series in each.series.items()
        },
    }
