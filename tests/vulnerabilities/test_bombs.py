"""
Property lists that are far more than they seem (as CVE-2003-1564, the billion laughs
of XML): through the client protocol, as pair records on the disk, from a phone's
lockdownd, and to the simulated one.

Each is answered with the error that the protocol has for what is no property list,
or is harmless, and in either case at once: a test that waits for one of these never
ends, and memory for them is not there.
"""

from __future__ import annotations

import plistlib
import tempfile
from errno import EINVAL
from pathlib import Path
from struct import pack
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.client import LockdownClient
from muxd.lockdown.errors import LockdownUnavailable
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord
from muxd.lockdown.plists import LONGEST_MESSAGE
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.lockdownd import LOCKDOWN_PORT
from muxd.server.records import PairRecordStore
from muxd.testing import ImmediateRecords
from muxd.wire.messages import MalformedMessage, Message, MessageType, Result, parsePlist
from tests.fuzz.bombs import binaryPlist, bombs, laughs
from tests.fuzz.watching import LONGEST_LINE
from tests.phone.lockdown.test_lockdownd import frame
from tests.phone.mux.host import ManualHost
from tests.phone.services.hosts import messagesIn
from tests.server.serving import ServingTestCase

HARMLESS = {"uid", "control", "text", "hex", "real"}
"""Strange, but no more than they seem."""

CUT = {"decimal", "hexadecimal", "number", "parameters"}
"""Those of L{large} that are read: a number of any length is as much as there are any."""

HEAD = b"\xd1\1\2", b"\x51a"
XML = b'<?xml version="1.0"?><plist version="1.0"><dict>'
END = b"</dict></plist>"


def entities(levels: int) -> bytes:
    """
    The billion laughs.
    """
    kinds = b"".join(b'<!ENTITY e%d "%s">' % (at + 1, b"&e%d;" % at * 10) for at in range(levels))
    doctype = b'<!DOCTYPE plist [<!ENTITY e0 "ha">' + kinds + b"]>"
    return (
        b'<?xml version="1.0"?>'
        + doctype
        + b"<plist><dict><key>a</key><string>&e%d;</string></dict></plist>" % levels
    )


