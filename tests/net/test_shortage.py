# -*- test-case-name: tests.net.test_shortage -*-
"""
Tests of L{muxd.net.shortage}.
"""

from __future__ import annotations

from errno import EACCES, EDQUOT, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC

from twisted.trial.unittest import SynchronousTestCase

from muxd.net.shortage import remedy


class RemedyTests(SynchronousTestCase):
    """
    Tests of L{remedy}.
    """

    def test_short(self) -> None:
        """
        Each kind of shortage has a remedy that names where to turn.
        """
        for number, place in (
            (EMFILE, "LimitNOFILE="),
            (ENFILE, "fs.file-max"),
            (ENOBUFS, "MemoryMax="),
            (ENOMEM, "MemoryMax="),
            (ENOSPC, "space"),
            (EDQUOT, "quota"),
        ):
            text = remedy(OSError(number, ""))
            assert text is not None
            self.assertIn(place, text)
            self.assertNotIn("\n", text)

    def test_otherTrouble(self) -> None:
        """
        Other errors are no shortage.
        """
        self.assertIsNone(remedy(OSError(EACCES, "")))
        self.assertIsNone(remedy(OSError("no number")))
