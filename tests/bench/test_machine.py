# -*- test-case-name: tests.bench.test_machine -*-
"""
Tests of L{bench.machine}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.machine import describe
from tests.bench.test_results import ABOUT
from tests.running.processes import startsProcesses


class DescribeTests(SynchronousTestCase):
    """
    Tests of L{describe}.
    """

    @startsProcesses
    def test_everything(self) -> None:
        """
        A machine is described by all that the report says, but for the run's own.
        """
        self.assertEqual(describe().keys(), ABOUT.keys() - {"rounds", "seconds"})
