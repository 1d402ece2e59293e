"""
Tests of L{muxd.tap.journal}.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import cast

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.tap.journal import journalObserver, journalText, leadsToJournal


class StreamTests(SynchronousTestCase):
    """
    Tests of L{leadsToJournal}.
    """

    def test_variable(self) -> None:
        """
        Systemd names the stream that leads to the journal by device and inode; others do
        not lead there, although they inherit the variable.
        """
        path = Path(self.mktemp())
        with path.open("w") as stream:
            status = os.fstat(stream.fileno())
            named = f"{status.st_dev}:{status.st_ino}"
            self.assertTrue(leadsToJournal(stream, {"JOURNAL_STREAM": named}))
            for other in ("1:2", "", "x"):
                self.assertFalse(leadsToJournal(stream, {"JOURNAL_STREAM": other}))
            self.assertFalse(leadsToJournal(stream, {}))
        self.assertFalse(leadsToJournal(stream, {"JOURNAL_STREAM": named}))
        self.assertFalse(leadsToJournal(io.StringIO(), {"JOURNAL_STREAM": named}))


class TextTests(SynchronousTestCase):
    """
    Tests of L{journalText}.
    """

    def setUp(self) -> None:
        """
        Collect lines.
        """
        self.lines: list[str | None] = []
        observer = lambda event: self.lines.append(journalText(event))  # noqa: E731
        self.log = Logger(observer=cast(ILogObserver, observer))

    def test_priorities(self) -> None:
        """
        Each line has its priority, and no time.
        """
        for level in (
            LogLevel.debug,
            LogLevel.info,
            LogLevel.warn,
            LogLevel.error,
            LogLevel.critical,
        ):
            self.log.emit(level, "it is {what}", what=level.name)
        self.assertEqual(
            self.lines,
            [
                "<7>it is debug\n",
                "<6>it is info\n",
                "<4>it is warn\n",
                "<3>it is error\n",
                "<2>it is critical\n",
            ],
        )

    def test_traceback(self) -> None:
        """
        Each line of a traceback has the priority of its event.
        """
        try:
            raise ValueError("no luck")
        except ValueError:
            self.log.failure("broken", Failure())
        lines = (self.lines[0] or "").splitlines()
        self.assertGreater(len(lines), 2)
        self.assertEqual(lines[0], "<2>broken")
        self.assertEqual({line[:3] for line in lines}, {"<2>"})

    def test_nothing(self) -> None:
        """
        An event without a text is no line.
        """
        self.log.info("")
        self.assertEqual(self.lines, [None])

    def test_observer(self) -> None:
        """
        The observer is one that twistd takes.
        """
        verifyObject(ILogObserver, journalObserver())
