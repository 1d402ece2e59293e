# -*- test-case-name: tests.tap.test_journalsocket -*-
"""
Tests of L{muxd.tap.journalsocket}.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from typing import cast

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.tap.journalsocket import (
    JournalSocketObserver,
    encodeFields,
    fieldName,
    hasJournal,
    journalSocket,
)


def decoded(data: bytes) -> dict[str, str]:
    """
    What the journal reads.
    """
    found = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, separator, value = line.partition(b"=")
        if not separator:
            (length,) = struct.unpack_from("<Q", data)
            value, data = data[8 : 8 + length], data[9 + length :]
        found[name.decode()] = value.decode()
    return found


class JournalTests(SynchronousTestCase):
    """
    Events as the journal takes them.
    """

    def setUp(self) -> None:
        """
        Have a journal.
        """
        self.sent: list[bytes] = []
        self.trouble: OSError | None = None

        def send(data: bytes) -> None:
            if self.trouble is not None:
                raise self.trouble
            self.sent.append(data)

        self.observer = JournalSocketObserver(send)
        self.log = Logger(namespace="muxd.x", observer=cast(ILogObserver, self.observer))

    def test_fields(self) -> None:
        """
        An event's fields are the journal's, with a priority.
        """
        verifyObject(ILogObserver, self.observer)
        self.log.warn("{udid} is there", udid="x", deviceID=3)
        (data,) = self.sent
        self.assertEqual(
            decoded(data),
            {
                "MESSAGE": "x is there",
                "PRIORITY": "4",
                "SYSLOG_IDENTIFIER": "usbmuxd",
                "MUXD_LOGGER": "muxd.x",
                "MUXD_UDID": "x",
                "MUXD_DEVICE_ID": "3",
            },
        )

    def test_lines(self) -> None:
        """
        A field of several lines is one field, and adds no other.
        """
        evil = "a\nMESSAGE=forged\nPRIORITY=0\n"
        self.log.info("{text}", text=evil)
        values = decoded(self.sent[0])
        self.assertEqual((values["MESSAGE"], values["PRIORITY"]), (evil, "6"))
        self.assertEqual(values["MUXD_TEXT"], evil)

    def test_names(self) -> None:
        """
        Whatever a field is called, its name is one that the journal takes, and never one of
        the journal's own.
        """
        for name, expected in (
            ("udid", "MUXD_UDID"),
            ("deviceID", "MUXD_DEVICE_ID"),
            ("a=b\n", "MUXD_A_B_"),
            ("é" * 100, "MUXD_" + "_" * 59),
            ("_PID", "MUXD__PID"),
        ):
            self.assertEqual(fieldName(name), expected)

    def test_ownFields(self) -> None:
        """
        An event's field does not take the place of one of ours.
        """
        self.log.info("x", logger="forged")
        self.assertEqual(decoded(self.sent[0])["MUXD_LOGGER"], "muxd.x")

    def test_failure(self) -> None:
        """
        A failure has its traceback in a field.
        """
        self.log.failure("it broke", Failure(ZeroDivisionError("mistake")), LogLevel.critical)
        values = decoded(self.sent[0])
        self.assertEqual((values["MESSAGE"], values["PRIORITY"]), ("it broke", "2"))
        self.assertIn("mistake", values["MUXD_TRACEBACK"])

    def test_lost(self) -> None:
        """
        What the journal does not take is counted, and told later.
        """
        self.trouble = BlockingIOError()
        for _ in range(3):
            self.log.info("lost")
        self.trouble = None
        self.log.info("there")
        self.log.info("again")
        there, again = map(decoded, self.sent)
        self.assertEqual((there["MUXD_LOST"], "MUXD_LOST" in again), ("3", False))

    def test_nothing(self) -> None:
        """
        An event that says nothing is not sent.
        """
        self.log.info("")
        self.assertEqual(self.sent, [])

    def test_socket(self) -> None:
        """
        It is a datagram for each event.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            self.assertFalse(hasJournal(path))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
                journal.bind(path)
                self.assertTrue(hasJournal(path))
                with journalSocket(path) as connected:
                    JournalSocketObserver(connected.send)({"log_format": "hello"})
                    self.assertEqual(decoded(journal.recv(65536))["MESSAGE"], "hello")

    def test_empty(self) -> None:
        """
        Fields may be empty.
        """
        self.assertEqual(decoded(encodeFields({"A": "", "B": "x"})), {"A": "", "B": "x"})
