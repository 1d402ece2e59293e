# -*- test-case-name: tests.muxctl.test_daemonlog -*-
"""
Tests of L{muxd.muxctl.daemonlog}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.statusclient import StatusClient
from tests.muxctl.console import muxctl
from tests.muxctl.fakestatus import FakeStatus, answered

LINE = {"time": 86400.0, "level": "warn", "system": "muxd", "text": "one\x1b[2J\ntwo"}


class LogTests(SynchronousTestCase):
    """
    C{muxctl log}.
    """

    def test_lines(self) -> None:
        """
        Lines have their time and level, and what cannot be printed is not.
        """
        fake = FakeStatus(self, answered({"lines": [LINE]}))
        outcome = muxctl("log", "-n", "7", address=fake.daemon)
        self.assertEqual(outcome.status, 0)
        self.assertRegex(outcome.out, r"^1970-01-0[123] ..:..:.. warn     one\?\[2J\ntwo\n$")
        self.assertIn(b"GET /api/log?lines=7 ", fake.asked)

    def test_json(self) -> None:
        """
        For programs each line is an object.
        """
        fake = FakeStatus(self, answered({"lines": [LINE]}))
        outcome = muxctl("log", "--json", address=fake.daemon)
        self.assertEqual(json.loads(outcome.out), LINE)

    def test_follow(self) -> None:
        """
        With C{-f} lines are shown as they come, and those that did not are counted.
        """
        data = b"\n" + b"".join(
            json.dumps(each).encode() + b"\n" for each in (LINE, {"skipped": 3})
        )
        fake = FakeStatus(self, b"HTTP/1.1 200 OK\r\n\r\n" + data)
        outcome = muxctl("log", "-f", address=fake.daemon)
        self.assertIn("... and 3 lines that came too fast", outcome.out)
        self.assertEqual((outcome.status, outcome.err), (5, "muxctl: the daemon has ended\n"))
        self.assertIn(b"follow=1", fake.asked)

    def test_nonsense(self) -> None:
        """
        What makes no sense is an error of one line.
        """
        for answer in (answered({}), answered({"lines": 5}), answered({"lines": [{"time": "x"}]})):
            fake = FakeStatus(self, answer)
            outcome = muxctl("log", address=fake.daemon)
            self.assertEqual((outcome.status, outcome.err.count("\n")), (5, 1))

    def test_timeout(self) -> None:
        """
        When C{--timeout} is over, that is the end of what is followed, and no error.
        """
        fake = FakeStatus(self, b"HTTP/1.1 200 OK\r\n\r\n")
        self.patch(StatusClient, "isOver", True)
        outcome = muxctl("log", "-f", "--timeout", "60", address=fake.daemon)
        self.assertEqual((outcome.status, outcome.err), (0, ""))
