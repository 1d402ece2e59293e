"""
A daemon that was started with root's files open, which it would keep after it has given up its
privileges.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import skipIf

from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from tests.running.processes import startsProcesses

PROJECT = Path(__file__).parents[2]

PROGRAM = """\
import os, sys
kept = os.open(os.devnull, os.O_RDONLY)
from muxd.tap.process import closeInherited
count = closeInherited({"LISTEN_FDS": sys.argv[1]} if sys.argv[1] else {})
def isOpen(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
print(count, *[isOpen(int(word)) for word in sys.argv[2:]], isOpen(kept))
"""


@skipIf(platform.isWindows(), "Windows passes no descriptors")
@startsProcesses
class InheritedTests(SynchronousTestCase):
    """
    What a process does with descriptors that were open when it was started.
    """

    def outcome(self, listen: str, *numbers: int) -> str:
        """
        How many are closed, which of these are open then, and whether one is that Python
        has opened.
        """
        words = [str(number) for number in numbers]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, listen, *words],
            pass_fds=numbers,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def secret(self) -> int:
        """
        A descriptor that is left open.
        """
        number = os.open(__file__, os.O_RDONLY)
        self.addCleanup(os.close, number)
        return number

    def test_closed(self) -> None:
        """
        They are closed, and what Python has opened is not.
        """
        self.assertEqual(self.outcome("", self.secret(), self.secret()), "2 False False True")

    def test_passedBySystemd(self) -> None:
        """
        Those that systemd says it passes stay open, from the third on.
        """
        secret = self.secret()
        self.assertEqual(self.outcome(str(secret - 3), secret), "1 False True")
        self.assertEqual(self.outcome(str(secret - 2), secret), "0 True True")