def large(most: int) -> dict[str, bytes]:
    """
    Bombs as large as a message may be.
    """
    room = most - 200
    deep = room // 15
    return {
        "many laughs": laughs(*HEAD, levels=200),
        "nine laughs": laughs(*HEAD, levels=9),
        "entities": entities(9),
        "parameters": b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY % a SYSTEM "file:///dev/zero">'
        b"%a;]><plist><dict/></plist>",
        "deep arrays": XML + b"<key>a</key>" + b"<array>" * deep + b"</array>" * deep + END,
        "unclosed": XML + b"<key>a</key>" + b"<array>" * (room // 7),
        "deep dictionaries": XML + b"<key>a</key><dict>" * (room // 18),
        "decimal": XML + b"<key>a</key><integer>" + b"9" * room + b"</integer>" + END,
        "hexadecimal": XML + b"<key>a</key><integer>0x" + b"f" * room + b"</integer>" + END,
        "number": XML + b"<key>a</key><real>" + b"9" * room + b"e" + b"</real>" + END,
        "one text for all": binaryPlist(
            *HEAD,
            b"\xaf\x11" + pack(">H", room // 3) + b"\3" * (room // 3),
            b"\x5f\x11" + pack(">H", room // 3) + b"x" * (room // 3),
        )
        if most < 1 << 16
        else laughs(*HEAD, levels=9),
        "binary integer": binaryPlist(*HEAD, b"\x1e\x7f" + b"\xff" * 16383),
        "text without end": binaryPlist(*HEAD, b"\x5f\x13\x7f" + b"\xff" * 7),
        "offsets": b"bplist00" + bytes(24) + pack(">6xBBQQQ", 8, 8, 1 << 60, 0, 8),
        "tables": b"bplist00" + b"\xff" * 40 + pack(">6xBBQQQ", 255, 255, 1 << 62, 1 << 61, 8),
    }


def everything(most: int) -> dict[str, bytes]:
    """
    All that are no property lists for us.
    """
    small = {name: data for name, data in bombs().items() if name not in HARMLESS}
    return {**small, **{key: data for key, data in large(most).items() if key not in CUT}}


class ParserTests(SynchronousTestCase):
    """
    The one place where property lists are read.
    """

    def test_refused(self) -> None:
        """
        Each is refused, for a reason that is a line of a log.
        """
        for name, data in everything(65520).items():
            with self.subTest(name):
                error = self.assertRaises(MalformedMessage, parsePlist, data)
                self.assertLess(len(str(error)), LONGEST_LINE)
                self.assertTrue(str(error).isprintable())

    def test_harmless(self) -> None:
        """
        What is only strange is read.
        """
        for name in HARMLESS:
            self.assertEqual(list(parsePlist(bombs()[name])), ["a"])

    def test_cut(self) -> None:
        """
        Numbers of any length become one of 64 bits; what is declared is not looked at.
        """
        bodies = large(65520)
        for name in CUT:
            (value,) = parsePlist(bodies[name]).values() or (0,)
            self.assertLess(len(repr(value)), 30, name)


class ClientTests(ServingTestCase):
    """
    Through the client protocol.
    """

    def test_requests(self) -> None:
        """
        As a request each is answered with Result 1, and the client may go on.
        """
        client = self.client()
        most = self.factory.limits.messageSize - 16
        for name, data in everything(most).items():
            with self.subTest(name):
                client.send(Message(1, MessageType.PLIST, 1, data))
                self.settle()
                (answer,) = client.plists()
                self.assertEqual(answer["Number"], Result.BAD_COMMAND)
        self.assertEqual(client.result(MessageType="Nonsense"), Result.BAD_COMMAND)

    def test_records(self) -> None:
        """
        As a pair record to be stored each is answered with EINVAL, and so is what
        XML cannot say; nothing is stored.
        """
        directory = Path(tempfile.mkdtemp())
        store = PairRecordStore(str(directory), lambda: UUID(int=1))
        self.factory.commands._records = ImmediateRecords(store)
        client = self.client()
        for name, data in {**everything(40000), **bombs()}.items():
            if name in ("text", "hex", "real"):
                continue
            with self.subTest(name):
                values = {"PairRecordID": "x", "PairRecordData": data}
                self.assertEqual(client.result(MessageType="SavePairRecord", **values), EINVAL)
            # A request of this length takes a whole turn; the next one waits for its own.
            self.settle()
        self.assertEqual(list(directory.iterdir()), [])
        directory.rmdir()


class RecordTests(SynchronousTestCase):
    """
    As pair records and the host's identity on the disk.
    """

    def test_records(self) -> None:
        """
        None is a pair record.
        """
        for name, data in everything(250000).items():
            with self.subTest(name):
                self.assertRaises(BadPairRecord, PairRecord.fromBytes, data)

    def test_identity(self) -> None:
        """
        None is an identity: each is put aside.
        """
        for name, data in everything(250000).items():
            with self.subTest(name):
                directory = Path(self.mktemp())
                directory.mkdir()
                (directory / "SystemConfiguration.plist").write_bytes(data)
                store = PairRecordStore(str(directory), lambda: UUID(int=1))
                self.assertEqual(store.readBUID(), str(UUID(int=1)))
                aside = directory / "SystemConfiguration.plist.damaged"
                self.assertEqual(aside.read_bytes(), data)


class LockdownTests(SynchronousTestCase):
    """
    In conversations with lockdownd.
    """

    def asked(self, data: bytes) -> Deferred[Any]:
        """
        A question that is answered with this.
        """
        client = LockdownClient(Clock())
        client.makeConnection(StringTransport())
        asked = client.getValue()
        client.dataReceived(frame(data))
        return asked

    def test_fromPhone(self) -> None:
        """
        A phone that answers so does not speak lockdownd's language.
        """
        for name, data in everything(LONGEST_MESSAGE).items():
            with self.subTest(name):
                failure = self.failureResultOf(self.asked(data), LockdownUnavailable)
                self.assertLess(len(failure.getErrorMessage()), LONGEST_LINE)

    def test_underNames(self) -> None:
        """
        Nor does one that says it under a name that we look at.
        """
        for key in ("Error", "Value", "Type", "Result"):
            for name, data in bombs(key).items():
                with self.subTest(f"{key} {name}"):
                    outcome: list[Any] = []
                    self.asked(data).addBoth(outcome.append)
                    (found,) = outcome
                    if isinstance(found, Failure):
                        self.assertLess(len(found.getErrorMessage()), LONGEST_LINE)
                        self.assertTrue(found.getErrorMessage().isprintable())

    def test_toPhone(self) -> None:
        """
        The simulated phone ends such a conversation and has the next one.
        """
        phone = Phone(Clock())
        host = ManualHost(phone.services).handshake()
        for number, (name, data) in enumerate(everything(60000).items()):
            with self.subTest(name):
                session = host.connect(LOCKDOWN_PORT, hostPort=number + 1)
                for at in range(0, len(frame(data)), 30000):
                    session.send(payload=frame(data)[at : at + 30000])
                self.assertEqual(messagesIn(session.end()), [])
                self.assertIsNotNone(session.reset)
        last = host.connect(LOCKDOWN_PORT, hostPort=999)
        last.send(payload=frame(plistlib.dumps({"Request": "QueryType"})))
        self.assertEqual(len(messagesIn(last.poll())), 1)
