"""
Tests for L{muxd.muxctl.columns} and L{muxd.muxctl.terminal}.
"""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.terminal import Terminal
from tests.muxctl.console import NOWHERE, written


class TableTests(SynchronousTestCase):
    """
    L{table}.
    """

    def test_aligned(self) -> None:
        """
        Columns are as wide as their widest cell, with nothing behind the last.
        """
        rows = [("1", "long cell"), ("2345", "x")]
        self.assertEqual(list(table(("A", "B"), rows)), ["A     B", "1     long cell", "2345  x"])

    def test_empty(self) -> None:
        """
        Without rows there is no heading.
        """
        self.assertEqual(list(table(("A", "B"), [])), [])

    def test_harmless(self) -> None:
        """
        What a phone or another program calls itself cannot command a terminal.
        """
        self.assertEqual(list(table(("A",), [("\x1b[2Jx\ny\x9bé",)])), ["A", "?[2Jx?y?é"])


class JSONTests(SynchronousTestCase):
    """
    L{jsonLine}.
    """

    def test_oneLine(self) -> None:
        """
        An object is one line, whatever is in it.
        """
        self.assertEqual(jsonLine({"a": "x\ny", "b": None}), '{"a": "x\\ny", "b": null}')


class TerminalTests(SynchronousTestCase):
    """
    L{Terminal}.
    """

    def test_otherEncoding(self) -> None:
        """
        Letters that the terminal's encoding has not become question marks.
        """
        stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
        terminal = Terminal(stdin=None, stdout=stdout, stderr=stdout, address=NOWHERE)
        terminal.show(["Ünits"])
        self.assertEqual(written(stdout), b"?nits\n")
