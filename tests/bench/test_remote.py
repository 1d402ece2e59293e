# -*- test-case-name: tests.bench.test_remote -*-
"""
Tests of L{bench.remote}: the table and the command line, not the measurement.
"""

from __future__ import annotations

import io
from contextlib import redirect_stderr

from twisted.trial.unittest import SkipTest, SynchronousTestCase

try:
    from bench.remote import main, table
except ImportError:
    main = None  # type: ignore[assignment]


class RemoteTests(SynchronousTestCase):
    """
    Tests of what it prints.
    """

    def setUp(self) -> None:
        """
        See that it can run.
        """
        if main is None:
            raise SkipTest("cryptography is not installed")

    def test_table(self) -> None:
        """
        A row is the median of its rounds, beside the first row's.
        """
        text = table({"own": [100e6, 900e6, 200e6], "far": [50e6, 50e6, 1e6]})
        self.assertEqual(text.splitlines()[2:], ["| own | 200 | 100% |", "| far | 50 | 25% |"])

    def test_wrong(self) -> None:
        """
        A wrong word is a usage error.
        """
        with redirect_stderr(io.StringIO()) as said:
            self.assertEqual(main(["--rounds", "many"]), 2)
        self.assertIn("bench.remote: ", said.getvalue())
