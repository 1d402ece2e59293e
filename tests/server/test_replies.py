# -*- test-case-name: tests.server.test_replies -*-
"""
Tests of L{muxd.server.replies}.
"""

from __future__ import annotations

import plistlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.replies import encodePlist, encodeResult, plistBody, printable
from muxd.wire.messages import Result, plistMessage, resultMessage


class ReplyTests(SynchronousTestCase):
    """
    Replies as bytes.
    """

    def test_resultsAgreeWithTheWire(self) -> None:
        """
        The quick way to a Result gives what the slow way gives.
        """
        for version in (0, 1):
            for number in (*Result, 22, 13, 0xFFFF):
                self.assertEqual(
                    encodeResult(version, 0xFFFFFFFF, number),
                    resultMessage(version, 0xFFFFFFFF, number).encode(),
                )

    def test_plistsAgreeWithTheWire(self) -> None:
        """
        The same is true of other replies.
        """
        values = {"BUID": "x", "List": [1, 2]}
        self.assertEqual(encodePlist(3, plistBody(values)), plistMessage(values, 3).encode())


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

    @settings(deadline=None, max_examples=200)
    @given(st.text(alphabet=st.characters()))
    def test_alwaysFitsIntoXML(self, name: str) -> None:
        """
        Whatever the name, it goes into a property list and comes out again.
        """
        shown = printable(name)
        self.assertEqual(plistlib.loads(plistlib.dumps([shown])), [shown])
        self.assertEqual(len(shown), min(255, len(name)))
