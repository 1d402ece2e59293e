"""
Tests of L{muxd.lockdown.pairrecord}.
"""

from __future__ import annotations

import plistlib

from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.pairrecord import KNOWN, REQUIRED, BadPairRecord, PairRecord
from tests.lockdown.phones import recordOf


class PairRecordTests(SynchronousTestCase):
    """
    Reading and writing.
    """

    def test_roundTrip(self) -> None:
        """
        What is written can be read, with what we do not know of it.
        """
        record = recordOf("H").having(EscrowBag=b"bag", Unknown=[1], Nothing=None)
        again = PairRecord.fromBytes(record.toBytes())
        self.assertEqual(again, record)
        self.assertEqual((again.hostID, again.values["Unknown"]), ("H", [1]))
        self.assertNotIn("Nothing", again.values)

    def test_public(self) -> None:
        """
        The phone is told no private key.
        """
        told = recordOf("H").having(EscrowBag=b"bag").public()
        self.assertEqual(
            set(told),
            {"DeviceCertificate", "HostCertificate", "HostID", "RootCertificate", "SystemBUID"},
        )

    def test_repr(self) -> None:
        """
        Nor is the log.
        """
        self.assertNotIn("PRIVATE", repr(recordOf("H")))

    def test_bad(self) -> None:
        """
        What is missing or of another type is named.
        """
        for name in KNOWN:
            values = dict(recordOf("H").values)
            if name in REQUIRED:
                del values[name]
                error = self.assertRaises(BadPairRecord, PairRecord.fromValues, values)
                self.assertIn(f"{name}: expected", str(error))
            values[name] = 7
            error = self.assertRaises(BadPairRecord, PairRecord.fromValues, values)
            self.assertIn("got int", str(error))

    def test_less(self) -> None:
        """
        A record that has what a session needs is one, and the phone is told what
        there is.
        """
        values = dict(recordOf("H").values)
        for name in set(KNOWN) - set(REQUIRED):
            del values[name]
        record = PairRecord.fromBytes(plistlib.dumps(values))
        self.assertEqual((record.hostID, record.systemBUID), ("H", None))
        self.assertEqual(set(record.public()), {"HostCertificate", "HostID"})

    def test_garbage(self) -> None:
        """
        What is no dictionary is no record.
        """
        for data in (b"", b"garbage", plistlib.dumps([1])):
            self.assertRaises(BadPairRecord, PairRecord.fromBytes, data)

    def test_unsayable(self) -> None:
        """
        A name that could not be told to the phone is none.
        """
        for name in ("HostID", "SystemBUID"):
            values = {**recordOf("H").values, name: "\x1b[2J"}
            data = plistlib.dumps(values, fmt=plistlib.FMT_BINARY)
            text = str(self.assertRaises(BadPairRecord, PairRecord.fromBytes, data))
            self.assertEqual(text, f"{name}: expected a name, got '\\x1b[2J'")
