# -*- test-case-name: tests.server.test_commands -*-
"""
Tests of L{muxd.server.commands}: the pair record commands, and what is logged.
"""

from __future__ import annotations

import plistlib
from errno import EACCES, EINVAL, EIO, ENOENT
from typing import Any

from twisted.internet.error import ConnectionRefusedError
from twisted.logger import formatEvent
from zope.interface.verify import verifyObject

from muxd.interfaces import IPairRecordStore
from muxd.server.factory import ControlFactory
from muxd.testing import BudgetTransport, FakeDevice, ImmediateRecords, fakeIdentity
from muxd.wire.messages import BINARY_VERSION, Message, MessageType, Result, connectMessage
from tests.server.serving import Client, ServingTestCase, observeLog, plist

UDID = fakeIdentity().udid
RECORD = plistlib.dumps({"HostID": "A"})


class PairRecordCommandTests(ServingTestCase):
    """
    Protocol 4.7 and 4.11, as clients see it.
    """

    def test_interface(self) -> None:
        """
        The store in memory is a store.
        """
        verifyObject(IPairRecordStore, self.store)

    def test_savedIsTold(self) -> None:
        """
        What the server was made with is told the name of each record that was saved, and no other.
        """
        told: list[str] = []
        factory = ControlFactory(
            self.clock, self.registry, ImmediateRecords(self.store), recordSaved=told.append
        )
        client = Client(BudgetTransport.connect(self.clock, factory))
        for name, trouble in (("A", None), ("B", OSError(EIO, "broken"))):
            self.store.trouble = trouble
            client.result(MessageType="SavePairRecord", PairRecordID=name, PairRecordData=RECORD)
        self.assertEqual(told, ["A"])

    def test_shortConnect(self) -> None:
        """
        A binary Connect that is too short is answered, and counted once.
        """
        client = self.client()
        client.send(Message(BINARY_VERSION, MessageType.CONNECT, 7, b"abc"))
        (answer,) = client.messages()
        self.assertEqual(answer.tag, 7)
        self.assertEqual(self.factory.counters.malformedMessages, 1)

    def test_buid(self) -> None:
        """
        The host's identity is a string.
        """
        self.assertEqual(
            plist(self.client().ask(MessageType="ReadBUID")), {"BUID": self.store.buid}
        )

    def test_roundTrip(self) -> None:
        """
        A record is saved, read, and deleted.
        """
        client = self.client()
        saved = client.result(
            2, MessageType="SavePairRecord", PairRecordID=UDID, PairRecordData=RECORD
        )
        self.assertEqual(saved, 0)
        answer = client.ask(3, MessageType="ReadPairRecord", PairRecordID=UDID)
        self.assertEqual((answer.tag, plist(answer)), (3, {"PairRecordData": RECORD}))
        deleted = client.result(4, MessageType="DeletePairRecord", PairRecordID=UDID)
        self.assertEqual(deleted, 0)
        self.assertEqual(client.messages(), [])

    def test_missing(self) -> None:
        """
        A record that is not there is Result 2, on a connection that stays
        (protocol 9, edge 50).
        """
        client = self.client()
        for name in ("ReadPairRecord", "DeletePairRecord"):
            self.assertEqual(client.result(MessageType=name, PairRecordID=UDID), ENOENT)

    def test_badArguments(self) -> None:
        """
        Missing arguments and those of another type are Result 22.
        """
        client = self.client()
        for name in ("ReadPairRecord", "DeletePairRecord", "SavePairRecord"):
            for recordID in (1, True, b"x", ["x"], ""):
                values: dict[str, Any] = {"PairRecordID": recordID, "PairRecordData": RECORD}
                self.assertEqual(client.result(MessageType=name, **values), EINVAL)
            self.assertEqual(client.result(MessageType=name), EINVAL)
        wrongData: list[Any] = ["text", 1, {"HostID": "A"}]
        for data in wrongData:
            number = client.result(
                MessageType="SavePairRecord", PairRecordID=UDID, PairRecordData=data
            )
            self.assertEqual(number, EINVAL)
        number = client.result(MessageType="SavePairRecord", PairRecordID=UDID)
        self.assertEqual((number, self.store.records), (EINVAL, {}))

    def test_systemErrors(self) -> None:
        """
        What the system objects to is answered with its number; an error that
        has none is 1.
        """
        client = self.client()
        for error, expected in ((OSError(EACCES, "no"), EACCES), (OSError("?"), 1)):
            self.store.trouble = error
            self.assertEqual(client.result(MessageType="ReadBUID"), expected)
            self.assertEqual(
                client.result(MessageType="DeletePairRecord", PairRecordID=UDID), expected
            )

    def test_paired(self) -> None:
        """
        Paired is announced if the record is that of the phone with this number,
        dash or not, hidden or not; in no other case (protocol 4.9).
        """
        listener, client = self.listener(), self.client()
        hidden = FakeDevice(self.clock, fakeIdentity(2))
        self.registry.attach(hidden, visible=False)

        def save(recordID: str, deviceID: Any) -> list[int]:
            number = client.result(
                MessageType="SavePairRecord",
                PairRecordID=recordID,
                PairRecordData=RECORD,
                DeviceID=deviceID,
            )
            self.assertEqual(number, 0)
            return [values["DeviceID"] for values in listener.plists()]

        self.assertEqual(save(UDID, 1), [1])
        self.assertEqual(save(UDID.replace("-", ""), 1), [1])
        self.assertEqual(save(hidden.identity.udid, 2), [2])
        for deviceID in (0, 2, 3, -1, "1", True, 1.0):
            self.assertEqual(save(UDID, deviceID), [], deviceID)

    def test_noPairedWithoutARecord(self) -> None:
        """
        A record that could not be saved pairs nobody.
        """
        listener, client = self.listener(), self.client()
        self.store.trouble = OSError(ENOENT, "disk full")
        client.result(
            MessageType="SavePairRecord", PairRecordID=UDID, PairRecordData=RECORD, DeviceID=1
        )
        self.assertEqual(listener.messages(), [])


