# -*- test-case-name: tests.server.test_phonerecord -*-
"""
Tests of L{muxd.server.phonerecord}.
"""

from __future__ import annotations

from errno import EACCES, EINVAL, EMFILE
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
        self.result(self.record.save(recordOf("H")))
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

    def test_discard(self) -> None:
        """
        What was read is removed.
        """
        self.result(self.record.save(recordOf("H")))
        self.result(self.record.read())
        self.assertTrue(self.result(self.record.discard()))
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.warnings, [])

    def test_discardAnother(self) -> None:
        """
        What somebody has stored since is not, and is read the next time.
        """
        self.result(self.record.save(recordOf("H")))
        self.result(self.record.read())
        self.store.records[UDID] = recordOf("OTHER").toBytes()
        self.assertFalse(self.result(self.record.discard()))
        self.assertEqual(self.result(self.record.read()), recordOf("OTHER"))

    def test_discardNone(self) -> None:
        """
        There is nothing to be removed where somebody has removed it.
        """
        self.result(self.record.save(recordOf("H")))
        self.result(self.record.read())
        self.store.records.clear()
        self.assertFalse(self.result(self.record.discard()))
        self.assertIsNone(self.result(self.record.read()))
        self.assertEqual(self.warnings, [])

    def test_stays(self) -> None:
        """
        What cannot be removed is told, and counts as removed until there is another.
        """
        self.result(self.record.save(recordOf("H")))
        self.result(self.record.read())

        def delete(recordID: str) -> None:
            raise OSError(EACCES, "read-only")

        self.patch(self.store, "delete", delete)
        self.assertTrue(self.result(self.record.discard()))
        self.assertEqual(self.warnings, [f"{UDID}: it stays: [Errno 13] read-only"])
        self.assertIsNone(self.result(self.record.read()))
        self.store.records[UDID] = recordOf("OTHER").toBytes()
        self.assertEqual(self.result(self.record.read()), recordOf("OTHER"))
