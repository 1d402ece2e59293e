# -*- test-case-name: tests.integration.test_killed -*-
"""
Daemons that are killed while they pair.
"""

from __future__ import annotations

import itertools
import plistlib
import signal
import sys
import time

from muxd.identity import udidFromSerial
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.parser import FIRST_SERIAL
from muxd.server.records import PairRecordStore
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, Daemon, DaemonTestCase
from tests.integration.killing import Victims

FIRST = udidFromSerial(FIRST_SERIAL)
SOURCE = ("--source", "simulated:state=")
"""A phone that keeps nothing beside the records."""
WIRELESS_END = b"._apple-mobdev2._tcp.local."
TRUSTED = "trusts this computer"
SHARES = 3
"""What a daemon does is divided among so many classes of tests, which may run at once."""

FEWEST = 6
"""What has to be done to store an identity and a record, of each share: less is not all."""


class KilledFirstTests(DaemonTestCase):
    """
    Pair records of a daemon that had no time to tidy up: killed at the first thing that it
    does to their directory, and at each third one after that.

    @cvar first: The number of the first.
    """

    first = 1

    if not sys.platform.startswith("linux"):
        skip = "what a descriptor is of is looked up in /proc"

    def test_killedAnywhere(self) -> None:
        """
        Whichever is the last thing that a daemon does to its directory of pair
        records: they and the host's identity are there whole or not at all, and
        the next daemon can go on with them.
        """
        killed = wholeRecords = 0
        with Victims(PROJECT) as victims:
            for number in itertools.count(self.first, SHARES):
                daemon = self.makeDaemon()
                if not self.isKilled(victims, daemon, number):
                    break
                killed += 1
                wholeRecords += self.assertWhole(daemon)
                self.assertUsable(daemon)
            self.assertEqual(victims.signal(signal.SIGTERM), 0)
            self.assertLeftNothing(daemon)
        self.assertGreaterEqual(killed, FEWEST)
        self.assertGreater(wholeRecords, 0)
        self.assertLess(wholeRecords, killed)
        self.assertTrue(self.assertWhole(daemon))

    def isKilled(self, victims: Victims, daemon: Daemon, number: int) -> bool:
        """
        Have a daemon pair with a phone.

        @return: Whether it has been killed at that; otherwise it has paired.
        """
        words = ["--nodaemon", "--pidfile=", "usbmuxd", *daemon.arguments, *SOURCE]
        victims.start(number, daemon.directory, words)
        end = time.monotonic() + PATIENCE
        while victims.poll() is None and TRUSTED not in daemon.log():
            self.assertLess(time.monotonic(), end, "it neither pairs nor is killed")
            time.sleep(0.02)
        ended = victims.poll()
        self.assertIn(ended, (None, -signal.SIGKILL))
        return ended is not None

    def assertWhole(self, daemon: Daemon) -> bool:
        """
        What there is of records is whole, and of one pairing.

        @return: Whether there is a record.
        """
        # What simulated phones remember is in a directory of theirs.
        names = [path for path in daemon.records.glob("[!.]*") if path.is_file()]
        found = {path.stem: path.read_bytes() for path in names}
        identity = found.pop("SystemConfiguration", None)
        record = found.pop(FIRST, None)
        # What the phone calls itself on networks is kept beside its record.
        name = found.pop(f"{FIRST}.plist", WIRELESS_END)
        self.assertTrue(name.endswith(WIRELESS_END), name)
        self.assertEqual(found, {})
        buid = None if identity is None else plistlib.loads(identity)["SystemBUID"]
        if record is not None:
            self.assertEqual(PairRecord.fromBytes(record).systemBUID, buid)
        return record is not None

    def assertUsable(self, daemon: Daemon) -> None:
        """
        What was left behind is in nobody's way.
        """
        store = PairRecordStore(str(daemon.records))
        self.assertTrue(store.check())
        stored = [plistlib.loads(path.read_bytes()) for path in daemon.records.glob("System*")]
        buid = store.readBUID()
        self.assertEqual([values["SystemBUID"] for values in stored], [buid] * len(stored))
        record = plistlib.dumps({"HostID": "A"})
        store.save(FIRST, record)
        self.assertEqual(PairRecordStore(str(daemon.records)).readBUID(), buid)
        self.assertEqual(store.read(FIRST), record)


class KilledSecondTests(KilledFirstTests):
    """
    The same from the second on.
    """

    first = 2


class KilledThirdTests(KilledFirstTests):
    """
    The same from the third on.
    """

    first = 3
