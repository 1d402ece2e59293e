# -*- test-case-name: tests.client.test_problems -*-
"""
Tests for L{muxd.client.problems}, and for what both sides make of them.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import errors, problems, socketerrors
from muxd.client.answers import Device
from tests.running.processes import startsProcesses

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "NoDaemon": ("here", "No such file or directory."),
    "DaemonLost": ("here", "events"),
    "DaemonNonsense": ("here", "events", "why"),
    "DaemonRefused": ("here", "Listen", 5),
    "NotSupported": ("here", "ReadBUID"),
    "NoPhone": ("here",),
    "UnknownUDID": ("here", "UDID", "phone", []),
    "SeveralPhones": ("here", []),
    "PortRefused": ("UDID", 22),
    "PhoneGone": ("UDID", 22, "why"),
    "PairRecordError": ("here", "SavePairRecord", "UDID", 22),
    "NoPairRecord": ("here", "ReadPairRecord", "UDID", 2),
}


class ProblemTests(SynchronousTestCase):
    """
    Tests of what both sides have in common.
    """

    def test_same(self) -> None:
        """
        Both sides have the same errors, with the same names and texts; who
        handles both catches their common base.
        """
        for name, arguments in ARGUMENTS.items():
            base = getattr(problems, name)
            one = getattr(errors, name)(*arguments)
            other = getattr(socketerrors, name)(*arguments)
            self.assertEqual(str(one), str(other))
            self.assertNotIn("\n", str(one))
            for error in (one, other):
                self.assertIsInstance(error, base)
                self.assertIsInstance(error, problems.UsbmuxError)

    def test_kinds(self) -> None:
        """
        With a reactor they are C{ConnectError}s, as far as they concern a
        connection; without one, C{OSError}s with an C{errno}.
        """
        for name, arguments in ARGUMENTS.items():
            if "Record" not in name:
                self.assertIsInstance(getattr(errors, name)(*arguments), ConnectError)
            error = getattr(socketerrors, name)(*arguments)
            self.assertIsInstance(error, OSError)
            self.assertIsInstance(error.errno, int)
            self.assertIsNone(error.filename)

    def test_farm(self) -> None:
        """
        Of very many phones five are named, the first by UDID, whichever order they
        come in.
        """
        phones = [Device(deviceID=n, udid=f"phone-{n:02}") for n in range(60, 0, -1)]
        named = ", ".join(f"phone-0{n} (USB)" for n in range(1, 6))
        for error in (
            socketerrors.SeveralPhones("here", phones),
            socketerrors.UnknownUDID("here", "x", "phone", phones),
            socketerrors.NoPhone("here", "phone on USB", phones),
        ):
            self.assertIn(f"{named} and 55 more", str(error))
        self.assertNotIn("more", str(socketerrors.SeveralPhones("here", phones[:5])))

    def test_complete(self) -> None:
        """
        None is missing on either side.
        """
        for name, kind in vars(problems).items():
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                continue
            self.assertTrue(hasattr(errors, name), name)
            self.assertTrue(hasattr(socketerrors, name), name)

    @startsProcesses
    def test_withoutTwisted(self) -> None:
        """
        Nothing that a program without a reactor uses imports Twisted.
        """
        statement = (
            "import sys, muxd.client.blocking, muxd.client.problems, muxd.muxctl.commandline\n"
            "print([name for name in sys.modules if name.split('.')[0] in ('twisted', 'zope')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", statement], check=True, capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "[]\n")
