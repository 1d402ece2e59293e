# -*- test-case-name: tests.integration.test_beside -*-
"""
Beside the C daemon, which takes whatever place it is given.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from typing import Any
from unittest import SkipTest

from tests.integration.daemon import PROJECT, DaemonTestCase

PATIENCE = 120.0


class BesideTests(DaemonTestCase):
    """
    L{tests.integration.beside}.
    """

    def scenario(self, name: str) -> dict[str, Any]:
        """
        What was seen.
        """
        unshare = shutil.which("unshare")
        installed = shutil.which("usbmuxd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if unshare is None or installed is None or shutil.which("make") is None:
            self.missing("usbmuxd, unshare and make are needed")
            raise AssertionError  # not reached
        asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
        directory = str(self.makeDirectory())
        done = subprocess.run(
            [
                *(unshare, "--net", *asRoot, "--", sys.executable, "-m"),
                *("tests.integration.beside", name, directory),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if "Operation not permitted" in done.stderr:
            raise SkipTest("namespaces cannot be made here")
        self.assertEqual(done.returncode, 0, done.stderr)
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    def test_lock(self) -> None:
        """
        One that is started while we run says that we do, and ends; C{usbmuxd -x}, which
        udev rules run, does not end us; what we leave is nothing.
        """
        seen = self.scenario("lock")
        self.assertEqual(seen["status"], 1)
        self.assertIn(f"already running (pid {seen['pid']})", seen["text"])
        self.assertEqual((seen["asked"], seen["answers"], seen["end"]), (0, "ours", 0))
        self.assertEqual(seen["left"], [])

    def test_overtaken(self) -> None:
        """
        One that takes our place is told of in one line, and outlives us.
        """
        seen = self.scenario("overtaken")
        expected = {"noticed": True, "between": "theirs", "answers": "theirs", "end": 0}
        self.assertEqual(seen, {**expected, "lines": 1})

    def test_returned(self) -> None:
        """
        When it has gone, clients reach us again.
        """
        self.assertEqual(self.scenario("returned"), {"answers": True, "end": 0})

    def test_second(self) -> None:
        """
        Ours does not take its place, and says which process has it.
        """
        seen = self.scenario("second")
        self.assertEqual((seen["status"], seen["answers"]), (1, "theirs"))
        self.assertIn(f"process {seen['pid']} holds the lock of usbmuxd", seen["text"])
        self.assertNotIn("Traceback", seen["text"])

    def test_records(self) -> None:
        """
        The way back: records and identity that either has written, ours as root and the
        C daemon as the user whose directory it is, are read and replaced by the other.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root becomes another user")
        try:
            pwd.getpwnam("usbmux")
        except KeyError:
            self.missing("there is no user usbmux")
        seen = self.scenario("records")
        turns = seen["seen"]
        self.assertEqual(len({told["BUID"] for told in turns}), 1, turns)
        for number, told in enumerate(turns):
            self.assertEqual(told["read"], [0] * number, turns)
            self.assertEqual((told["saved"], told["replaced"]), (0, 0), turns)
        self.assertEqual((seen["owner"], seen["others"]), ("usbmux", []))

    def test_remote(self) -> None:
        """
        The C daemon's phones are ours as well, by its socket, and reached through it; they
        are gone with it.
        """
        seen = self.scenario("remote")
        self.assertEqual(
            seen,
            {
                "type": "USB",
                "result": 0,
                "echoed": "hello",
                "wrong": 3,
                "gone": True,
                "end": 0,
            },
        )
