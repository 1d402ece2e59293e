"""
Tests of F{docs/conformance.md}: it has every edge, and its tests exist.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd

PAGE = Path(muxd.__file__).parent.parent / "docs" / "conformance.md"
RULES = PAGE.with_name("protocol.md")

LAST = 78
_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


class ConformanceTests(SynchronousTestCase):
    """
    Tests of the table.
    """

    def setUp(self) -> None:
        """
        Read it.
        """
        if not PAGE.exists():
            raise SkipTest("these tests need the source tree")
        self.rows = _ROW.findall(PAGE.read_text())

    def test_everyEdge(self) -> None:
        """
        Each edge has one row, in their order, and the rules have as many edges.
        """
        self.assertEqual([int(row[0]) for row in self.rows], list(range(1, LAST + 1)))
        _, _, edges = RULES.read_text().partition("## 9. Sharp edges")
        edges, _, _ = edges.partition("\n## ")
        numbers = re.findall(r"^(\d+)\. ", edges, re.MULTILINE)
        self.assertEqual([int(number) for number in numbers], list(range(1, LAST + 1)))

    def test_everyTest(self) -> None:
        """
        Each row names tests that exist and are run.
        """
        for number, _, _, names in self.rows:
            tests = re.findall(r"`([\w.]+)`", names)
            self.assertEqual("<br>".join(f"`{test}`" for test in tests), names)
            self.assertTrue(tests, number)
            for test in tests:
                self.assertTrue(callable(namedAny(test)), test)
                owner, _, method = test.rpartition(".")
                self.assertTrue(method.startswith("test_"), test)
                self.assertTrue(issubclass(namedAny(owner), SynchronousTestCase), test)
                self.assertTrue(owner.startswith("tests."), test)
