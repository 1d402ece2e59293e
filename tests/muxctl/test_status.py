# -*- test-case-name: tests.muxctl.test_status -*-
"""
Tests of L{muxd.muxctl.status}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.status import settled
from tests.muxctl.console import Outcome, muxctl
from tests.muxctl.fakestatus import FakeStatus, answered, phone, session, state


class StatusTests(SynchronousTestCase):
    """
    C{muxctl status}.
    """

    def status(self, values: object, *words: str) -> Outcome:
        """
        What is shown of these values.
        """
        fake = FakeStatus(self, answered(values))
        return muxctl("status", *words, address=fake.daemon)

    def test_phones(self) -> None:
        """
        Each phone has a line.
        """
        outcome = self.status(state())
        head, heading, first, _ = outcome.out.splitlines()
        self.assertEqual(
            head,
            "usbmuxd 0.2.0 (compiled), process 5, up 1 h 1 min: 2 phones, 1 session",
        )
        self.assertEqual(heading.split()[:3], ["UDID", "NAME", "MODEL"])
        self.assertRegex(first, r"Ann's 1 +iPhone14,5 +17.2 +trusted +1-1 +1 +1.5 kB +2.0 MB")
        self.assertEqual((outcome.status, outcome.err), (0, ""))

    def test_settled(self) -> None:
        """
        Phones that are being asked what they are called have a moment to answer; others, and
        those that do not answer, are not waited for.
        """
        asking = state(phones=[phone(1, name="", asking=True), phone(2, asking=False)])
        udid = str(phone(2)["udid"])
        for answers, of, slept in (
            ([asking, asking, state()], None, 2),
            ([state(), asking], None, 0),
            ([asking, state()], udid, 0),
            ([asking] * 20, None, 10),
        ):
            told, sleeps = iter(answers), list[float]()
            found = settled(lambda told=told: next(told), of, sleep=sleeps.append)  # type: ignore[misc]
            self.assertEqual(len(sleeps), slept)
            self.assertIs(found, answers[slept])
        self.assertIs(settled(lambda: asking, None, 0.05), asking)

    def test_sessions(self) -> None:
        """
        Sessions are shown when they are wanted.
        """
        values = state(sessions=[session(1), session(2, held=5000)])
        outcome = self.status(values, "--sessions")
        self.assertRegex(outcome.out, r"xctest \(77\) .* 62078 +1 min 5 s .* - +established")
        self.assertIn("5.0 kB", outcome.out)

    def test_one(self) -> None:
        """
        A phone may be named; one that is not there is exit status 1.
        """
        udid = str(phone(2)["udid"])
        outcome = self.status(state(), "-u", udid.replace("-", ""))
        self.assertNotIn("Ann's 1", outcome.out)
        self.assertIn("Ann's 2", outcome.out)
        outcome = self.status(state(), "-u", "other")
        self.assertEqual((outcome.status, outcome.err), (1, "muxctl: no phone other is attached\n"))

    def test_problems(self) -> None:
        """
        What is wrong, and what to do, is told, and which limits are near; nothing that a
        phone is called commands the terminal.
        """
        problem = {"severity": "error", "text": "x\x1b[2J", "remedy": "y\x07"}
        limit = {"name": "file descriptors", "used": 900, "most": 1000}
        values = state(
            problems=[problem],
            limits=[limit, {"name": "z", "used": 5, "most": None}],
            phones=[phone(1, name="\x1b]0;")],
        )
        outcome = self.status(values)
        self.assertIn("error: x?[2J\n  to do: y?\n", outcome.out)
        self.assertIn("near a limit: 900 of 1000 file descriptors", outcome.out)
        self.assertTrue(outcome.out.replace("\n", "").isprintable())

    def test_json(self) -> None:
        """
        For programs it is all that the daemon has told.
        """
        outcome = self.status(state(), "--json")
        self.assertEqual(json.loads(outcome.out), state())

    def test_nonsense(self) -> None:
        """
        What makes no sense is an error of one line.
        """
        for values in ({}, {"phones": 5}, state(phones=[{"udid": "x"}]), state(limits=[5])):
            outcome = self.status(values)
            self.assertEqual((outcome.status, outcome.err.count("\n")), (5, 1), values)
