# -*- test-case-name: tests.muxctl.test_screen -*-
"""
Tests of L{muxd.muxctl.screen}.
"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.activity import Activity
from muxd.muxctl.screen import columnsOf, fitted, frame
from tests.muxctl.fakestatus import phone, session, state, tick

CONTROLS = re.compile(r"\x1b\[[0-9?]*[A-Za-z]")


def columns(text: str) -> int:
    """
    How many columns a line takes.
    """
    return sum(map(columnsOf, text))


class ScreenTests(SynchronousTestCase):
    """
    What C{top} shows.
    """

    def setUp(self) -> None:
        """
        Have a daemon.
        """
        self.activity = Activity()
        self.activity.take("state", state())

    def lines(self, width: int = 80, height: int = 24, sessions: bool = False) -> list[str]:
        """
        The screen's lines, without what is for the terminal alone.
        """
        text = frame(self.activity, width, height, sessions)
        return CONTROLS.sub("", text).split("\r\n")

    def test_phones(self) -> None:
        """
        Each phone has a line, the busiest first.
        """
        self.activity.take("tick", tick(1.0, phones={"2": [1500, 3_000_000]}))
        _, heading, first, second, *_ = self.lines()
        self.assertTrue(heading.startswith("PHONE"))
        self.assertRegex(first, r"^Ann's 2 +1-2 +trusted +0 +- +1.0 MB/s$")
        self.assertTrue(second.startswith("Ann's 1"))

    def test_wide(self) -> None:
        """
        A wide screen has models and versions, too.
        """
        self.assertIn("iPhone14,5", self.lines(width=120)[2])
        self.assertNotIn("iPhone14,5", self.lines(width=80)[2])

    def test_sessions(self) -> None:
        """
        Sessions are below their phones, when they are wanted.
        """
        self.assertEqual(len(self.lines()), 5)
        line = self.lines(sessions=True)[3]
        self.assertRegex(line, r"^  xctest \(77\) +port 62078 +1 min 5 s +- +-$")

    def test_held(self) -> None:
        """
        A program that does not read is told.
        """
        self.activity.take("tick", tick(1.0, moved={"1-7": [0, 10, 5000, 1]}))
        self.assertIn("5.0 kB unread", "".join(self.lines(sessions=True)))

    def test_problems(self) -> None:
        """
        What is wrong is above.
        """
        self.activity.take("problems", [{"severity": "error", "text": "no libusb"}])
        self.assertIn("error: no libusb", self.lines()[1])
        self.assertIn("gone", CONTROLS.sub("", frame(self.activity, 80, 24, False, "gone")))

    def test_fits(self) -> None:
        """
        No line is longer than the screen, and there are no more of them, whatever phones
        are called and however small it is.
        """
        name = "電話" * 20 + "é" * 300
        self.activity.take("phones", [phone(number, name=name) for number in range(1, 60)])
        self.activity.take("tick", tick(1.0, opened=[session(1, peer={"program": name, "pid": 1})]))
        for width, height in ((80, 24), (200, 10), (56, 3), (40, 1), (1, 1)):
            lines = self.lines(width, height, sessions=True)
            self.assertLessEqual(len(lines), max(height, 2))
            self.assertLessEqual(max(map(columns, lines)), width)
        self.assertIn("more lines", self.lines(120, 10)[-1])

    def test_harmless(self) -> None:
        """
        Nothing that a phone or a program is called commands the terminal.
        """
        evil = "\x1b[2J\x07\r\n\x9b31m"
        self.activity.take("phones", [phone(1, name=evil, model=evil, trust=evil, portPath=evil)])
        self.activity.take("tick", tick(1.0, opened=[session(1, peer={"program": evil, "pid": 1})]))
        self.activity.take("problems", [{"severity": evil, "text": evil}])
        text = CONTROLS.sub("", frame(self.activity, 120, 24, True).replace("\x1b[2J", "!"))
        self.assertTrue(text.replace("\r\n", "").isprintable(), repr(text))
        self.assertNotIn("!", text)

    def test_fitted(self) -> None:
        """
        Wide letters take two columns, accents none.
        """
        for text, width, expected in (
            ("ab", 3, "ab "),
            ("abc", 2, "ab"),
            ("電話", 3, "電 "),
            ("e\u0301x", 2, "e\u0301x"),
            ("", 2, "  "),
        ):
            self.assertEqual(fitted(text, width), expected)
