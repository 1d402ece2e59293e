"""
Tests of L{muxd.phone.lockdown.memory}.
"""

from __future__ import annotations

import os
import plistlib
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.memory import PairingFile, ValueFile
from muxd.phone.lockdown.trust import TAP, Pairing, Trust
from muxd.phone.services.notices import NoticeCentre

PAIRING = Pairing("H", "BUID", b"root", b"device")


class PairingFileTests(SynchronousTestCase):
    """
    Tests of L{PairingFile}, and of phones that have one.
    """

    def setUp(self) -> None:
        """
        A directory that is not there yet.
        """
        self.directory = os.path.join(os.path.abspath(self.mktemp()), "simulated")
        self.events = self.enterContext(capturedLogs())

    def trust(self) -> Trust:
        """
        A phone's memory, anew.
        """
        self.clock = Clock()
        return Trust(self.clock, NoticeCentre(), store=PairingFile(self.directory, "U"))

    def test_survives(self) -> None:
        """
        A phone that has been paired knows the host after its process has ended, and trusts
        it without another dialog; one that has been unpaired does not.
        """
        trust = self.trust()
        trust.requested(PAIRING)
        self.clock.advance(TAP)
        self.assertIsNone(trust.requested(PAIRING))
        later = self.trust()
        self.assertEqual(later.pairing("H"), PAIRING)
        self.assertIsNone(later.requested(PAIRING))
        self.assertEqual(later.dialogs, 0)
        later.unpair("H")
        self.assertIsNone(self.trust().pairing("H"))

    def test_erased(self) -> None:
        """
        An erased phone has forgotten all.
        """
        PairingFile(self.directory, "U").save([PAIRING])
        self.trust().erase()
        self.assertEqual(PairingFile(self.directory, "U").load(), [])

    def test_others(self) -> None:
        """
        Each phone has a file of its own.
        """
        PairingFile(self.directory, "U").save([PAIRING])
        self.assertEqual(PairingFile(self.directory, "V").load(), [])
        self.assertEqual(list(self.events), [])

    def test_broken(self) -> None:
        """
        A file that cannot be used is told of once, and the phone knows no host.
        """
        file = PairingFile(self.directory, "U")
        file.save([PAIRING])
        path = Path(self.directory, "U.pairings.plist")
        for content in (b"", b"nonsense", b"<plist><dict/></plist>", b"x" * (9 << 20)):
            path.write_bytes(content)
            self.assertEqual(file.load(), [], content[:10])
        warnings = [event for event in self.events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), 1)

    def test_cannotWrite(self) -> None:
        """
        A directory that cannot be made is told of once, and the phone goes on.
        """
        Path(self.directory).parent.mkdir()
        Path(self.directory).write_text("in the way")
        trust = self.trust()
        trust.requested(PAIRING)
        self.clock.advance(TAP)
        self.assertIsNone(trust.requested(PAIRING))
        self.assertEqual(trust.pairing("H"), PAIRING)
        [warning] = [event for event in self.events if event["log_level"] is LogLevel.warn]
        self.assertIn("forgets its pairings", formatEvent(warning))


class ValueFileTests(SynchronousTestCase):
    """
    Tests of L{ValueFile}.
    """

    def test_survives(self) -> None:
        """
        What hosts have changed and removed is there again.
        """
        directory = self.mktemp()
        file = ValueFile(directory, "U")
        self.assertEqual(file.load(), ({}, {}))
        kept = ({"d": {"a": [1, b"x"]}}, {"e": ["b"]})
        file.save(*kept)
        self.assertEqual(ValueFile(directory, "U").load(), kept)

    def test_broken(self) -> None:
        """
        A file that is no such thing is said once, and is nothing.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        for content in (b"x", plistlib.dumps([1]), plistlib.dumps({"Changed": 1, "Removed": {}})):
            with open(os.path.join(directory, "U.values.plist"), "wb") as file:
                file.write(content)
            with capturedLogs() as events:
                self.assertEqual(ValueFile(directory, "U").load(), ({}, {}))
            (event,) = events
            self.assertIn("forgets its values", formatEvent(event))
