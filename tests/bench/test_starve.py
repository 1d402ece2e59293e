# -*- test-case-name: tests.bench.test_starve -*-
"""
Tests of L{bench.starve}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.starve import MOST_SAVED, Budget


class BudgetTests(SynchronousTestCase):
    """
    Tests of how much of a processor may be used.
    """

    def test_share(self) -> None:
        """
        What has used more than its share does not run until it has earned that.
        """
        budget = Budget(0.1, 0.0, 7.0)
        self.assertTrue(budget.mayRun(0.1, 7.0))
        self.assertFalse(budget.mayRun(0.2, 7.05))
        self.assertFalse(budget.mayRun(0.4, 7.05))
        self.assertTrue(budget.mayRun(0.6, 7.05))

    def test_saved(self) -> None:
        """
        What was not used for long is not there to be used at once.
        """
        budget = Budget(0.1, 0.0, 0.0)
        self.assertTrue(budget.mayRun(1000.0, 0.0))
        self.assertFalse(budget.mayRun(1000.0, MOST_SAVED * 1.5))
