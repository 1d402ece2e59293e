"""
Tests of L{muxd.muxctl.reader}.
"""

from __future__ import annotations

import io
import os
import threading

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.reader import endWithReader

PATIENCE = 300
"""Seconds that a thread may take, which is no matter of these tests."""


class ReaderTests(SynchronousTestCase):
    """
    Tests of L{endWithReader}.
    """

    def test_gone(self) -> None:
        """
        When the reader goes the process ends, with the status of one that SIGPIPE ends.
        """
        reading, writing = os.pipe()
        left = threading.Event()
        statuses: list[int] = []

        def leave(status: int) -> None:
            statuses.append(status)
            left.set()

        with open(writing, "w", encoding="utf-8") as output:
            endWithReader(output, leave)
            output.write("a line\n")
            output.flush()
            self.assertEqual(os.read(reading, 100), b"a line\n")
            self.assertFalse(left.is_set())
            os.close(reading)
            self.assertTrue(left.wait(PATIENCE))
        self.assertEqual(statuses, [141])

    def test_others(self) -> None:
        """
        A file, and what is no descriptor, is not waited for.
        """
        before = threading.active_count()
        with open(self.mktemp(), "w", encoding="utf-8") as output:
            endWithReader(output)
        endWithReader(io.StringIO())
        self.assertEqual(threading.active_count(), before)
