# -*- test-case-name: tests.packages.test_files -*-
"""
Tests of what a distribution, a container or launchd starts the daemon with.
"""

from __future__ import annotations

import configparser
import json
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from unittest import skipIf

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.tap.script import ScriptOptions
from tests.packages.machine import TOOLS
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parents[1]
UNITS = PROJECT / "systemd"
EXPOSURE = 15
"""The most that systemd may say of the service, in tenths."""


class Unit(configparser.RawConfigParser):
    """
    A unit of systemd, of which each key is said once.
    """

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters="=", comment_prefixes="#", interpolation=None)
        self.optionxform = str  # type: ignore[assignment]  # as its documentation has it
        self.read_string((UNITS / name).read_text().replace("\\\n", " "))


class FilesTests(SynchronousTestCase):
    """
    The files, which are in the source tree.
    """

    def setUp(self) -> None:
        """
        Need the source tree.
        """
        if not UNITS.exists():
            raise SkipTest("these tests need the source tree")

    def understood(self, words: list[str]) -> ScriptOptions:
        """
        The options of a command C{usbmuxd}.
        """
        self.assertEqual(Path(words[0]).name, "usbmuxd")
        options = ScriptOptions()
        options.parseOptions(words[1:])
        return options

    def test_unit(self) -> None:
        """
        The unit's command is understood, and listens on what its sockets are called.
        """
        unit = Unit("usbmuxd.service")
        [(name, places)] = [
            each.split("=", 1) for each in shlex.split(unit["Service"]["Environment"])
        ]
        command = unit["Service"]["ExecStart"].removesuffix("$MUXD_OPTIONS")
        options = self.understood(shlex.split(command.replace(f"${name}", places)))
        for flag, name in (("--listen", "usbmuxd.socket"), ("--status", "usbmuxd-status.socket")):
            place = options.daemon[options.daemon.index(flag) + 1]
            called = Unit(name)["Socket"]["FileDescriptorName"]
            self.assertEqual(place, f"systemd:domain=UNIX:name={called}")
            self.assertIn(name, unit["Unit"]["Requires"].split())

    def test_user(self) -> None:
        """
        The unit's user and group are those that sysusers makes, and the group is the one that
        udev gives phones to.
        """
        service = Unit("usbmuxd.service")["Service"]
        made = (UNITS / "muxd.sysusers").read_text()
        self.assertRegex(made, rf"(?m)^u {service['User']} -:{service['Group']} ")
        self.assertRegex(made, rf"(?m)^g {service['Group']} ")
        rules = (PROJECT / "udev" / "39-muxd.rules").read_text()
        self.assertIn(f'GROUP="{service["Group"]}"', rules)

    @startsProcesses
    @skipIf(shutil.which("systemd-analyze") is None, "there is no systemd-analyze")
    def test_exposure(self) -> None:
        """
        What systemd says of what the service may do stays below a bound.
        """
        words = ("security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}")
        done = subprocess.run(
            ["systemd-analyze", *words, str(UNITS / "usbmuxd.service")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)

    def test_launchd(self) -> None:
        """
        Launchd's file is one, and its command is understood.
        """
        [path] = (PROJECT / "launchd").glob("*.plist")
        values = plistlib.loads(path.read_bytes())
        self.assertEqual(f"{values['Label']}.plist", path.name)
        self.understood(values["ProgramArguments"])

    def test_image(self) -> None:
        """
        The image is made with the tools that the package is built with here, and its commands
        are understood.
        """
        text = (PROJECT / "packaging" / "docker" / "Dockerfile").read_text()
        build, run = re.findall(r"^FROM debian:.*?(?=^FROM|\Z)", text, re.DOTALL | re.MULTILINE)
        [tools] = re.findall(r"--no-install-recommends (.*)", build)
        self.assertEqual(set(tools.split()), set(TOOLS))
        [command] = re.findall(r"^CMD (.*)", run, re.MULTILINE)
        self.understood(json.loads(command))

    @startsProcesses
    def test_scripts(self) -> None:
        """
        The package's scripts are written as their shell has it.
        """
        for name in ("postinst", "prerm", "postrm", "build"):
            path = PROJECT / "packaging" / "deb" / name
            shell = path.read_text().splitlines()[0].removeprefix("#!")
            done = subprocess.run([shell, "-n", str(path)], capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""), name)
            self.assertTrue(path.stat().st_mode & 0o100, name)
