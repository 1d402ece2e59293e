# -*- test-case-name: tests.packages -*-
"""
A machine with systemd, in namespaces of this one: a Debian that is downloaded once, and what
a run writes to it is forgotten.

C{systemd-nspawn} boots it in a second.  It has no USB; there is a simulated phone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "python3", "libusb-1.0-0", "adduser")
"""What a machine has, and the package depends on."""

TOOLS = ("python3-venv", "python3-dev", "gcc", "libc6-dev")
"""What it takes to build the package; a machine that it is installed on has none of them."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

BOOTING = 180.0
"""Seconds until a machine has booted, which takes it one where nothing else runs."""

BOUNDED = ("timeout", "--kill-after=10", "900")
"""Before what downloads, or builds: a network that answers no more is an error in the end."""


class NotPossible(Exception):
    """
    Machines cannot be made here; the text says why.
    """


def checkPossible() -> None:
    """
    @raise NotPossible: Machines cannot be made here.
    """
    if os.geteuid() != 0:
        raise NotPossible("machines are made by root alone")
    for program, package in (
        ("debootstrap", "debootstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("nsenter", "util-linux"),
    ):
        if shutil.which(program) is None:
            raise NotPossible(f"there is no {program}: apt install {package}")


class Debian:
    """
    A release of Debian, in a directory.

    @ivar suite: Its name.
    @ivar root: The directory.
    """

    def __init__(self, suite: str, cache: Path) -> None:
        self.suite = suite
        self.root = cache / suite
        self._tools = cache / f"{suite}-tools"

    def prepare(self) -> None:
        """
        Download it, if that has not been done.

        @raise NotPossible: That was not possible.
        """
        if self.root.exists():
            return
        unfinished = self.root.with_name(f"{self.suite}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        packages = f"--include={','.join(PACKAGES)}"
        words = ["debootstrap", "--variant=minbase", packages, self.suite, str(unfinished)]
        done = subprocess.run(
            [*BOUNDED, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotPossible(f"no Debian {self.suite}: {done.stdout[-500:]}")
        unfinished.rename(self.root)

    def withTools(self) -> Path:
        """
        A copy that packages can be built in.

        @raise NotPossible: There is none.
        """
        if self._tools.exists():
            return self._tools
        unfinished = self._tools.with_name(f"{self.suite}-tools.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.root), str(unfinished)], check=True)
        script = (
            "apt-get update -qq && DEBIAN_FRONTEND=noninteractive"
            f" apt-get install -qq -y --no-install-recommends {' '.join(TOOLS)}"
        )
        done = self.inside(unfinished, ["sh", "-c", script])
        if done.returncode:
            raise NotPossible(f"Debian {self.suite} got no tools: {done.stdout[-500:]}")
        unfinished.rename(self._tools)
        return self._tools

    def build(self, project: Path, output: Path) -> Path:
        """
        Build the package for this release.

        @param output: A directory for it.
        @return: the package.
        @raise AssertionError: That failed.
        """
        output.mkdir(parents=True, exist_ok=True)
        for old in output.glob("*.deb"):
            old.unlink()
        # Where this machine's pip gets packages from, and whom it trusts, that one's does too.
        settings = [
            f"--setenv={name}={os.environ[name]}"
            for name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "MUXD_PURE")
            if name in os.environ
        ]
        if os.path.exists(CERTIFICATES):
            settings += [f"--bind-ro={CERTIFICATES}", f"--setenv=PIP_CERT={CERTIFICATES}"]
        done = self.inside(
            self.withTools(),
            ["sh", "-c", "cd /source && HOME=/tmp packaging/deb/build /output"],
            *(f"--bind-ro={project}:/source", f"--bind={output}:/output", "--volatile=overlay"),
            *settings,
        )
        found = list(output.glob("*.deb"))
        if done.returncode or len(found) != 1:
            raise AssertionError(f"no package for {self.suite}:\n{done.stdout[-3000:]}")
        return found[0]

    def inside(
        self, root: Path, command: Sequence[str], *options: str
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a command inside, without an init.
        """
        return subprocess.run(
            [
                *BOUNDED,
                *("systemd-nspawn", "-q", "-D", str(root), "--register=no", "--keep-unit"),
                *("--as-pid2", "--console=pipe", "--resolv-conf=replace-host", *options),
                "--",
                *command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @contextmanager
    def booted(self, shared: Path) -> Iterator[list[str]]:
        """
        Boot it.

        @param shared: A directory that is F{/probe} there.
        @return: what to write before a command that is to run there.
        @raise AssertionError: It does not boot.
        """
        machine = subprocess.Popen(
            [
                *("systemd-nspawn", "-q", "-D", str(self.root), "--volatile=overlay"),
                *("--register=no", "--keep-unit", "--console=pipe", f"--bind={shared}:/probe"),
                "-b",
            ],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        leader = 0
        try:
            leader = self._leader(machine)
            enter = ["nsenter", "-t", str(leader), "-a"]
            self._awaitBoot(enter)
            yield enter
        finally:
            # The end of its init ends a machine, and systemd-nspawn tidies up.
            with suppress(ProcessLookupError):
                os.kill(leader or machine.pid, signal.SIGKILL)
            try:
                machine.wait(BOOTING)
            except subprocess.TimeoutExpired:
                machine.kill()
                machine.wait()

    def _leader(self, machine: subprocess.Popen[bytes]) -> int:
        children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children")
        end = time.monotonic() + BOOTING
        while time.monotonic() < end:
            if machine.poll() is not None:
                raise AssertionError(f"systemd-nspawn ended with status {machine.returncode}")
            found = children.read_text().split()
            if found and "systemd" in Path(f"/proc/{found[0]}/comm").read_text():
                return int(found[0])
            time.sleep(0.1)
        raise AssertionError("the machine did not start")

    def _awaitBoot(self, enter: list[str]) -> None:
        end = time.monotonic() + BOOTING
        ask = [*enter, "systemctl", "is-active", "-q", "multi-user.target"]
        while subprocess.run(ask, stderr=subprocess.DEVNULL, check=False).returncode:
            if time.monotonic() > end:
                raise AssertionError("the machine did not boot")
            time.sleep(0.2)
