"""
A daemon that was started with root's files open, which it would keep after it has given up its
privileges.
"""

from __future__ import annotations

import os
import socket
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
count = closeInherited()
def isOpen(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
print(count, *[isOpen(int(word)) for word in sys.argv[1:]], isOpen(kept))
"""


@skipIf(platform.isWindows(), "Windows passes no descriptors")
@startsProcesses
class InheritedTests(SynchronousTestCase):
    """
    What a process does with descriptors that were open when it was started.
    """

    def outcome(self, *numbers: int) -> str:
        """
        How many are closed, which of these are open then, and whether one is that Python
        has opened.
        """
        words = [str(number) for number in numbers]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
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
        self.assertEqual(self.outcome(self.secret(), self.secret()), "2 False False True")

    def test_passedBySystemd(self) -> None:
        """
        Sockets that listen stay open, as systemd passes them; a connection does not.
        """
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path := os.path.relpath(self.mktemp()))
            listening.listen()
            with socket.socket(socket.AF_UNIX) as connected:
                connected.connect(path)
                numbers = listening.fileno(), connected.fileno(), self.secret()
                self.assertEqual(self.outcome(*numbers), "2 True False False True")
