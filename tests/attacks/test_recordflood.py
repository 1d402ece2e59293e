# -*- test-case-name: tests.attacks.test_recordflood -*-
"""
Clients that store pair records all the time: one filled the disk, and many had others wait for
seconds.
"""

from __future__ import annotations

import plistlib
from dataclasses import replace
from errno import EDQUOT
from pathlib import Path

from muxd.limits import LIMITS
from muxd.server.factory import ControlFactory
from muxd.server.recorddesk import AT_ONCE
from muxd.server.records import PairRecordStore
from muxd.wire.messages import Message, Result, plistMessage
from tests.server.laterecords import LateRecords
from tests.server.serving import TINY, ServingTestCase, plist

CROWD = 500
RECORD = plistlib.dumps({"HostID": "x"})
FEW = replace(TINY, absentRecordsPerUser=10)


def saving(udid: str) -> Message:
    """
    A request to store a record.
    """
    values = {"MessageType": "SavePairRecord", "PairRecordID": udid, "PairRecordData": RECORD}
    return plistMessage(values, 1)


class RecordFloodTests(ServingTestCase):
    """
    Two users, one of whom stores what it can.
    """

    def setUp(self) -> None:
        """
        Have records take their time.
        """
        super().setUp()
        self.late = LateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, self.late, FEW)
        self.counters = self.factory.counters
        self.udid = self.phone.identity.udid

    def finish(self) -> None:
        """
        Do all that there is to be done.
        """
        while self.late.waiting:
            self.late.finish()

    def test_anotherUser(self) -> None:
        """
        Another user's request waits for what is under way, and not for the crowd.
        """
        crowd = [self.client(host="192.0.2.2") for _ in range(CROWD)]
        for client in crowd:
            client.send(saving(self.udid))
        victim = self.client(host="192.0.2.1")
        victim.send(plistMessage({"MessageType": "ReadBUID"}, 1))
        for _ in range(AT_ONCE + 2):
            self.late.finish()
        self.assertIn("BUID", plist(victim.messages()[0]))
        self.assertEqual(len(self.late.waiting), AT_ONCE)
        self.finish()
        self.settle()
        self.assertEqual({plist(one.messages()[0])["Number"] for one in crowd}, {Result.OK})

    def test_comeAndGo(self) -> None:
        """
        Clients that store something and leave keep nobody else out: of their user no more are let
        in, and nothing is left of it when all is done.
        """
        refused = 0
        for _ in range(CROWD):
            client = self.client(host="192.0.2.2")
            refused += client.transport.aborted
            client.send(saving(self.udid))
            client.transport.lose()
        self.assertEqual(refused, CROWD - FEW.orphanedRequests)
        victim = self.client(host="192.0.2.1")
        self.assertEqual(plist(victim.ask(MessageType="ListDevices")).keys(), {"DeviceList"})
        victim.transport.lose()
        self.finish()
        self.settle()
        self.assertEqual((len(self.factory.accounts), self.factory.accounts.held), (0, 0))

    def test_held(self) -> None:
        """
        What a user's clients have sent, and what is not done, is bounded: one that sends more is
        disconnected, and another user's is not.
        """
        limits = replace(FEW, heldPerUser=200_000, heldBytes=300_000, pendingInput=65536)
        self.factory = ControlFactory(self.clock, self.registry, self.late, limits)
        crowd = [self.client(host="192.0.2.2") for _ in range(20)]
        waiting = b"".join(saving(self.udid).encode() for _ in range(40))
        for client in crowd:
            client.transport.deliver(waiting)
        gone = sum(client.transport.aborted for client in crowd)
        self.assertEqual(gone, 20 - 200_000 // len(waiting))
        self.assertEqual(self.factory.counters.clientsOverBudget, gone)
        # What is under way for one that is disconnected is done.
        begun = 20 * len(saving(self.udid).body)
        self.assertLessEqual(self.factory.accounts.held, limits.heldPerUser + begun)
        self.assertFalse(self.client(host="192.0.2.1").transport.aborted)
        others = [self.client(host=f"192.0.2.{number}") for number in range(10, 30)]
        for client in others:
            client.transport.deliver(waiting)
        self.assertLessEqual(self.factory.accounts.held, limits.heldBytes + 2 * begun)
        self.assertFalse(others[0].transport.aborted)
        self.assertTrue(others[-1].transport.aborted)
        self.finish()
        self.settle()
        self.finish()
        self.assertEqual(self.factory.accounts.held, 0)

    def test_absent(self) -> None:
        """
        Of phones that are not attached a user may store so many in an hour, and others theirs; of
        those that are, as many as it likes.
        """
        client, other = self.client(host="192.0.2.2"), self.client(host="192.0.2.1")
        results = []
        for number in range(50):
            client.send(saving(f"{number:040x}"))
            self.finish()
            results.append(plist(client.messages()[0])["Number"])
        self.assertEqual(results, [0] * 10 + [EDQUOT] * 40)
        self.assertEqual((len(self.store.records), self.counters.refusedSaves), (10, 40))
        for each, udid in ((other, "f" * 40), *((client, self.udid) for _ in range(20))):
            each.send(saving(udid))
            self.finish()
            self.assertEqual(plist(each.messages()[0])["Number"], Result.OK)

    def test_disk(self) -> None:
        """
        The directory has no more than there is room for; a record that is there already can be
        replaced.
        """
        directory = self.mktemp()
        store = PairRecordStore(directory, limits=replace(LIMITS, records=5))
        for number in range(5):
            store.save(f"{number:040x}", RECORD)
        error = self.assertRaises(OSError, store.save, "f" * 40, RECORD)
        self.assertEqual(error.errno, EDQUOT)
        self.assertEqual(len(list(Path(directory).iterdir())), 5)
        store.save(f"{1:040x}", RECORD)
        store.supersede("f" * 40, RECORD)
        store.delete(f"{1:040x}")
        store.delete(f"{2:040x}")
        store.save("e" * 40, RECORD)
