"""
Tests of L{muxd.phone.services.syslog}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.logbook import LONGEST, SyslogBook
from muxd.phone.services.syslog import SyslogRelay


class SyslogTests(SynchronousTestCase):
    """
    Writing and reading along.
    """

    def setUp(self) -> None:
        """
        A log, and somebody who reads it.
        """
        self.book = SyslogBook(Clock(), timeOfDay=lambda: 0.0)
        self.transport = StringTransport()
        self.relay = SyslogRelay(self.book)

    def connect(self) -> None:
        """
        Begin to read.
        """
        self.relay.makeConnection(self.transport)
        self.producer: Any = self.transport.producer

    def test_line(self) -> None:
        """
        A line says when, where, who and how grave; it is one line.
        """
        self.connect()
        self.book.write("backboardd", "Error", "it\nis \0 dark")
        self.assertEqual(
            self.transport.value(),
            b"Jan  1 00:00:00 iPhone backboardd[1] <Error>: it is dark\n\0",
        )

    def test_live(self) -> None:
        """
        Lines come as they are written, until the host is gone.
        """
        self.connect()
        self.book.write("a", "Notice", "1")
        self.relay.connectionLost(connectionDone)
        self.book.write("a", "Notice", "2")
        self.assertEqual(self.transport.value().count(b"\0"), 1)

    def test_past(self) -> None:
        """
        What was written before a host reads on is not told, as on a phone.
        """
        self.book.write("a", "Notice", "1")
        self.connect()
        self.assertEqual(self.transport.value(), b"")

    def test_bounded(self) -> None:
        """
        A line that is longer than any is cut, and it can be seen that it was.
        """
        self.connect()
        self.book.write("a", "Notice", "x" * LONGEST)
        self.book.write("a", "Notice", "x" * (LONGEST + 1))
        whole, cut, _ = self.transport.value().split(b"\0")
        self.assertTrue(whole.endswith(b"xx\n"))
        self.assertTrue(cut.endswith(b"x <...>\n"))

    def test_slow(self) -> None:
        """
        A host that does not read is told how much was skipped.
        """
        self.connect()
        self.producer.pauseProducing()
        for number in range(3):
            self.book.write("a", "Notice", str(number))
        self.producer.resumeProducing()
        self.assertEqual(self.transport.value(), b"... 3 lines were skipped\n\0")
        self.producer.pauseProducing()
        self.producer.resumeProducing()
        self.assertEqual(self.transport.value().count(b"skipped"), 1)

    def test_stopped(self) -> None:
        """
        A transport that is gone takes nothing.
        """
        self.connect()
        self.producer.stopProducing()
        self.book.write("a", "Notice", "1")
        self.assertEqual(self.transport.value(), b"")