class LogTests(ServingTestCase):
    """
    Clients that ask for the same missing thing for ever (protocol 9, edge 72).
    """

    def test_polling(self) -> None:
        """
        The first few of each kind are logged, then one line per minute.
        """
        logged = observeLog(self)
        client = self.client()
        for _ in range(100):
            client.result(MessageType="ReadPairRecord", PairRecordID=UDID)
            client.result(MessageType="Connect", DeviceID=99, PortNumber=22)
            client.result(MessageType="Instances")
        self.assertEqual(len(logged), 15)
        self.clock.advance(60)
        self.assertEqual(
            sorted(event["count"] for event in logged if "count" in event), [95, 95, 95]
        )
        self.assertEqual(len(logged), 18)

    def test_recordTrouble(self) -> None:
        """
        The line about a pair record has the command, the user and what was wrong: that a
        record is not there is said as that.
        """
        logged = observeLog(self)
        client = self.client()
        client.result(MessageType="DeletePairRecord", PairRecordID=UDID)
        client.result(MessageType="ReadPairRecord")
        self.store.trouble = OSError(EIO, "Input/output error", "/records/X.plist")
        client.result(MessageType="ReadPairRecord", PairRecordID=UDID)
        self.assertEqual(
            [formatEvent(event) for event in logged],
            [
                "DeletePairRecord of user unknown: there is no such record",
                "ReadPairRecord of user unknown: no PairRecordID",
                "ReadPairRecord of user unknown: /records/X.plist: Input/output error",
            ],
        )

    def test_counted(self) -> None:
        """
        Commands are counted by their names, and a name of a client's invention
        makes no new counter.
        """
        client = self.client()
        for name in ("ReadBUID", "ListDevices", "ReadBUID", "Foo", "Bar"):
            client.ask(MessageType=name)
        self.assertEqual(self.counters.commands, {"ReadBUID": 2, "ListDevices": 1, "unknown": 2})
        self.assertEqual(Result.BAD_COMMAND, client.result(MessageType="unknown"))

    def test_everyKindIsLimited(self) -> None:
        """
        So it is with all that clients can do wrong: it is always counted, and
        logged a few times.
        """
        self.phone.answers[22] = ConnectionRefusedError()
        logged = observeLog(self)
        client = self.client()
        for _ in range(20):
            client.send(connectMessage(1, 22, 1), Message(1, MessageType.PLIST, 1, b"garbage"))
            deaf = self.client(budget=0)
            deaf.transport.bufferSize = 1
            deaf.protocol._output.write(b"xx")
            deaf.protocol._output.write(b"x" * 5000)
            self.settle()
            self.assertTrue(deaf.transport.aborted)
        self.assertEqual(len(logged), 15)
        self.assertEqual(
            (
                self.counters.refusedConnects,
                self.counters.malformedMessages,
                self.counters.droppedClients,
            ),
            (20, 20, 20),
        )
