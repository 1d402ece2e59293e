# -*- test-case-name: tests.bench.test_commandline -*-
"""
Tests of L{bench.commandline}.
"""

from __future__ import annotations

import io
import os
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.commandline import main
from bench.workloads import workloads


class ListTests(SynchronousTestCase):
    """
    Tests of C{--list}.
    """

    def test_rows(self) -> None:
        """
        Every row's name is a line.
        """
        self.patch(sys, "stdout", output := io.StringIO())
        self.assertEqual(main(["--list"]), 0)
        rows = [row.key for workload in workloads() for row in workload.rows]
        self.assertEqual(output.getvalue().splitlines(), rows)

    def test_readerGone(self) -> None:
        """
        A reader that has read enough of it, as C{head} does, gets no complaint, not
        even when the interpreter flushes what is left.
        """
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as output:
            self.patch(sys, "stdout", output)
            self.assertEqual(main(["--list"]), 0)
