"""
Tests for L{bench.soak.run} and L{bench.soak.commandline}: a very short soak.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from bench.daemons import PROJECT
from bench.soak.commandline import parser, subject
from bench.soak.samples import SoakResult
from muxd.tap import usbmuxd
from tests.bench.requirements import requireRig
from tests.bench.test_soaksamples import result
from tests.running.processes import startsProcesses

PATIENCE = 240.0
"""Real seconds that it may take; it takes twenty."""


class CommandlineTests(SynchronousTestCase):
    """
    What can be said.
    """

    def test_defaults(self) -> None:
        """
        Ten minutes with eight phones behind the fast engine.
        """
        options = parser().parse_args([])
        self.assertEqual((options.minutes, options.phones, options.bus), (10, 8, "rig"))

    def test_records(self) -> None:
        """
        The daemon takes as many records of phones that are not here as an hour's clients store,
        more than it takes of a user otherwise.
        """
        _, environment = subject("rig", 1, Path("/observer")).daemon.filled(
            {"socket": "/socket", "directory": self.mktemp()}
        )
        options = usbmuxd.Options()
        options.reactor = MemoryReactorClock()
        options.parseOptions(json.loads(environment["MUXD_SOAK"]))
        assert options.service is not None
        self.assertGreater(options.service.limits.absentRecordsPerUser, 50_000)

    @startsProcesses
    def test_render(self) -> None:
        """
        A report can be made again of what was seen, into a document; the exit
        status is that of the run.
        """
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, directory)
        document = directory / "soak.md"
        seen = directory / "seen.json"
        for found, status in ((result(), 0), (result(troubles=["x"]), 1)):
            seen.write_text(found.toJSON())
            done = subprocess.run(
                [sys.executable, "-m", "bench.soak", "--render", seen, "--markdown", document],
                cwd=PROJECT,
                capture_output=True,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (status, b""))
            self.assertTrue(document.read_text().startswith("**FAIL" if status else "**PASS"))


@startsProcesses
class SoakTests(SynchronousTestCase):
    """
    A few seconds of it, which say nothing of growth, but that everything is right.
    """

    def setUp(self) -> None:
        """
        See whether it can be had here.
        """
        requireRig(self)

    def soak(self) -> Any:
        """
        What a short one has seen.
        """
        directory = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        seen = directory / "seen.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bench.soak", "--minutes", "0.15", "--rounds", "1"),
                *("--phones", "3", "--plugging", "0.3", "--json", str(seen)),
                *("--keep", str(directory / "run")),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertTrue(seen.exists(), done.stderr)
        self.assertIn("at rest:", done.stderr)
        return json.loads(seen.read_text())

    def assertRight(self, seen: Any) -> None:
        """
        Fail unless every byte was right and nothing was left.
        """
        self.assertEqual(
            (seen["troubles"], seen["violations"], seen["log"], seen["exitStatus"]),
            ([], [], [], 0),
        )
        self.assertEqual(len(seen["samples"]), 2)
        for sample in seen["samples"]:
            inside = sample["inside"]
            self.assertEqual((inside["clients"], inside["sessions"]), (1, 0))
            self.assertEqual((inside["devices"], sample["openAtPhones"]), (3, 0))
        self.assertGreater(sum(seen["stalls"]["late"]), 0)
        self.assertGreater(sum(seen["faults"].values()), 0)
        self.assertGreater(seen["traffic"]["down"], 100_000)

    def test_rig(self) -> None:
        """
        With phones in a process of their own, and the fast engine.
        """
        seen = self.soak()
        self.assertRight(seen)
        self.assertEqual(SoakResult.fromJSON(json.dumps(seen)).about["bus"], "rig")
