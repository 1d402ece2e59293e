# -*- test-case-name: tests.system.test_machine -*-
"""
Tests for L{tests.system.machine}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from tests.running.processes import startsProcesses
from tests.system.laboratory import Parts
from tests.system.machine import STATUS, Machine


class MachineTests(SynchronousTestCase):
    """
    Tests for L{Machine}, with a program in the place of the emulator.
    """

    if platform.isWindows():
        skip = "there is no shell"

    def setUp(self) -> None:
        """
        A directory, and nothing said.
        """
        self.directory = Path(self.mktemp()).absolute()
        self.lines: list[str] = []

    def run_(self, script: str, patience: float = 60) -> int | None:
        """
        Run a command in a machine whose emulator is a shell script.
        """
        emulator = Path(self.mktemp()).absolute()
        emulator.write_text(f"#!/bin/sh\ncd {self.directory}\n{script}\n")
        emulator.chmod(0o755)
        parts = Parts(emulator, Path("/vmlinux"), Path("/initrd"), Path("/udev"))
        machine = Machine(parts, self.directory)
        return machine.run(["echo", "a b"], Path("/some where"), patience, self.lines.append)

    @startsProcesses
    def test_job(self) -> None:
        """
        The guest is left the command to run, quoted, and where to run it.
        """
        self.run_(":")
        job = (self.directory / "job.sh").read_text()
        self.assertIn("\ncd '/some where'\n( echo 'a b' )\n", job)

    @startsProcesses
    def test_status(self) -> None:
        """
        The command's status is what the guest has written down; its console
        comes line by line, the last one also without an end.
        """
        status = self.run_(f"printf 'one\\r\\ntwo\\nthree'; echo 7 > {STATUS}")
        self.assertEqual((status, self.lines), (7, ["one", "two", "three"]))

    @startsProcesses
    def test_noStatus(self) -> None:
        """
        A machine that ends before its command has no status, whatever one before
        it had.
        """
        self.run_(f"echo 0 > {STATUS}")
        self.assertIsNone(self.run_("echo panic"))
        self.assertEqual(self.lines, ["panic"])

    @startsProcesses
    def test_silence(self) -> None:
        """
        A machine that says nothing any more is switched off.
        """
        self.assertIsNone(self.run_("echo one; exec sleep 60", patience=0.05))
        self.assertIn(self.lines, [[], ["one"]])

    def test_commandLine(self) -> None:
        """
        The host's files are read-only.
        """
        parts = Parts(Path("/qemu"), Path("/vmlinux"), Path("/initrd"), Path("/udev"))
        words = Machine(parts, Path("/out")).commandLine()
        [host] = [word for word in words if word.startswith("local,path=/,")]
        self.assertIn("readonly=on", host)
