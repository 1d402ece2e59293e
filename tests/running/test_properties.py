# -*- test-case-name: tests.running.test_properties -*-
"""
Tests for how many examples of properties are checked.
"""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import settings
from twisted.trial.unittest import SynchronousTestCase

import tests
from tests.running.properties import USUAL, examples, settle


class ExamplesTests(SynchronousTestCase):
    """
    Tests for L{examples} and L{settle}.
    """

    def setUp(self) -> None:
        """
        What holds for this run holds after the test.
        """
        self.addCleanup(settle, few=settings().max_examples < USUAL)

    def test_all(self) -> None:
        """
        Where all are checked, there are as many as are asked for.
        """
        settle()
        self.assertEqual([3, 20, 500], [examples(count) for count in (3, 20, 500)])
        self.assertEqual(USUAL, settings().max_examples)

    def test_few(self) -> None:
        """
        Where few are checked, they are a fifth, but at least five.
        """
        settle(few=True)
        self.assertEqual([3, 5, 100], [examples(count) for count in (3, 20, 500)])
        self.assertEqual(20, settings().max_examples)

    def test_everyProperty(self) -> None:
        """
        No test has a number of its own.
        """
        for path in sorted(Path(tests.__file__).parent.rglob("*.py")):
            own = re.findall(r"max_examples=[0-9].*", path.read_text())
            self.assertEqual([], own, f"expected max_examples=examples(...) in {path}")
