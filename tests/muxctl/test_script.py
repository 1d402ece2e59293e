# -*- test-case-name: tests.muxctl.test_script -*-
"""
Tests of L{muxd.muxctl.script}: processes, since it is about what they are started with.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from muxd import __version__
from tests.running.processes import startsProcesses

PATIENCE = 300
"""Seconds that a process may take, which is no matter of these tests."""

INTERRUPTED_AT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.{handler})
sys.meta_path.insert(0, Finder())
from muxd.muxctl.script import console
sys.argv = ["muxctl", *{words!r}]
console()
"""
"""A program that gets SIGINT when it is about to import something."""


@startsProcesses
class ConsoleTests(SynchronousTestCase):
    """
    Tests of L{muxd.muxctl.script.console}.
    """

    def run_(
        self, *command: str, stdout: int = subprocess.PIPE, unbuffered: str = ""
    ) -> tuple[int, bytes, bytes]:
        """
        Run a program, for its status and what it says.

        @param unbuffered: Not empty if what is written is written at once.
        """
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "PYTHONUNBUFFERED": unbuffered,
            },
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout or b"", done.stderr

    def interruptedAt(self, name: str, handler: str, *words: str) -> tuple[int, bytes, bytes]:
        """
        Interrupt it when it imports this.
        """
        program = INTERRUPTED_AT.format(name=name, handler=handler, words=words)
        return self.run_(sys.executable, "-c", program)

    def test_interruptedEarly(self) -> None:
        """
        An interrupt while it is still imported ends it as a shell expects, without a traceback.
        """
        ended = self.interruptedAt("muxd.muxctl.commandline", "default_int_handler", "--version")
        self.assertEqual(ended, (-signal.SIGINT, b"", b""))

    def test_interruptedLater(self) -> None:
        """
        So does one while a command imports what it alone needs, with the status that is told
        of in its manual.
        """
        ended = self.interruptedAt("muxd.muxctl.authority", "default_int_handler", "cert", "list")
        self.assertEqual(ended, (130, b"", b""))

    def test_notInterruptible(self) -> None:
        """
        A process that was started without interrupts, as by C{nohup}, has none.
        """
        status, out, err = self.interruptedAt("muxd.muxctl.commandline", "SIG_IGN", "--version")
        self.assertEqual((status, out, err), (0, f"muxctl {__version__}\n".encode(), b""))

    def test_full(self) -> None:
        """
        An output that takes no more is one line, however early or late that shows.
        """
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        for unbuffered in ("", "1"):
            for words in (["completion", "bash"], ["--version"]):
                command = [sys.executable, "-m", "muxd.muxctl", *words]
                ended = self.run_(*command, stdout=full, unbuffered=unbuffered)
                self.assertEqual(ended, (5, b"", b"muxctl: No space left on device\n"), words)

    def test_closed(self) -> None:
        """
        A standard stream that is closed at the start leads nowhere, and the status is what it
        would be.
        """
        for redirection, words, status in (
            (">&-", ["--version"], 0),
            (">&-", ["completion", "bash"], 0),
            ("2>&-", ["-s", "/nonexistent/usbmuxd", "list"], 3),
        ):
            shell = f'exec "$@" {redirection}'
            program = [sys.executable, "-m", "muxd.muxctl", *words]
            self.assertEqual(self.run_("/bin/sh", "-c", shell, "sh", *program), (status, b"", b""))
