# -*- test-case-name: tests.server.test_replies -*-
"""
Tests of L{muxd.server.replies}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.server.replies import encodePlist, encodeResult, listedAlone, listEntry, recordBody
from muxd.wire.messages import Result, plistMessage, writePlist
from tests.wire.results import resultMessage


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
        self.assertEqual(encodePlist(3, writePlist(values)), plistMessage(values, 3).encode())


class ListEntryTests(SynchronousTestCase):
    """
    L{listEntry}.
    """

    def test_likePlistlib(self) -> None:
        """
        It is what plistlib writes, whatever the length of what is in it, and how deep.
        """
        for length in (0, 1, 30, 33, 34, 66, 128, 200):
            values = {"A": bytes(length), "B": {"C": bytes(length), "D": True, "E": 5, "F": "<"}}
            list_ = writePlist({"List": [values]})
            self.assertIn(listEntry(values) + b"\n\t</array>", list_, length)
            if not length:
                self.assertEqual(listedAlone(listEntry(values)), writePlist(values))
        deep: dict[str, Any] = {"A": bytes(200)}
        for _ in range(8):
            deep = {"B": deep}
        self.assertIn(listEntry(deep), writePlist({"List": [deep]}))


class RecordBodyTests(SynchronousTestCase):
    """
    L{recordBody}.
    """

    def test_likePlistlib(self) -> None:
        """
        It is what plistlib writes, whatever the length.
        """
        for length in (*range(200), 240_422):
            data = (b"%d." % length * (length + 1))[:length]
            self.assertEqual(recordBody(data), writePlist({"PairRecordData": data}))
