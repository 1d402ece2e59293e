# -*- test-case-name: tests.server.test_phonerecord -*-
"""
Tests of L{muxd.server.phonerecord}.
"""

from __future__ import annotations

from errno import EINVAL, EMFILE
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.phonerecord import PhoneRecord
from muxd.testing import ImmediateRecords, MemoryRecordStore
from tests.lockdown.phones import recordOf

UDID = "00008030-0000000000000001"


class PhoneRecordTests(SynchronousTestCase):
    """
    Tests of L{PhoneRecord}.
    """

    def setUp(self) -> None:
        """
        Nothing is stored.
        """
        self.store = MemoryRecordStore()
        self.warnings: list[str] = []
        self.record = PhoneRecord(ImmediateRecords(self.store), UDID, self.warn)

    def warn(self, text: str, **values: Any) -> None:
        """
        Keep it.
        """
        self.warnings.append(text.format(udid=UDID, **values))

    def result(self, asking: Any) -> Any:
        """
        What comes of it, which is at once.
        """
        return self.successResultOf(Deferred.fromCoroutine(asking))

    def test_saved(self) -> None:
        """
        What was saved is read.
        """
        self.assertIsNone(self.result(self.record.read()))
        self.result(self.record.supersede(recordOf("H")))
        self.assertEqual(self.result(self.record.read()), recordOf("H"))
        self.assertEqual(self.warnings, [])

    def test_damaged(self) -> None:
        """
        What cannot be used is none, and is told.
        """
        self.store.records[UDID] = b"garbage"
        self.assertIsNone(self.result(self.record.read()))
        self.assertIn("its pair record is damaged", self.warnings[0])

    def test_trouble(self) -> None:
        """
        Nor is what cannot be read, unless that may be over in a moment.
        """
        self.store.trouble = OSError(EINVAL, "no such name")
        self.assertIsNone(self.result(self.record.read()))
        self.assertEqual(self.warnings, [f"{UDID}: no pair record: [Errno 22] no such name"])
        self.store.trouble = OSError(EMFILE, "too many")
        self.failureResultOf(Deferred.fromCoroutine(self.record.read()), OSError)

    def test_refused(self) -> None:
        """
        What the device does not know is not tried again, and stays.
        """
        self.result(self.record.supersede(recordOf("H")))
        stored = dict(self.store.records)
        self.result(self.record.read())
        self.record.refuse()
        self.assertIsNone(self.result(self.record.read()))
        self.assertEqual(self.store.records, stored)
        self.assertIn("does not know its pair record", self.warnings[0])

    def test_refusedAnother(self) -> None:
        """
        What a program has stored since is another one.
        """
        self.result(self.record.supersede(recordOf("H")))
        self.result(self.record.read())
        self.store.records[UDID] = recordOf("OTHER").toBytes()
        self.record.refuse()
        self.assertEqual(self.result(self.record.read()), recordOf("OTHER"))
        self.assertEqual(self.warnings, [])

    def test_superseded(self) -> None:
        """
        The one before it is kept.
        """
        for name in ("H", "OTHER"):
            self.result(self.record.supersede(recordOf(name)))
        self.assertEqual(self.result(self.record.read()), recordOf("OTHER"))
        self.assertEqual(self.store.previous, {UDID: recordOf("H").toBytes()})

    def test_previous(self) -> None:
        """
        The one before it is used only while the device does not know the one that was read
        last.
        """
        for name in ("H", "I"):
            self.result(self.record.supersede(recordOf(name)))
        self.result(self.record.read())
        self.assertIsNone(self.result(self.record.previous()))
        self.record.refuse()
        self.assertEqual(self.result(self.record.previous()), recordOf("H"))
        self.store.records[UDID] = recordOf("J").toBytes()
        self.assertEqual(self.result(self.record.read()), recordOf("J"))
        self.assertIsNone(self.result(self.record.previous()))

    def test_exists(self) -> None:
        """
        Whatever it is that is there, it is one; whether it is may not be known just now.
        """
        self.assertFalse(self.result(self.record.exists()))
        self.assertFalse(self.result(self.record.isAnother()))
        self.store.records[UDID] = b"garbage"
        self.assertTrue(self.result(self.record.exists()))
        self.assertTrue(self.result(self.record.isAnother()))
        self.result(self.record.read())
        self.assertFalse(self.result(self.record.isAnother()))
        self.store.trouble = OSError(EMFILE, "too many")
        self.failureResultOf(Deferred.fromCoroutine(self.record.exists()), OSError)
