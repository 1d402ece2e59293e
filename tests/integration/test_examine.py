# -*- test-case-name: tests.integration.test_examine -*-
"""
C{python -m muxd.phone.examine}: ours passes, and the C daemon does what is known of it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from unittest import SkipTest

from bench.rig import RigError, build
from muxd.phone.examine.examination import CHECKS
from tests.integration.daemon import PROJECT, TWISTD, DaemonTestCase

PATIENCE = 240.0

WAITING = {10, 17, 19, 24, 27, 37, 38, 59, 65, 73}
"""Edges whose checks wait for deadlines, or for a phone that has gone to come back: in memory they
take no time (F{tests/phone/examine})."""

OURS = (
    f"{shlex.join([sys.executable, *TWISTD])} usbmuxd --no-preflight -s usb:engine={{engine}}"
    " -l unix:{socket} -C {records}"
)


class ExaminationTests(DaemonTestCase):
    """
    Examinations on the stand-in bus.
    """

    def examine(self, *arguments: str) -> tuple[int, list[str]]:
        """
        Run one.

        @return: The exit status, and the lines of outcomes.
        """
        try:
            build()
        except RigError as problem:
            self.missing(str(problem))
        if shutil.which("unshare") is None:
            self.missing("unshare is needed")
        done = subprocess.run(
            [sys.executable, "-m", "muxd.phone.examine", *arguments],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if "Operation not permitted" in done.stdout + done.stderr:
            raise SkipTest("namespaces cannot be made here")
        self.assertEqual(done.stderr, "")
        return done.returncode, [
            line for line in done.stdout.splitlines() if line and not line.startswith(" ")
        ]

    def test_ours(self) -> None:
        """
        Ours passes, on a bus of each speed with one engine.
        """
        checked = {edge for check in CHECKS for edge in check.edges} - WAITING
        for engine, speed, edges in (
            ("async", "high", checked),
            ("threads", "super", {3, 4, 5, 6, 21, 31, 32}),
        ):
            daemon = OURS.replace("{engine}", engine)
            numbers = ",".join(map(str, sorted(edges)))
            status, lines = self.examine("--speed", speed, "--edges", numbers, daemon)
            wrong = [line for line in lines if line.startswith("VIOLATED")]
            self.assertEqual((status, wrong), (0, []), "\n".join(lines))
            self.assertGreater(len(lines), 6)

    def test_theirs(self) -> None:
        """
        The C daemon drops packets that share a transfer, and has a counter wrong; what it does
        well passes.
        """
        installed = shutil.which("usbmuxd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if installed is None:
            self.missing("usbmuxd is needed")
        page = self.makeDirectory() / "report.md"
        status, lines = self.examine(
            *("--edges", "3,6,36", "--markdown", str(page)),
            f"{installed} --foreground --no-preflight",
        )
        outcomes = {line[8:18].strip(): line.split()[0] for line in lines[:-1]}
        self.assertEqual(
            (status, outcomes["3"], outcomes["6"], outcomes["21"], outcomes["36, 44"]),
            (1, "ok", "VIOLATED", "VIOLATED", "ok"),
        )
        self.assertIn("violated: rx_seq", page.read_text())

    def test_noDaemon(self) -> None:
        """
        A daemon that does not start is told of, with its last words.
        """
        build()
        done = subprocess.run(
            [sys.executable, "-m", "muxd.phone.examine", "sh -c 'echo no luck; exit 5'"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        self.assertEqual(done.returncode, 2)
        self.assertIn("examine: the daemon has ended: ", done.stderr)
