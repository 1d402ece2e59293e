# -*- test-case-name: tests.mutation.test_trial -*-
"""
Trials of mutants: whether the tests notice one.

Each is tried in a directory of its own, which has everything but the one module by
reference, by the tests that the module names in its first line, and if these do not notice
it by all of its package, and then by those for attacks, whatever they are on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutation.mutants import Mutant

PROJECT = Path(__file__).parents[2]

ATTACKS = "tests.attacks"

_TESTS = re.compile(r"# -\*- test-case-name: ([\w.,]+) -\*-")


class Verdict(Enum):
    """
    What the tests say.
    """

    NOTICED = "noticed"
    ENDLESS = "noticed, as the tests did not end"
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    A mutant and what became of it.
    """

    mutant: Mutant
    verdict: Verdict

    @property
    def isNoticed(self) -> bool:
        """
        Whether anything failed.
        """
        return self.verdict is not Verdict.SURVIVED


def testsOf(module: Path) -> list[list[str]]:
    """
    The tests of a module, the nearest first.
    """
    found = _TESTS.match(module.read_text().partition("\n")[0])
    named = found[1].split(",") if found else []
    package = ".".join(("tests", *module.relative_to(PROJECT / "muxd").parts[:1]))
    named = [name for name in named if not (package + ".").startswith(name + ".")]
    return [*([named] if named else []), [package], [ATTACKS]]


class Laboratory:
    """
    A copy of the project by reference, in which one module at a time is another.
    """

    def __init__(self, niceness: int = 19) -> None:
        self._niceness = niceness
        self.directory = Path(tempfile.mkdtemp(prefix="muxd-mutants-"))
        for path in (PROJECT / "muxd").rglob("*"):
            # Compiled code would be found before the module that is another.
            if path.is_dir() or path.suffix in (".so", ".pyc"):
                continue
            there = self.directory / path.relative_to(PROJECT)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(path)
        for path in PROJECT.iterdir():
            if path.name != "muxd" and path.name[0] not in "._":
                (self.directory / path.name).symlink_to(path)

    def close(self) -> None:
        """
        Remove it.
        """
        shutil.rmtree(self.directory)

    def run(self, tests: list[str], timeout: float) -> bool | None:
        """
        Run tests until one fails.

        @return: Whether all passed; None if they did not end in time.
        """
        command = [sys.executable, "-m", "tests.mutation.running", *tests]
        try:
            done = subprocess.run(
                ["nice", f"-n{self._niceness}", *command],
                cwd=self.directory,
                env={
                    **os.environ,
                    "MUXD_PURE": "1",
                    "PYTHONPATH": str(self.directory),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        return done.returncode == 0

    def attempt(self, mutant: Mutant, timeout: float) -> Outcome:
        """
        Let the tests have a look at a mutant.
        """
        there = self.directory / mutant.module.relative_to(PROJECT)
        there.unlink()
        there.write_text(mutant.source())
        try:
            for tests in testsOf(mutant.module):
                passed = self.run(tests, timeout)
                if passed is not True:
                    verdict = Verdict.ENDLESS if passed is None else Verdict.NOTICED
                    return Outcome(mutant, verdict)
            return Outcome(mutant, Verdict.SURVIVED)
        finally:
            there.unlink()
            there.symlink_to(mutant.module)
