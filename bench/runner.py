"""
The order of a run: round by round, and in each every workload first on one
daemon, then on the other, so that what changes on the machine meets both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.daemons import Subject
from bench.measuring import Figures, MeasurementFailed, Stand
from bench.results import Comparison, Series
from bench.workloads import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    @ivar ours: The daemon under test.
    @ivar theirs: The one it is compared with.
    @ivar rounds: How often each workload is measured on each.
    @ivar length: The seconds of a measurement.
    @ivar directory: For sockets and logs.
    """

    ours: Subject
    theirs: Subject
    rounds: int
    length: float
    directory: Path

    def measure(self, workloads: Sequence[Workload]) -> Sequence[Comparison]:
        """
        Measure everything.
        """
        comparisons = [Comparison(workload) for workload in workloads]
        progress = _Progress(len(workloads) * self.rounds)
        for number in range(1, self.rounds + 1):
            stands = [
                Stand(subject, self.directory / f"{name}{number}")
                for name, subject in (("a", self.ours), ("b", self.theirs))
            ]
            try:
                for each in comparisons:
                    progress.begin(f"round {number}/{self.rounds}", each.workload)
                    for stand, series in zip(stands, (each.ours, each.theirs), strict=True):
                        self._one(stand, each.workload, series, progress)
                    progress.end()
            finally:
                for stand in stands:
                    stand.close()
        return comparisons

    def _one(self, stand: Stand, workload: Workload, series: Series, progress: _Progress) -> None:
        try:
            figures = stand.measure(workload, self.length)
        except MeasurementFailed as error:
            series.failures.append(str(error))
            progress.failed(stand.subject.name, str(error))
        else:
            series.rounds.append(figures)
            progress.measured(stand.subject.name, workload, figures)


class _Progress:
    """
    One line a workload on standard error.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._begun = time.monotonic()

    def begin(self, where: str, workload: Workload) -> None:
        left = ""
        if self._done > 2:
            each = (time.monotonic() - self._begun) / self._done
            left = f", {(self._total - self._done) * each / 60:.0f} min left"
        self._done += 1
        row = workload.rows[0]
        self._write(f"[{self._done}/{self._total}, {where}{left}] {workload.bus.key}: {row.title}:")

    def measured(self, name: str, workload: Workload, figures: Figures) -> None:
        row = workload.rows[0]
        self._write(f" {name} {figures[row.figure]:.5g} {row.unit};")

    def failed(self, name: str, why: str) -> None:
        self._write(f"\n    {name} FAILED: {why}\n   ")

    def end(self) -> None:
        self._write("\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
