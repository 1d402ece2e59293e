# -*- test-case-name: tests.netns.test_report -*-
"""
Tests of what is taken down of faults, and shown.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.netns import case as module
from tests.netns.__main__ import lines
from tests.netns.case import MEASURE, FaultCase


class ReportTests(SynchronousTestCase):
    """
    Tests of L{FaultCase.note} and L{lines}.
    """

    def setUp(self) -> None:
        """
        Nothing is taken down yet.
        """
        self.patch(module, "REPORT", Path(self.mktemp()) / "report")
        self.environ: dict[str, str] = {}
        self.patch(os, "environ", self.environ)

    def note(self) -> None:
        """
        Take something down.
        """
        FaultCase("killHost").note("off the list", seconds=4.2, term=2)

    def test_wanted(self) -> None:
        """
        What is taken down is shown.
        """
        self.environ[MEASURE] = "yes"
        self.note()
        self.note()
        line = "embedded  killHost         4.2 s  (2.1 terms)  off the list"
        self.assertEqual(lines(), [line, line])

    def test_notWanted(self) -> None:
        """
        Nothing is, unless that is wanted.
        """
        self.note()
        self.assertEqual(lines(), ["nothing was measured"])
