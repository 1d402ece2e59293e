# -*- test-case-name: tests.tap.test_runners -*-
"""
The daemon under C{twistd} and C{twist}, in processes of their own: what is
imported, and how a start that cannot succeed ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import skipIf

from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

import muxd
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent
TWIST = ("-m", "twisted")
TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")


def run(*words: str, directory: str | Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """
    Run Python with our plugins, to its end.
    """
    return subprocess.run(
        [sys.executable, *words],
        check=False,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@startsProcesses
class ImportTests(SynchronousTestCase):
    """
    Tests of what is imported by all who look for plugins.
    """

    def imported(self, statement: str) -> set[str]:
        """
        The modules there are after a statement.
        """
        process = run("-c", f"import sys\n{statement}\nprint(*sys.modules)")
        self.assertEqual(process.stderr, "")
        return set(process.stdout.split())

    def test_plugins(self) -> None:
        """
        Our module of plugins imports neither pyusb nor the reactor, which would
        take the choice of a reactor away from every program of this machine.
        """
        modules = self.imported("import twisted.plugins.muxd_plugin")
        self.assertIn("muxd.usb.parser", modules)
        self.assertEqual(modules & {"usb", "libusb_package", "twisted.internet.reactor"}, set())

    def test_options(self) -> None:
        """
        Neither do the options, which are made before a reactor is chosen.
        """
        for command in ("usbmuxd", "tcprelay", "iphone"):
            modules = self.imported(f"from muxd.tap.{command} import Options; Options().getUsage()")
            self.assertEqual(modules & {"usb", "libusb_package", "twisted.internet.reactor"}, set())


@startsProcesses
@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class RefusedStartTests(SynchronousTestCase):
    """
    Tests of a start that cannot succeed, because the socket's path is taken by
    something else.
    """

    def setUp(self) -> None:
        """
        Have something in the way.
        """
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.directory, "s"))
        self.reason = "s: is not a socket"
        self.options = ["usbmuxd", "-l", "unix:s", "-s", "simulated", "-C", "records"]

    def start(self, *runner: str) -> tuple[str, str]:
        """
        Start it.

        @return: what it wrote to standard output and standard error.
        """
        process = run(*runner, *self.options, directory=self.directory)
        self.assertEqual(process.returncode, 1)
        self.assertNotIn("Traceback", process.stdout + process.stderr)
        return process.stdout, process.stderr

    def test_twistd(self) -> None:
        """
        C{twistd -n} logs one line, and leaves nothing behind.
        """
        output, errors = self.start(*TWISTD, "-n")
        self.assertEqual(errors, "")
        self.assertEqual(output.count(self.reason), 1)
        self.assertEqual(os.listdir(self.directory), ["s"])

    def test_daemon(self) -> None:
        """
        C{twistd} as a daemon tells the terminal, too, and leaves nothing but its
        log.
        """
        _, errors = self.start(*TWISTD)
        self.assertIn(self.reason, errors)
        log = Path(self.directory, "twistd.log").read_text()
        self.assertEqual(log.count(self.reason), 1)
        self.assertNotIn("Traceback", log)
        self.assertEqual(sorted(os.listdir(self.directory)), ["s", "twistd.log"])

    def test_twist(self) -> None:
        """
        C{twist} prints one line.
        """
        output, errors = self.start(*TWIST)
        self.assertEqual(output, "")
        self.assertEqual(errors.count("\n"), 1)
        self.assertIn(self.reason, errors)

    def test_journal(self) -> None:
        """
        Where systemd's journal reads what is written, the line has the journal's priority.
        """
        path = Path(self.directory, "journal")
        with path.open("w") as journal:
            status = os.fstat(journal.fileno())
            process = subprocess.run(
                [sys.executable, *TWISTD, "-n", "--pidfile=", *self.options],
                check=False,
                cwd=self.directory,
                env={
                    **os.environ,
                    "PYTHONPATH": str(PROJECT),
                    "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}",
                },
                stdout=journal,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
            )
        self.assertEqual((process.returncode, process.stderr), (1, ""))
        [line] = [line for line in path.read_text().splitlines() if self.reason in line]
        self.assertTrue(line.startswith("<2>usbmuxd cannot start: "), line)

    def test_usage(self) -> None:
        """
        A wrong value is answered by the line that says what is wrong, and by nothing else.
        """
        self.options += ["-s", "cupboard"]
        for runner in ((*TWISTD, "-n"), TWIST):
            output, errors = self.start(*runner)
            self.assertEqual(output, "")
            self.assertEqual(errors.count("\n"), 1)
            self.assertIn("usbmuxd: unknown source 'cupboard'", errors)
