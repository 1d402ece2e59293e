# -*- test-case-name: tests.bench.test_attack -*-
"""
Tests of L{bench.attack}.
"""

from __future__ import annotations

import io
import plistlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from bench.attack import flooders
from bench.attack.commandline import HEADINGS, Row, complaints, main, table
from bench.attack.flooders import KINDS, Flood, hellman
from bench.attack.requests import HEADER, ask, connect, costly, message, receive
from bench.attack.victim import percentiles
from bench.daemons import PROJECT
from muxd.lockdown.rsakeys import privateKey
from tests.bench.requirements import requireRig
from tests.client.fakedaemon import FakeDaemon, answering
from tests.running.processes import startsProcesses

ROW = Row(
    attack="unread",
    daemon="muxd",
    asking=[0.4, 2, 5.5],
    coming=[0.5, 3, 6],
    failures=1,
    turn=4.25,
    memory=[60, 64, 64],
    lines=7,
    done=1500,
    sent=2_100_000,
)


class TableTests(SynchronousTestCase):
    """
    What is printed.
    """

    def test_row(self) -> None:
        """
        Everything is in it, and what is not known is empty.
        """
        heading, rule, row = table([ROW])
        self.assertEqual(heading.count("|"), len(HEADINGS) + 1)
        self.assertEqual(rule.count("|"), len(HEADINGS) + 1)
        self.assertEqual(
            row,
            "| unread | muxd | 0.4 / 2 / 5.5 (1 failed) | 0.5 / 3 / 6 | 4.25 | 60 / 64 / 64 | 7 |"
            " 1,500; 2.1 MB |",
        )

    def test_percentiles(self) -> None:
        """
        The median, the 99th percentile and the maximum, in milliseconds.
        """
        self.assertEqual(percentiles([each / 1000 for each in range(1, 102)]), [51, 100, 101])
        self.assertEqual(percentiles([0.5]), [500, 500, 500])
        self.assertEqual(percentiles([]), [0, 0, 0])

    def test_complaints(self) -> None:
        """
        What an attack must not cost is said, whatever the machine; times are not judged.
        """
        slow = replace(ROW, failures=0, asking=[900, 900, 900], turn=900)
        self.assertEqual(list(complaints(slow)), [])
        bad = replace(ROW, memory=[60, 300, 60], lines=5000)
        self.assertEqual(
            list(complaints(bad)),
            [
                "unread: 240 MB more, expected at most 128",
                "unread: 5000 lines in the log, expected at most 200",
                "unread: the victim had no answer 1 times",
            ],
        )
        gone = replace(slow, memory=[60, 60, 0])
        self.assertEqual(list(complaints(gone)), ["unread: the daemon is gone"])

    def test_unknownKind(self) -> None:
        """
        An attack that there is not is refused, with those that there are.
        """
        self.patch(sys, "stdout", said := io.StringIO())
        self.assertEqual(main(["earthquake"]), 1)
        self.assertIn("no attack earthquake: choose of unread, requests", said.getvalue())


class RequestTests(SynchronousTestCase):
    """
    What is sent.
    """

    def test_costly(self) -> None:
        """
        A costly request is as long as it may be, and a property list.
        """
        made = costly(4096)
        self.assertLessEqual(4087, len(made))
        self.assertLessEqual(len(made), 4096)
        self.assertEqual(HEADER.unpack_from(made)[0], len(made))
        self.assertGreater(len(plistlib.loads(made[HEADER.size :])["a"]), 400)

    def test_key(self) -> None:
        """
        The key is DER for a Diffie-Hellman group, and as long as a record's may be.
        """
        key = hellman(9990)
        self.assertTrue(3000 < len(key) < 3600, len(key))
        error = self.assertRaises(ValueError, privateKey, key)
        self.assertIn("RSA", str(error))

    def test_flood(self) -> None:
        """
        What is sent is counted; and a daemon that is not there is no end of the attack.
        """
        fake = FakeDaemon(self, answering({"Number": 0}))
        connection = connect(fake.address.path)
        self.addCleanup(connection.close)
        self.assertEqual(ask(connection, {"MessageType": "ReadBUID"}), {"Number": 0})
        flood = Flood("/nonexistent", 0)
        self.assertIsNone(flood.newClient())
        self.assertFalse(flood.isOn)
        other = FakeDaemon(self, answering({"Number": 0}))
        with connect(other.address.path) as one:
            flood.say(one, message({"MessageType": "x"}))
            receive(one)
        self.assertEqual((flood.done, flood.sent), (1, len(message({"MessageType": "x"}))))


@startsProcesses
class AttackTests(SynchronousTestCase):
    """
    All of it, for a moment.
    """

    def test_everyKind(self) -> None:
        """
        Each attack runs against this daemon, which is there afterwards, and has served the
        victim meanwhile.
        """
        requireRig(self)
        with TemporaryDirectory() as directory:
            file = Path(directory) / "rows.json"
            command = [sys.executable, "-m", "bench.attack", "--without-c", "--seconds", "0.5"]
            done = subprocess.run(
                [*command, "--json", str(file)],
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        for kind in KINDS:
            (row,) = [line for line in lines if line.startswith(f"| {kind} |")]
            self.assertNotIn("failed", row)
            self.assertNotIn("/ 0 |", row)
        self.assertEqual(set(KINDS), {each for each in KINDS if hasattr(flooders, each)})
