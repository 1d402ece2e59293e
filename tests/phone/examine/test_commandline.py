"""
Tests of L{muxd.phone.examine.commandline}, and of how a daemon is started.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import Speed
from muxd.phone.examine.commandline import Options
from muxd.phone.examine.daemon import CannotExamine, DaemonStage, filled
from muxd.phone.examine.mounts import RECORDS


class OptionsTests(SynchronousTestCase):
    """
    Tests of L{Options}.
    """

    def parse(self, *words: str) -> Options:
        """
        Parse a command line.
        """
        options = Options()
        options.parseOptions(list(words))
        return options

    def test_daemon(self) -> None:
        """
        The daemon is one word, and the only one.
        """
        options = self.parse("-e", "3,21", "--long", "usbmuxd -f")
        self.assertEqual(
            (options.daemon, options["edges"], options["long"]), ("usbmuxd -f", [3, 21], 1)
        )
        for words in ((), ("usbmuxd", "-x")):
            self.assertRaises(usage.UsageError, self.parse, *words)

    def test_wrong(self) -> None:
        """
        What is not possible is refused.
        """
        for words in (("-e", "a"), ("-e", "0"), ("-e", "79"), ("--speed", "warp"), ("-p", "0")):
            self.assertRaises(usage.UsageError, self.parse, *words, "usbmuxd")

    def test_patience(self) -> None:
        """
        On a slow machine it is waited longer.
        """
        self.assertEqual(self.parse("usbmuxd")["patience"], "1")
        self.assertEqual(self.parse("--patience", "2.5", "usbmuxd")["patience"], 2.5)
        self.assertRaises(usage.UsageError, self.parse, "--patience", "101", "usbmuxd")

    def test_library(self) -> None:
        """
        The stand-in has to be there; the error says how to build it.
        """
        there = Path(self.mktemp())
        there.write_bytes(b"")
        options = self.parse("--libusb", str(there), "usbmuxd")
        self.assertEqual(options.library(), there.resolve())
        there.unlink()
        error = self.assertRaises(CannotExamine, options.library)
        self.assertIn("make -C bench/rig", str(error))


class DaemonTests(SynchronousTestCase):
    """
    Tests of L{DaemonStage}, whose reactor starts nothing.
    """

    def stage(self, **options: Any) -> DaemonStage:
        """
        Make one.
        """
        directory = Path(self.mktemp())
        return DaemonStage(
            MemoryReactorClock(), "daemon -S {socket} {records}", directory, **options
        )

    def test_filled(self) -> None:
        """
        A command line is taken apart as by a shell, and its places are filled in.
        """
        self.assertEqual(filled("a 'b c' {socket}", {"socket": "/s"}), ["a", "b c", "/s"])
        for wrong in ("", "'"):
            self.assertRaises(CannotExamine, filled, wrong, {})

    def test_standIn(self) -> None:
        """
        With the stand-in, the daemon has private mounts, and an environment that leads to the
        library and the bus.
        """
        stage = self.stage(library=Path("/lib/libusb.so"), speed=Speed.SUPER, environment={})
        self.assertEqual(stage._words[0], "unshare")
        directory = str(stage.directory)
        self.assertEqual(
            stage._words[-4:],
            ["daemon", "-S", f"{directory}/run/usbmuxd", f"{directory}/{RECORDS}"],
        )
        self.assertEqual("--map-root-user" in stage._words, os.geteuid() != 0)
        self.assertEqual(
            stage._environment,
            {
                "FAKEUSB_DIR": f"{directory}/bus",
                "FAKEUSB_SPEED": "super",
                "LD_LIBRARY_PATH": "/lib",
                "MUXD_LIBUSB": "/lib/libusb.so",
            },
        )
        again = self.stage(library=Path("/lib/libusb.so"), environment={"LD_LIBRARY_PATH": "/mine"})
        self.assertEqual(again._environment["LD_LIBRARY_PATH"], "/lib:/mine")
        self.assertFalse(stage.isAlive)

    def test_kernel(self) -> None:
        """
        On a real kernel's bus, the bus and udev are not hidden from it.
        """
        stage = self.stage(environment={"A": "1"})
        self.assertEqual((stage._words[-4], stage._environment), ("daemon", {"A": "1"}))
        (script,) = [word for word in stage._words if "set -e" in word]
        self.assertIn("/run/udev", script)
        self.assertNotIn("/sys", script)
