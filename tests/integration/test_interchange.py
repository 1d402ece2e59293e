# -*- test-case-name: tests.integration.test_interchange -*-
"""
Files of pair records, exchanged with the C daemon.
"""

from __future__ import annotations

from muxd.identity import udidFromSerial
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.parser import FIRST_SERIAL
from muxd.server.records import PairRecordStore
from tests.integration.daemon import Daemon, DaemonTestCase

FIRST = udidFromSerial(FIRST_SERIAL)
NAME = f"{FIRST}.plist"
IDENTITY = "SystemConfiguration.plist"
OK = {"MessageType": "Result", "Number": 0}


class InterchangeTests(DaemonTestCase):
    """
    A phone that is paired stays so when daemons are exchanged.
    """

    def setUp(self) -> None:
        """
        Have both, and a phone that has been paired by ours.
        """
        self.theirs = self.startCDaemon()
        self.ours = self.startDaemon()
        self.waitFor(self.ours, "trusts this computer")

    def stored(self, daemon: Daemon) -> bytes:
        """
        The phone's record as a file.
        """
        return (daemon.records / NAME).read_bytes()

    def test_fromUs(self) -> None:
        """
        The C daemon finds the host's identity and the record that ours has
        written.
        """
        for name in (NAME, IDENTITY):
            (self.theirs.records / name).write_bytes((self.ours.records / name).read_bytes())
        with self.theirs.conversation() as asking:
            reply = asking.ask("ReadPairRecord", PairRecordID=FIRST)
        record = PairRecord.fromBytes(reply["PairRecordData"])
        self.assertEqual(record, PairRecord.fromBytes(self.stored(self.ours)))
        with self.theirs.conversation() as asking:
            self.assertEqual(asking.ask("ReadBUID"), {"BUID": record.systemBUID})

    def test_fromThem(self) -> None:
        """
        A record that C{idevicepair} has made and the C daemon has written is good
        for our daemon, for its tools, and for its next start, as is the identity
        that the C daemon has made.
        """
        self.assertIn("SUCCESS", self.output(self.ours, "idevicepair", "pair"))
        made = self.stored(self.ours)
        with self.theirs.conversation() as asking:
            saved = asking.ask("SavePairRecord", PairRecordID=FIRST, PairRecordData=made)
        self.assertEqual(saved, OK)
        written = self.stored(self.theirs)
        self.assertEqual(PairRecord.fromBytes(written), PairRecord.fromBytes(made))
        (self.ours.records / NAME).write_bytes(written)
        self.assertIn("SUCCESS", self.output(self.ours, "idevicepair", "validate"))
        self.assertIn("ActivationState", self.output(self.ours, "ideviceinfo"))
        with self.theirs.conversation() as asking:
            buid = asking.ask("ReadBUID")["BUID"]
        self.assertEqual(PairRecordStore(str(self.theirs.records)).readBUID(), buid)
