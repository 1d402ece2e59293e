"""
Tests for L{bench.calls}.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.calls import main, table
from tests.running.processes import startsProcesses

PROJECT = Path(__file__).parent.parent.parent


class TableTests(SynchronousTestCase):
    """
    Tests of what is printed.
    """

    def test_both(self) -> None:
        """
        Each call has both times, and by how much the compiled one is quicker.
        """
        head, row = table({"a call": 300.0}, {"a call": 100.0}).splitlines()
        self.assertEqual(head.split(), ["ns", "pure", "compiled", "ratio"])
        self.assertEqual(row.split(), ["a", "call", "300", "100", "3.0"])

    def test_pureAlone(self) -> None:
        """
        Without a compiled build there is one column, and a line that says so.
        """
        _, row, note = table({"a call": 300.0}, {}).splitlines()
        self.assertEqual(row.split(), ["a", "call", "300"])
        self.assertIn("no compiled build", note)


@startsProcesses
class CallsTests(SynchronousTestCase):
    """
    Tests of the program.
    """

    def test_everyCall(self) -> None:
        """
        All calls can be made, in every build that there is.
        """
        if shutil.which("cc") is None or sys.platform != "linux":
            raise SkipTest("a C compiler and Linux are needed")
        done = subprocess.run(
            [sys.executable, "-m", "bench.calls", "--seconds", "0.0001"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("submit, and see it ended", done.stdout)

    def test_usage(self) -> None:
        """
        A wrong option is told, with the options that there are.
        """
        said = StringIO()
        self.patch(sys, "stderr", said)
        self.assertEqual(main(["--seconds", "much"]), 2)
        self.assertIn("--seconds=", said.getvalue())
