# -*- test-case-name: tests.bench.test_runner -*-
"""
Tests of L{bench.runner}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench import runner
from bench.measuring import MeasurementFailed
from bench.results import Setting
from bench.runner import Run, rotated
from bench.subjects import Build, Command, Subject
from bench.workloads import Workload
from tests.bench.test_results import workload

PLAIN = Subject(key="plain", name="Plain", daemon=Command("plain"))
OTHER = Subject(key="other", name="Other", daemon=Command("other"))
MUXD = Subject(key="pure", name="Pure", daemon=Command("pure"), build=Build.PURE)


class StandInMemory:
    """
    A stand that measures nothing, and writes down what it was asked.
    """

    asked: list[tuple[str, str, str, frozenset[int]]]
    cpus: frozenset[int]

    def __init__(self, subject: Subject, behindRelay: Subject, directory: Path) -> None:
        self.subject = subject
        self.behindRelay = behindRelay

    def can(self, wanted: Workload) -> bool:
        """
        Everything but for one.
        """
        return self.subject is not OTHER or wanted.rows[0].key != "unpaced.upload-1"

    def measure(self, wanted: Workload, length: float) -> Mapping[str, float]:
        """
        Fail for one of the subjects.
        """
        key = wanted.rows[0].key
        self.asked.append((key, self.subject.key, self.behindRelay.key, self.cpus))
        if self.subject is MUXD and key == "unpaced.upload-1":
            raise MeasurementFailed("the daemon has gone")
        return {"MBps": length}

    def close(self) -> None:
        """
        End.
        """


class RunTests(SynchronousTestCase):
    """
    Tests of L{Run}.
    """

    def setUp(self) -> None:
        """
        Measure without daemons.
        """

        class Stand(StandInMemory):
            """
            A stand of this test's own.
            """

            asked: list[Any] = []
            cpus = frozenset()

        def pin(pid: int, cpus: Any) -> None:
            Stand.cpus = frozenset(cpus)

        self.stand = Stand
        self.patch(runner, "Stand", Stand)
        self.patch(os, "sched_setaffinity", pin)
        self.patch(sys, "stderr", StringIO())
        self.workloads = [workload("unpaced.download-1"), workload("unpaced.upload-1")]

    def run_(self, rounds: int, *cpus: int) -> Any:
        """
        Measure on each of these CPUs.
        """
        run = Run(
            subjects=[MUXD, OTHER, PLAIN],
            settings=[Setting(str(cpu), (cpu,)) for cpu in cpus],
            rounds=rounds,
            length=2,
            directory=Path("/nowhere"),
        )
        return run.measure(self.workloads)

    def test_order(self) -> None:
        """
        In each round and setting every workload is measured on all subjects, and each round
        begins with another of them.
        """
        self.run_(2, 0, 1)
        asked = [(key, subject, *cpus) for key, subject, _, cpus in self.stand.asked]
        down, up = "unpaced.download-1", "unpaced.upload-1"
        expected = []
        for order in (["pure", "other", "plain"], ["other", "plain", "pure"]):
            for cpu in (0, 1):
                for key in (down, up):
                    expected += [(key, one, cpu) for one in order if (key, one) != (up, "other")]
        self.assertEqual(asked, expected)

    def test_relaysStandBeforeMuxd(self) -> None:
        """
        All relays are measured in front of the same kind of daemon.
        """
        self.run_(1, 0)
        self.assertEqual({behind for _, _, behind, _ in self.stand.asked}, {"pure"})

    def test_series(self) -> None:
        """
        What was measured is kept by subject; what failed keeps its place, so that the rounds of
        two subjects belong together; what cannot be is empty.
        """
        down, up = self.run_(2, 0)
        self.assertEqual(down.series["plain"].rounds, [{"MBps": 2}, {"MBps": 2}])
        self.assertEqual(up.series["pure"].rounds, [None, None])
        self.assertEqual(up.series["pure"].failures, ["the daemon has gone"] * 2)
        self.assertEqual(up.series["other"].rounds, [])

    def test_rotated(self) -> None:
        """
        Each subject begins once in as many rounds as there are subjects.
        """
        self.assertEqual([rotated(3, n)[0] for n in range(3)], [0, 1, 2])
        self.assertEqual(rotated(3, 4), [1, 2, 0])
