"""
Tests of L{muxd.phone.services.logbook}.
"""

from __future__ import annotations

import json
import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.phone.services.logbook import FOLLOWING, LONGEST, LogLine, SyslogBook, parseLine


class ParseTests(SynchronousTestCase):
    """
    Tests of L{parseLine}.
    """

    def test_forms(self) -> None:
        """
        JSON, a line as C{idevicesyslog} prints it, and any text.
        """
        full = LogLine(7, "app", "it is dark", "Error", 42, "com.example", "light")
        given = {
            "text": "it\nis dark",
            "process": "app",
            "level": "Error",
            "pid": 42,
            "subsystem": "com.example",
            "category": "light",
        }
        self.assertEqual(parseLine(json.dumps(given).encode(), 7), full)
        for text, expected in (
            ("Jan  1 00:00:00 iPhone app(lib)[42] <Error>: dark", ("app", 42, "Error", "dark")),
            ("Jan  1 00:00:00 app[42] <Debug>: dark", ("app", 42, "Debug", "dark")),
            ("anything at all", ("log", 1, "Notice", "anything at all")),
            ('{"text": 1}', ("log", 1, "Notice", '{"text": 1}')),
            ('{"text": "a", "pid": true, "level": "?"}', ("log", 1, "Notice", "a")),
            ("{broken", ("log", 1, "Notice", "{broken")),
        ):
            line = parseLine(text.encode(), 0)
            self.assertEqual((line.process, line.pid, line.level, line.text), expected)

    @given(st.binary(max_size=60))
    def test_anything(self, data: bytes) -> None:
        """
        Whatever is fed, it is one line.
        """
        self.assertNotIn("\n", parseLine(data, 0).text)


class BookTests(SynchronousTestCase):
    """
    Tests of L{SyslogBook} and files.
    """

    def setUp(self) -> None:
        """
        A file with lines.
        """
        self.clock = Clock()
        self.path = self.mktemp()
        with open(self.path, "w") as file:
            file.write("one\n\ntwo\nthr")
        self.book = SyslogBook(self.clock, feed=self.path)

    def test_rest(self) -> None:
        """
        A log that no host reads costs nothing.
        """
        self.book.write("a", "Notice", "b")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_file(self) -> None:
        """
        Each reader gets all lines of a file, and those that are added, until it goes.
        """
        first: list[str] = []
        second: list[str] = []

        def readFirst(line: LogLine) -> None:
            first.append(line.text)

        def readSecond(line: LogLine) -> None:
            second.append(line.text)

        self.book.read(readFirst)
        with open(self.path, "a") as file:
            file.write("ee\n")
        self.book.read(readSecond)
        self.clock.advance(FOLLOWING)
        self.assertEqual(first, ["one", "two", "three"])
        self.assertEqual(second, first)
        self.book.write("a", "Notice", "four")
        self.assertEqual(first[-1], "four")
        self.book.close(readFirst)
        self.book.close(readSecond)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_replaced(self) -> None:
        """
        A file that has become shorter is read from its beginning.
        """
        lines: list[str] = []
        self.book.read(lambda line: lines.append(line.text))
        with open(self.path, "w") as file:
            file.write("new\n")
        self.clock.advance(FOLLOWING)
        self.assertEqual(lines, ["one", "two", "new"])

    def test_long(self) -> None:
        """
        A line without an end is not waited for.
        """
        lines: list[str] = []
        with open(self.path, "w") as file:
            file.write("x" * 5 * LONGEST)
        self.book.read(lambda line: lines.append(line.text))
        for _ in range(4):
            self.clock.advance(FOLLOWING)
        self.assertEqual(len(lines), 1)

    def test_missing(self) -> None:
        """
        A file that cannot be read is told of once, and tried again.
        """
        os.rename(self.path, self.path + ".away")
        lines: list[str] = []
        with capturedLogs() as events:
            self.book.read(lambda line: lines.append(line.text))
            self.clock.advance(FOLLOWING)
        self.assertEqual(len(events), 1)
        os.rename(self.path + ".away", self.path)
        self.clock.advance(FOLLOWING)
        self.assertEqual(lines, ["one", "two"])


class PipeTests(TestCase):
    """
    Tests of L{SyslogBook} and pipes.
    """

    timeout = 30

    def test_pipe(self) -> Deferred[None]:
        """
        What is written to a pipe waits in it until a host reads the log, and is told as it comes.
        """
        path = self.mktemp()
        os.mkfifo(path)
        writer = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, writer)
        os.write(writer, b"one\ntwo\nthr")
        book = SyslogBook(reactor, feed=path)
        lines: list[str] = []
        done: Deferred[None] = Deferred()

        def reader(line: LogLine) -> None:
            lines.append(line.text)
            if line.text == "two":
                os.write(writer, b"ee\n")
            if line.text == "three":
                book.close(reader)
                done.callback(None)

        book.read(reader)
        return done.addCallback(lambda _: self.assertEqual(lines, ["one", "two", "three"]))
