# -*- test-case-name: tests.bench.test_runner -*-
"""
The order of a run: round by round, in each round setting by setting, and in each of these every
workload on one subject after the other, so that what changes on the machine meets all of them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Figures, MeasurementFailed, Stand
from bench.results import Comparison, Series, Setting
from bench.subjects import Subject
from bench.workloads import Workload


def rotated(count: int, number: int) -> list[int]:
    """
    Return the order of so many subjects in a round, in which each begins once.

    @param number: The round, from 0 on.
    """
    return [(number + index) % count for index in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    A run.

    @ivar subjects: What is measured; the last is the reference.
    @ivar settings: On which CPUs, one after the other.
    @ivar rounds: How often each workload is measured on each subject.
    @ivar length: The seconds of a measurement.
    @ivar directory: For sockets and logs.
    """

    subjects: Sequence[Subject]
    settings: Sequence[Setting]
    rounds: int
    length: float
    directory: Path

    def measure(self, workloads: Sequence[Workload]) -> Sequence[Comparison]:
        """
        Measure everything.
        """
        keys = [subject.key for subject in self.subjects]
        comparisons = [
            Comparison(workload, setting, {key: Series() for key in keys})
            for setting in self.settings
            for workload in workloads
        ]
        progress = _Progress(len(comparisons) * self.rounds, sys.stderr.write)
        before = os.sched_getaffinity(0)
        try:
            for number in range(self.rounds):
                for setting in self.settings:
                    os.sched_setaffinity(0, setting.cpus)
                    mine = [each for each in comparisons if each.setting == setting]
                    self._round(number, setting, mine, progress)
        finally:
            os.sched_setaffinity(0, before)
        return comparisons

    def _round(
        self,
        number: int,
        setting: Setting,
        comparisons: Sequence[Comparison],
        progress: _Progress,
    ) -> None:
        behindRelay = next((one for one in self.subjects if one.build), self.subjects[0])
        stands = [
            Stand(subject, behindRelay, self.directory / f"{setting.key}{number}-{place}")
            for place, subject in enumerate(self.subjects)
        ]
        order = rotated(len(stands), number)
        where = f"round {number + 1}/{self.rounds}, {setting.title}"
        try:
            for each in comparisons:
                progress.begin(where, each.workload)
                for place in order:
                    stand = stands[place]
                    if stand.can(each.workload):
                        series = each.series[stand.subject.key]
                        self._one(stand, each.workload, series, progress)
                progress.end()
        finally:
            for stand in stands:
                stand.close()

    def _one(self, stand: Stand, workload: Workload, series: Series, progress: _Progress) -> None:
        try:
            figures = stand.measure(workload, self.length)
        except MeasurementFailed as error:
            series.rounds.append(None)
            series.failures.append(str(error))
            progress.failed(stand.subject.name, str(error))
        else:
            series.rounds.append(figures)
            progress.measured(stand.subject.name, workload, figures)


class _Progress:
    """
    Progress of a run: a line for each workload.
    """

    def __init__(self, total: int, write: Callable[[str], object]) -> None:
        self._total = total
        self._write = write
        self._done = 0
        self._begun = time.monotonic()

    def begin(self, where: str, workload: Workload) -> None:
        left = ""
        if self._done > 2:
            each = (time.monotonic() - self._begun) / self._done
            left = f", {(self._total - self._done) * each / 60:.0f} min left"
        self._done += 1
        row = workload.rows[0]
        self._write(f"[{self._done}/{self._total}, {where}{left}] {row.key}:")

    def measured(self, name: str, workload: Workload, figures: Figures) -> None:
        row = workload.rows[0]
        self._write(f" {name} {figures[row.figure]:.5g} {row.unit};")

    def failed(self, name: str, why: str) -> None:
        self._write(f"\n    {name} FAILED: {why}\n   ")

    def end(self) -> None:
        self._write("\n")
        sys.stderr.flush()
