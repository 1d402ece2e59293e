"""
Tests for L{muxd.muxctl.records}.
"""

from __future__ import annotations

import json
import plistlib
from datetime import datetime
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from tests.client.fakedaemon import UDID, FakeDaemon, answering, result
from tests.muxctl.console import Outcome, muxctl

RECORD = {"HostID": "host\u2028", "HostPrivateKey": b"SECRET", "SystemBUID": "B"}


class RecordTests(SynchronousTestCase):
    """
    C{muxctl record}.
    """

    def show(self, data: bytes, *words: str) -> Outcome:
        """
        The outcome for a daemon that has this record.
        """
        fake = FakeDaemon(self, answering({"PairRecordData": data}))
        return muxctl("record", "show", *words, UDID, address=fake.address)

    def test_summary(self) -> None:
        """
        A record is shown without its secrets.
        """
        outcome = self.show(plistlib.dumps(RECORD))
        self.assertEqual(
            outcome.out.splitlines(),
            [
                "KEY             VALUE",
                "HostID          host?",
                "HostPrivateKey  6 bytes",
                "SystemBUID      B",
            ],
        )

    def test_plist(self) -> None:
        """
        On demand all of it is printed, as XML, whatever form it was stored in.
        """
        record = {"HostID": "x", "HostPrivateKey": b"SECRET"}
        for form in (plistlib.FMT_XML, plistlib.FMT_BINARY):
            outcome = self.show(plistlib.dumps(record, fmt=form), "--plist")
            self.assertTrue(outcome.out.startswith("<?xml"))
            self.assertEqual(plistlib.loads(outcome.out.encode()), record)

    def test_json(self) -> None:
        """
        Programs get an object: of what is secret only the size, unless all of it is
        demanded.
        """
        record = {**RECORD, "When": datetime(2026, 1, 2), "List": [1, {"x": b"y"}, True]}
        data = plistlib.dumps(record)
        self.assertEqual(
            json.loads(self.show(data, "--json").out),
            {
                "HostID": "host\u2028",
                "HostPrivateKey": {"bytes": 6},
                "List": [1, {"x": {"bytes": 1}}, True],
                "SystemBUID": "B",
                "When": "2026-01-02 00:00:00",
            },
        )
        self.assertEqual(
            json.loads(self.show(data, "--json", "--plist").out)["HostPrivateKey"], "U0VDUkVU"
        )

    def test_names(self) -> None:
        """
        A UDID may be typed without its dash, and in either case.
        """
        requests: list[dict[str, object]] = []
        show = answering({"PairRecordData": plistlib.dumps(RECORD)}, requests)
        delete = answering({"MessageType": "Result", "Number": 0}, requests)
        address = FakeDaemon(self, show, delete).address
        typed = UDID.replace("-", "").lower()
        self.assertEqual(muxctl("record", "show", typed, address=address).status, 0)
        outcome = muxctl("record", "delete", "--json", typed, address=address)
        self.assertEqual(json.loads(outcome.out), {"udid": UDID, "deleted": True})
        self.assertEqual(outcome.err, "")
        self.assertEqual([UDID, UDID], [request["PairRecordID"] for request in requests])

    def test_noXML(self) -> None:
        """
        A record that cannot be said in XML is told to be one.
        """
        data = plistlib.dumps({"HostID": "\x1b"}, fmt=plistlib.FMT_BINARY)
        outcome = self.show(data, "--plist")
        self.assertEqual((outcome.status, outcome.out), (5, ""))
        self.assertIn("cannot be shown as XML", outcome.err)
        self.assertIn("HostID  ?", self.show(data).out)

    def test_strangeKeys(self) -> None:
        """
        A binary record whose keys are no text is shown all the same.
        """
        items = (b"\xd2\1\2\3\3", b"\x10\5", b"\x51\x1b", b"\x51b")
        data, offsets = b"bplist00", bytearray()
        for item in items:
            offsets.append(len(data))
            data += item
        trailer = pack(">6xBBQQQ", 1, 1, len(items), 0, len(data))
        outcome = self.show(data + bytes(offsets) + trailer)
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertEqual(outcome.out.split(), ["KEY", "VALUE", "?", "b", "5", "b"])

    def test_unreadable(self) -> None:
        """
        A record that is no dictionary is an error of the daemon's.
        """
        for data, reason in ((b"nonsense", "no property list"), (plistlib.dumps([]), "no dictio")):
            outcome = self.show(data)
            self.assertEqual((outcome.status, outcome.out), (5, ""))
            self.assertIn(reason, outcome.err)

    def test_missing(self) -> None:
        """
        A record that is not there is an exit status.
        """
        outcome = muxctl("record", "show", UDID, address=FakeDaemon(self, result(2)).address)
        self.assertEqual(outcome.status, 1)
        self.assertIn("it has no such pair record", outcome.err)

    def test_delete(self) -> None:
        """
        A record is deleted, and the person told.
        """
        requests: list[dict[str, object]] = []
        ok = answering({"MessageType": "Result", "Number": 0}, requests)
        outcome = muxctl("record", "delete", UDID, address=FakeDaemon(self, ok).address)
        self.assertEqual(requests[0]["MessageType"], "DeletePairRecord")
        self.assertEqual(requests[0]["PairRecordID"], UDID)
        self.assertEqual(
            (outcome.status, outcome.out, outcome.err),
            (0, "", f"muxctl: deleted the pair record of {UDID}\n"),
        )
