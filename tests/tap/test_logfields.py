# -*- test-case-name: tests.tap.test_logfields -*-
"""
Tests of L{muxd.tap.logfields}.
"""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.tap.logfields import LONGEST_TEXT, LONGEST_VALUE, jsonObserver, jsonText


class Unspeakable:
    """
    Something that has no text.
    """

    def __str__(self) -> str:
        raise ValueError("not this one")


class JSONTests(SynchronousTestCase):
    """
    Lines for programs.
    """

    def setUp(self) -> None:
        """
        Collect lines.
        """
        self.lines: list[str | None] = []
        observer = lambda event: self.lines.append(jsonText(event))  # noqa: E731
        self.log = Logger(namespace="muxd.x", observer=cast(ILogObserver, observer))

    def logged(self) -> dict[str, Any]:
        """
        The one object that was written.
        """
        (line,) = self.lines
        self.lines.clear()
        assert line is not None
        self.assertEqual(line.count("\n"), 1)
        values: dict[str, Any] = json.loads(line)
        return values

    def test_observer(self) -> None:
        """
        What C{twistd} is given observes a log.
        """
        verifyObject(ILogObserver, jsonObserver())

    def test_fields(self) -> None:
        """
        An event is an object with its text and its fields.
        """
        self.log.warn("{udid} at {place}", udid="x", place=3, isThere=True, rate=None)
        values = self.logged()
        self.assertRegex(values.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(
            values,
            {
                "level": "warn",
                "logger": "muxd.x",
                "message": "x at 3",
                "fields": {"udid": "x", "place": 3, "isThere": True, "rate": None},
            },
        )

    def test_harmless(self) -> None:
        """
        What is in an event makes no further line, is not too long, and need not have a
        text.
        """
        self.log.info("{a}", a="1\n2\x1b[2J" + "x" * 99999, b=Unspeakable(), c=[1])
        values = self.logged()
        self.assertEqual(len(values["message"]), LONGEST_TEXT)
        self.assertEqual(len(values["fields"]["a"]), LONGEST_VALUE)
        self.assertEqual(values["fields"]["b"], "(no text: ValueError)")
        self.assertEqual(values["fields"]["c"], "[1]")

    def test_failure(self) -> None:
        """
        A failure has its traceback.
        """
        self.log.failure("it broke", Failure(ZeroDivisionError("mistake")), LogLevel.error)
        values = self.logged()
        self.assertEqual((values["message"], values["level"]), ("it broke", "error"))
        self.assertIn("ZeroDivisionError: mistake", values["traceback"])

    def test_nothing(self) -> None:
        """
        An event that says nothing is no line.
        """
        self.log.info("")
        self.assertEqual(self.lines, [None])

    def test_older(self) -> None:
        """
        Of an event of Twisted's older log its text is left.
        """
        line = jsonText(
            {
                "log_format": "{log_text}",
                "log_text": "x",
                "message": (),
                "isError": 0,
                "log_system": "-",
                "log_time": 0.0,
                "time": 0.0,
                "format": "%(log_legacy)s",
            }
        )
        assert line is not None
        values = json.loads(line)
        self.assertEqual((values["message"], values["fields"]), ("x", {}))
        self.assertEqual(values["time"], "1970-01-01T00:00:00.000Z")
