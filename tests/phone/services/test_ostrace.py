"""
Tests of L{muxd.phone.services.ostrace}.
"""

from __future__ import annotations

import io
import plistlib
import struct
import tarfile
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.logbook import LogLine, SyslogBook
from muxd.phone.services.ostrace import (
    ANSWER,
    DATA,
    RECORD,
    RECORD_HEAD,
    OsTraceRelay,
    encodeRecord,
)


class RecordTests(SynchronousTestCase):
    """
    Tests of L{encodeRecord}.
    """

    def test_record(self) -> None:
        """
        Fields are where clients look for them.
        """
        record = encodeRecord(LogLine(5.25, "app", "dark", "Error", 42, "com.a", "light"))
        (pid,) = struct.unpack_from("<I", record, 9)
        seconds, microseconds = struct.unpack_from("<QI", record, 55)
        self.assertEqual((pid, seconds, microseconds, record[68]), (42, 5, 250_000, 0x10))
        self.assertEqual(
            record[RECORD_HEAD.size :].split(b"\0"),
            [b"/usr/libexec/app", b"app", b"dark", b"com.a", b"light", b""],
        )
        self.assertEqual(RECORD_HEAD.size, 129)

    def test_noLabel(self) -> None:
        """
        A line without a category has no label at all.
        """
        record = encodeRecord(LogLine(0, "app", "dark", subsystem="com.a"))
        self.assertEqual(record.count(b"\0", RECORD_HEAD.size), 3)


class RelayTests(SynchronousTestCase):
    """
    Tests of L{OsTraceRelay}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.book = SyslogBook(Clock())
        self.transport = StringTransport()
        self.relay = OsTraceRelay(self.book)
        self.relay.makeConnection(self.transport)

    def ask(self, **request: Any) -> None:
        """
        Send a request.
        """
        data = plistlib.dumps(request)
        self.relay.dataReceived(struct.pack(">I", len(data)) + data)

    def chunks(self) -> list[tuple[int, bytes]]:
        """
        What came.
        """
        data = self.transport.value()
        self.transport.clear()
        found = []
        while data:
            kind = data[0]
            (size,) = struct.unpack(">I" if kind == ANSWER else "<I", data[1:5])
            found.append((kind, data[5 : 5 + size]))
            data = data[5 + size :]
        return found

    def test_activity(self) -> None:
        """
        After a short answer there are records, of one process if that was asked for.
        """
        self.ask(Request="StartActivity", Pid=42, MessageFilter=0xFFFF, StreamFlags=0x3C)
        ((kind, answer),) = self.chunks()
        self.assertEqual(kind, ANSWER)
        self.assertEqual(plistlib.loads(answer), {"Status": "RequestSuccessful"})
        self.assertLess(len(answer), 256)
        self.book.tell(LogLine(0, "app", "mine", pid=42))
        self.book.tell(LogLine(0, "app", "other", pid=43))
        ((kind, record),) = self.chunks()
        self.assertEqual(kind, RECORD)
        self.assertIn(b"mine", record)
        self.relay.connectionLost(connectionDone)
        self.book.tell(LogLine(0, "app", "later", pid=42))
        self.assertEqual(self.chunks(), [])

    def test_everybody(self) -> None:
        """
        Both ways to say every process are understood.
        """
        for pid in (-1, 0xFFFFFFFF):
            self.setUp()
            self.ask(Request="StartActivity", Pid=pid)
            self.book.tell(LogLine(0, "app", "any", pid=7))
            self.assertEqual(len(self.chunks()), 2)

    def test_slow(self) -> None:
        """
        A host that does not read is told how much was skipped.
        """
        self.ask(Request="StartActivity")
        self.chunks()
        self.relay.pauseProducing()
        for _ in range(3):
            self.book.tell(LogLine(0, "app", "x"))
        self.relay.resumeProducing()
        ((_, record),) = self.chunks()
        self.assertIn(b"3 lines were skipped", record)

    def test_processes(self) -> None:
        """
        The processes are those that have said something, and the first.
        """
        self.book.note(LogLine(0, "app", "x", pid=42))
        self.ask(Request="PidList")
        ((_, answer),) = self.chunks()
        payload = plistlib.loads(answer)["Payload"]
        self.assertEqual(payload["42"], {"ProcessName": "app"})
        self.assertEqual(payload["1"], {"ProcessName": "launchd"})

    def test_archive(self) -> None:
        """
        An archive can be unpacked, and the connection ends behind it.
        """
        self.ask(Request="CreateArchive", SizeLimit=1)
        (_, _), (kind, data) = self.chunks()
        self.assertEqual(kind, DATA)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.assertIn("Persist", archive.getnames())
        self.assertTrue(self.transport.disconnecting)

    def test_other(self) -> None:
        """
        What is not known is refused.
        """
        self.ask(Request="Dance")
        ((_, answer),) = self.chunks()
        self.assertEqual(plistlib.loads(answer), {"Status": "RequestFailed"})
