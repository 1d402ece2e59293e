"""
The stand-in for libusb and the phone of C{bench/rig}, built for these tests, and
programs that are run on them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import SkipTest

from tests.sanitized import required, sanitizedTree

PROJECT = Path(__file__).resolve().parent.parent.parent
SOURCES = PROJECT / "bench" / "rig"
FAULTS = Path(__file__).with_name("faults.c")

PATIENCE = 90.0
"""Real seconds that a program may take; it takes one or two."""


@dataclass(frozen=True, slots=True)
class Rig:
    """
    What was built.

    @ivar library: The stand-in.
    @ivar phone: The program that plays the phones.
    @ivar project: Where the program is that loads the library.
    @ivar environment: What it has to have in its environment.
    """

    library: Path
    phone: Path
    project: Path = PROJECT
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)


@cache
def build(*, withSanitizer: bool = False) -> Rig:
    """
    Build it, once for each run of the tests.

    @param withSanitizer: With AddressSanitizer in the library, and in the compiled
        modules that use it.
    """
    if sys.platform != "linux":
        raise SkipTest("the stand-in for libusb does what Linux does, and needs it")
    compiler = required("cc", "gcc")
    tree = sanitizedTree() if withSanitizer else None
    directory = tempfile.TemporaryDirectory(prefix="usb-rig-")
    library = Path(directory.name, "libusb-1.0.so.0")
    phone = Path(directory.name, "phone")
    options = [compiler, "-O1", "-g", "-D_GNU_SOURCE", "-pthread"]
    sanitizer = ["-fsanitize=address", "-fno-omit-frame-pointer"] if withSanitizer else []
    subprocess.run(
        [
            *(*options, *sanitizer, "-fPIC", "-fvisibility=hidden", "-shared"),
            *("-Wl,-soname,libusb-1.0.so.0", "-Wl,--wrap=post"),
            *("-I", str(SOURCES / "libusb"), "-o", str(library)),
            *(*map(str, sorted((SOURCES / "libusb").glob("*.c"))), str(FAULTS)),
        ],
        check=True,
    )
    subprocess.run(
        [*options, "-o", str(phone), *map(str, sorted((SOURCES / "phone").glob("*.c")))],
        check=True,
    )
    if tree is None:
        return Rig(library, phone, directory=directory)
    return Rig(library, phone, tree.path, tree.environment, directory)


class Phones:
    """
    Phones on a bus of their own, two of them, the second one unplugged.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        # Paths of sockets have to be short.
        self._directory = tempfile.TemporaryDirectory(prefix="usb-bus-")
        directory = Path(self._directory.name)
        self.bus = directory / "bus"
        self.control = directory / "control"
        self._log = (directory / "phone.log").open("w+")
        self.process = subprocess.Popen(
            [
                *(str(rig.phone), "--dir", str(self.bus), "--control", str(self.control)),
                *("--count", "2", "--unplugged", "1"),
            ],
            stdout=self._log,
            stderr=self._log,
        )
        end = monotonic() + PATIENCE
        while not self.control.exists():
            if self.process.poll() is not None or monotonic() > end:
                raise AssertionError(f"the phones do not start: {self.said()}")
            try:
                self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                pass

    def said(self) -> str:
        """
        What the phones had to say, violations above all.
        """
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        """
        End them.
        """
        self.process.kill()
        self.process.wait()
        self._log.close()
        self._directory.cleanup()

    def run(self, scenario: str, engine: str, **environment: str) -> dict[str, Any]:
        """
        Run a scenario of L{tests.usb.scenarios} in a process of its own.

        @return: What it reports.
        @raise AssertionError: It failed.
        """
        command = [*self._interpreter(), "-m", "tests.usb.scenarios", scenario, engine]
        done = subprocess.run(
            command,
            cwd=self._rig.project,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise AssertionError(
                f"{scenario} with {engine} ended with status {done.returncode}\n"
                f"{done.stdout}\n{done.stderr}\nthe phones said: {self.said()}"
            )
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        result["stderr"] = done.stderr
        return result

    def check(self, scenario: str, engine: str) -> int:
        """
        Run a scenario under valgrind, which tells what it thinks of the library
        and of what was done to its memory.

        @return: The exit status, 1 if valgrind found anything.
        """
        command = [
            *(
                required("valgrind", "valgrind"),
                "--error-exitcode=1",
                "--child-silent-after-fork=yes",
            ),
            # CPython's small numbers look as if they had never been written.
            *("--undef-value-errors=no", "--num-callers=20"),
            *(sys.executable, "-m", "tests.usb.scenarios", scenario, engine),
        ]
        environment = {**self._environment({}), "PYTHONMALLOC": "malloc"}
        return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode

    def _interpreter(self) -> Sequence[str]:
        if "COVERAGE_RUN" in os.environ and not self._rig.environment:
            return (sys.executable, "-m", "coverage", "run", "--parallel-mode")
        return (sys.executable,)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "FAKEUSB_DIR": str(self.bus),
            "MUXD_LIBUSB": str(self._rig.library),
            "RIG_CONTROL": str(self.control),
            "RIG_PHONE": str(self.process.pid),
            **more,
            **self._rig.environment,
        }


def main(scenario: str, engine: str) -> int:
    """
    What C{tests/usb/valgrind.sh} does.
    """
    phones = Phones(build())
    try:
        return phones.check(scenario, engine)
    finally:
        phones.stop()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
