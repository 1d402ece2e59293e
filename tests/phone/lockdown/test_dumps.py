"""
Tests of L{muxd.phone.lockdown.dumps}.
"""

from __future__ import annotations

import json
import plistlib

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.dumps import LARGEST, USUAL, findDump, modelDump, modelNames, parseDump

BATTERY = "com.apple.mobile.battery"
VALUES = {"ProductType": "iPhone1,1", "NonVolatileRAM": {"a": 1}, BATTERY: {"HasBattery": True}}


class ParseTests(SynchronousTestCase):
    """
    Tests of L{parseDump}.
    """

    def test_forms(self) -> None:
        """
        XML, binary and JSON say the same; a dictionary under a name with a dot is a domain.
        """
        expected = {
            "": {"ProductType": "iPhone1,1", "NonVolatileRAM": {"a": 1}},
            BATTERY: {"HasBattery": True},
        }
        for content in (
            plistlib.dumps(VALUES),
            plistlib.dumps(VALUES, fmt=plistlib.FMT_BINARY),
            b"\n" + json.dumps(VALUES).encode(),
        ):
            self.assertEqual(parseDump(content), expected)

    def test_domainWithoutName(self) -> None:
        """
        Values without a domain may also stand under an empty name.
        """
        self.assertEqual(parseDump(b'{"": {"a": 1}, "b": 2}'), {"": {"a": 1, "b": 2}})

    def test_bad(self) -> None:
        """
        What is no dump, or cannot be said in a property list, is refused.
        """
        for content in (b"", b"hello", b"[1]", b"{", b'{"a": null}', plistlib.dumps([1])):
            self.assertRaises(ValueError, parseDump, content)


class FindTests(SynchronousTestCase):
    """
    Tests of L{findDump}.
    """

    def test_models(self) -> None:
        """
        Each model that is shipped has what clients read of every phone.
        """
        self.assertIn(USUAL, modelNames())
        self.assertEqual(len(modelNames()), 6)
        for name in modelNames():
            dump = findDump(name)
            for key in ("ProductType", "ProductVersion", "BuildVersion", "DeviceClass"):
                self.assertIsInstance(dump[""][key], str, name)
            self.assertIn("TotalDataCapacity", dump["com.apple.disk_usage"])
            self.assertIn("Language", dump["com.apple.international"])
            self.assertIn("ScreenWidth", dump["com.apple.mobile.iTunes"])
            self.assertNotIn("UniqueDeviceID", dump[""], "a model is no single phone")
        for key in ("HasBattery", "FullyCharged", "ExternalChargeCapable", "GasGaugeCapability"):
            self.assertIn(key, modelDump(USUAL)[BATTERY])

    def test_file(self) -> None:
        """
        A file is read.
        """
        path = self.mktemp()
        FilePath(path).setContent(plistlib.dumps(VALUES))
        self.assertEqual(findDump(path)[BATTERY], {"HasBattery": True})

    def test_refusals(self) -> None:
        """
        What is wrong is said, with the name of the file, or the models that there are.
        """
        path = self.mktemp()
        error = self.assertRaises(ValueError, findDump, path)
        self.assertIn(USUAL, str(error))
        FilePath(path).makedirs()
        self.assertIn("expected a file", str(self.assertRaises(ValueError, findDump, path)))
        FilePath(path).child("a").setContent(b"{" + b" " * LARGEST)
        error = self.assertRaises(ValueError, findDump, path + "/a")
        self.assertIn("at most", str(error))
        FilePath(path).child("b").setContent(b"nonsense")
        self.assertIn("/b'", str(self.assertRaises(ValueError, findDump, path + "/b")))
