"""
Tests for L{muxd.build}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import muxd
from muxd.build import isPureWanted, staleModules
from tests import twins
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent
SUFFIX = EXTENSION_SUFFIXES[0]


@startsProcesses
class ChoiceTests(SynchronousTestCase):
    """
    Tests of which build runs.
    """

    def running(self, **environment: str) -> list[str]:
        """
        What a new process says that it runs, and all its modules that are compiled.
        """
        code = (
            "import sys, muxd.service, muxd.relay, muxd.client.shortway, muxd.build\n"
            "import muxd.usb.asynchronous.link\n"
            "print(muxd.build.description())\n"
            "for name, one in sorted(sys.modules.items()):\n"
            "    if name.startswith('muxd.') and not one.__file__.endswith('.py'): print(name)\n"
        )
        clean = {name: value for name, value in os.environ.items() if name != "MUXD_PURE"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env={**clean, **environment},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    def test_pure(self) -> None:
        """
        C{MUXD_PURE=1} does without compiled code, whether there is any or not.
        """
        self.assertEqual(self.running(MUXD_PURE="1"), ["pure"])

    def test_compiled(self) -> None:
        """
        Where there is compiled code it runs, all of it.
        """
        twins.compiled()
        for environment in ({}, {"MUXD_PURE": "0"}, {"MUXD_PURE": ""}):
            said, *names = self.running(**environment)
            self.assertEqual(said, "compiled")
            self.assertEqual(names, sorted((*twins.EVERYTHING, *twins.CORE)))

    def test_isPureWanted(self) -> None:
        """
        Anything but nothing and 0 chooses it.
        """
        for value, expected in (("1", True), ("yes", True), ("0", False), ("", False)):
            self.assertEqual(isPureWanted({"MUXD_PURE": value}), expected)
        self.assertFalse(isPureWanted({}))


class StaleTests(SynchronousTestCase):
    """
    Tests of L{staleModules}.
    """

    def setUp(self) -> None:
        """
        A package with two compiled modules, one of them of two sources.
        """
        self.package = Path(self.mktemp())
        self.package.joinpath("net").mkdir(parents=True)
        self.one = self.package / f"one{SUFFIX}"
        self.two = self.package / "net" / f"two{SUFFIX}"
        for path in (self.one, self.two):
            path.touch()
        for source in ("one.py", "net/two.py", "net/two.pyx", "net/two.pxd", "three.py"):
            self.age(source, -10)

    def age(self, name: str, seconds: float) -> None:
        """
        A source is as much younger than what is compiled.
        """
        path = self.package / name
        path.touch()
        made = self.one.stat().st_mtime + seconds
        os.utime(path, (made, made))

    def test_fresh(self) -> None:
        """
        What is younger than its sources is not stale.
        """
        self.assertEqual(staleModules(str(self.package)), [])

    def test_stale(self) -> None:
        """
        What is older than one of its sources is.
        """
        self.age("three.py", 10)
        self.assertEqual(staleModules(str(self.package)), [])
        # Its twin in Python is no source of it.
        self.age("net/two.py", 10)
        self.assertEqual(staleModules(str(self.package)), [])
        for source in ("net/two.pxd", "net/two.pyx"):
            self.age(source, 10)
            self.assertEqual(staleModules(str(self.package)), [str(self.two)])
            self.age(source, -10)
        self.age("one.py", 10)
        self.assertEqual(staleModules(str(self.package)), [str(self.one)])

    def test_missing(self) -> None:
        """
        What is not compiled although others are is as good as stale; where nothing is
        compiled, nothing is missing.
        """
        self.age("four.pxd", -10)
        missing = str(self.package / f"four{SUFFIX}")
        self.assertEqual(staleModules(str(self.package)), [missing])
        self.one.unlink()
        self.two.unlink()
        self.assertEqual(staleModules(str(self.package)), [])
