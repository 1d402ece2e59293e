# -*- test-case-name: tests.bench.test_measurement -*-
"""
Tests of the benchmark as a whole: a very short run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from bench.daemons import PROJECT
from tests.bench.requirements import requireRig
from tests.running.processes import startsProcesses

PATIENCE = 240.0
"""Real seconds that it may take; it takes ten."""

ROWS = ("unpaced.start", "unpaced.echo-1", "tcp.echo-60000", "relay.echo-1", "farm.cpu")


@startsProcesses
class MeasurementTests(SynchronousTestCase):
    """
    Every way from a client to a phone, for a moment: how fast it is, is not the question.
    """

    def setUp(self) -> None:
        """
        See whether it can be had here.
        """
        requireRig(self)
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.directory)

    def test_everyWay(self) -> None:
        """
        The UNIX socket, a TCP listener, the relay and a farm are measured, and nothing fails:
        no byte is wrong, no session is left, and the phones count no violation.
        """
        kept = self.directory / "kept.json"
        command = [sys.executable, "-m", "bench", "--rounds", "1", "--seconds", "0.05"]
        command += ["--subject", "pure", "--json", str(kept)]
        for row in ROWS:
            command += ["--only", row]
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.assertTrue(kept.exists(), done.stderr)
        measured = {each["workload"]: each for each in json.loads(kept.read_text())["measured"]}
        self.assertEqual(list(measured), list(ROWS))
        for row, each in measured.items():
            series = each["series"]["pure"]
            self.assertEqual(series["failures"], [], row)
            self.assertEqual(len(series["rounds"]), 1, row)
        (farm,) = measured["farm.cpu"]["series"]["pure"]["rounds"]
        self.assertGreater(farm["down_MBps"], 0)
        self.assertGreater(farm["up_MBps"], 0)
