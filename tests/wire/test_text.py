"""
Tests for L{muxd.wire.text}.
"""

from __future__ import annotations

import plistlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.text import printable
from tests.running.properties import examples


class PrintableTests(SynchronousTestCase):
    """
    Names that others gave us.
    """

    def test_plainNames(self) -> None:
        """
        An ordinary name stays as it is, in any script.
        """
        for name in ("", "iTunes", "Grüße 中文"):
            self.assertEqual(printable(name), name)

    def test_length(self) -> None:
        """
        A name has 255 characters at most.
        """
        self.assertEqual(printable("x" * 70000), "x" * 255)

    @settings(deadline=None, max_examples=examples(200))
    @given(st.text(alphabet=st.characters()))
    def test_alwaysFitsIntoXML(self, name: str) -> None:
        """
        Whatever the name, it goes into a property list and comes out again.
        """
        shown = printable(name)
        self.assertEqual(plistlib.loads(plistlib.dumps([shown])), [shown])
        self.assertEqual(len(shown), min(255, len(name)))
