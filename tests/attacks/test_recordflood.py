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
