# -*- test-case-name: tests.system.test_laboratory -*-
"""
Tests for L{tests.system.laboratory} and for what is done where there is none.
"""

from __future__ import annotations

import io
import lzma
import os
import subprocess
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.daemon import REQUIRED
from tests.system.__main__ import giveUp
from tests.system.contenders import Contender
from tests.system.initramfs import MODULES
from tests.system.laboratory import PACKAGES, UDEVADM, Laboratory, Unavailable
from tests.system.scenarios import CATALOGUE
from tests.system.test_kernel import image, module

KERNEL = "linux-image-6.1.0-9-amd64"


class FakeDebian:
    """
    A machine with C{apt-get} and C{dpkg}.

    @ivar commands: What was run.
    @ivar refuses: The word of a command that fails.
    """

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.refuses = ""

    def __call__(self, words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        """
        Run a program.
        """
        command = " ".join(words)
        self.commands.append(command)
        if self.refuses and self.refuses in command:
            return subprocess.CompletedProcess(words, 100, "", "W: noise\nE: no network\n")
        if "download" in words:
            for package in words[words.index("download") + 1 :]:
                Path(options["cwd"], f"{package}.deb").touch()
        if words[0] == "dpkg":
            self._unpack(Path(words[2]).stem, Path(words[3]))
        listing = f"linux-image-amd64\n  Depends: {KERNEL}\n"
        return subprocess.CompletedProcess(words, 0, listing, "")

    def _unpack(self, package: str, tree: Path) -> None:
        if package == KERNEL:
            release = KERNEL.removeprefix("linux-image-")
            (tree / "boot").mkdir()
            (tree / f"boot/vmlinuz-{release}").write_bytes(image(lzma.compress(b"\x7fELF")))
            modules = tree / "lib/modules" / release
            modules.mkdir(parents=True)
            for name in MODULES:
                (modules / f"{name}.ko").write_bytes(module())
        else:
            (tree / UDEVADM).parent.mkdir(exist_ok=True)
            (tree / UDEVADM).touch()


class LaboratoryTests(SynchronousTestCase):
    """
    Tests for L{Laboratory}.
    """

    def setUp(self) -> None:
        """
        A machine that has all programs, and an empty directory.
        """
        self.directory = Path(self.mktemp()).absolute()
        program = Path(self.mktemp()).absolute()
        program.write_bytes(b"busybox")
        self.present = dict.fromkeys([*PACKAGES, "apt-get"], program)
        self.debian = FakeDebian()
        self.said: list[str] = []
        self.patch(os, "geteuid", lambda: 0)

    def laboratory(self) -> Laboratory:
        """
        One in this directory.
        """
        return Laboratory(self.directory, self.said.append, self.debian, self.present.get)

    def refusal(self) -> str:
        """
        Why there can be none.
        """
        return str(self.assertRaises(Unavailable, self.laboratory().parts))

    def test_fresh(self) -> None:
        """
        On a machine that has never done it, the kernel and udevd are unpacked, and
        nothing is installed.
        """
        parts = self.laboratory().parts()
        self.assertEqual(parts.kernel.read_bytes(), b"\x7fELF")
        self.assertIn(b"TRAILER", parts.initrd.read_bytes())
        self.assertTrue((parts.udev / UDEVADM).exists())
        self.assertFalse(any("install" in each for each in self.debian.commands))

    def test_again(self) -> None:
        """
        The second time nothing is run, and nothing needed.
        """
        parts = self.laboratory().parts()
        self.debian.commands.clear()
        del self.present["apt-get"]
        self.assertEqual(self.laboratory().parts(), parts)
        self.assertEqual(self.debian.commands, [])

    def test_missing(self) -> None:
        """
        What is missing is installed, and looked for again.
        """
        del self.present["busybox"]
        self.assertIn("there is no busybox, though busybox-static", self.refusal())
        [install] = [each for each in self.debian.commands if " install " in each]
        self.assertTrue(install.endswith(" install busybox-static"))

    def test_noRoot(self) -> None:
        """
        A user that may not install is told what to install.
        """
        del self.present["qemu-system-x86_64"]
        self.patch(os, "geteuid", lambda: 1000)
        self.assertIn("apt-get install qemu-system-x86", self.refusal())
        self.assertEqual(self.debian.commands, [])

    def test_noApt(self) -> None:
        """
        Without apt-get there is no kernel.
        """
        del self.present["apt-get"]
        self.assertIn("there is no apt-get", self.refusal())

    def test_noNetwork(self) -> None:
        """
        When apt-get fails, its last words are told; what was half done is done again.
        """
        self.debian.refuses = "download"
        self.assertIn("failed: E: no network", self.refusal())
        self.debian.refuses = ""
        self.laboratory().parts()


class SkipTests(SynchronousTestCase):
    """
    Tests for L{giveUp}.
    """

    def skip_(self, environ: dict[str, str]) -> tuple[int, list[str]]:
        """
        The status, and what is said.
        """
        self.patch(os, "environ", environ)
        output = io.StringIO()
        with redirect_stdout(output):
            status = giveUp("no apt-get", CATALOGUE.matching(["stall"]), list(Contender))
        return status, output.getvalue().splitlines()

    def test_skipped(self) -> None:
        """
        Where no machine can be had, that is one line, and no failure.
        """
        status, [reason, summary] = self.skip_({})
        self.assertEqual((status, summary), (0, "0 passed, 0 failed, 2 skipped"))
        self.assertIn("no apt-get", reason)

    def test_required(self) -> None:
        """
        Unless nothing may be missing.
        """
        status, [_, summary] = self.skip_({REQUIRED: "1"})
        self.assertEqual((status, summary), (1, "0 passed, 2 failed, 0 skipped"))
