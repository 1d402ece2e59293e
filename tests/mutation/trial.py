# -*- test-case-name: tests.mutation.test_mutants -*-
"""
Trials of mutants: whether the tests notice one.

A mutant whose defect is in a function is tried in a fork of a process that has imported all
tests, by those tests that execute its line; any other in a fork of one that has not
imported ours, by the tests that the module names in its first line and then by all.
"""

from __future__ import annotations

import gc
import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from tests.mutation.forking import Ended, inFork
from tests.mutation.mutants import Mutant
from tests.mutation.patching import MutantFinder, Patch, functionsByFile
from tests.mutation.running import Watch, load, run
from tests.mutation.seeing import Sight, look

PROJECT = Path(__file__).parents[2]

TESTS = (
    *("tests.wire", "tests.device", "tests.server", "tests.usb", "tests.attacks"),
    *("tests.integration", "tests.differential", "tests.faults"),
    *("tests.test_service", "tests.test_servicelistening", "tests.test_servicepreflight"),
    *("tests.test_servicereleasing", "tests.test_limits"),
)
"""Those that a mutant is shown to, if they execute it."""

PACKAGES = ("muxd/wire", "muxd/device", "muxd/server", "muxd/usb")
"""Whose modules are looked at."""

_TESTS = re.compile(r"# -\*- test-case-name: ([\w.,]+) -\*-")


class Verdict(Enum):
    """
    What the tests say.
    """

    NOTICED = "noticed"
    ENDLESS = "noticed, as the tests did not end"
    SURVIVED = "survived"
    UNSEEN = "survived, as no test executes it"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    A mutant and what became of it.

    @ivar test: The one that noticed.
    """

    mutant: Mutant
    verdict: Verdict
    test: str | None = None

    @property
    def isNoticed(self) -> bool:
        """
        Whether anything failed.
        """
        return self.verdict in (Verdict.NOTICED, Verdict.ENDLESS)


def namedBy(module: Path) -> list[str]:
    """
    The modules of tests that a module names.
    """
    found = _TESTS.match(module.read_text().partition("\n")[0])
    return found[1].split(",") if found else []


def firstFailure(tests: list[Any], most: Callable[[str], float] = lambda test: 0) -> str | None:
    """
    Run tests until one fails.

    @param most: How many seconds of the CPU a test may take, by its name: with more it is the
        end of this process.  0 is any number.
    @return: The name of the test that failed, or None.
    """
    failures: list[str] = []

    def started(test: str) -> None:
        signal.setitimer(signal.ITIMER_PROF, most(test))

    def ended(test: str, passed: bool) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if not passed:
            failures.append(test)

    run(tests, Watch(started, ended), exitFirst=True)
    return failures[0] if failures else None


class ColdTrial:
    """
    Mutants of what runs when a module is imported.

    @param tests: The names of what to load after the tests that are named by a module.
    """

    def __init__(self, tests: Iterable[str] = TESTS) -> None:
        self._tests = list(tests)

    def attempt(self, mutant: Mutant, timeout: float) -> Outcome:
        """
        Let the tests have a look at one.
        """
        named = namedBy(mutant.module)
        try:
            for names in [named, self._tests] if named else [self._tests]:
                failed = inFork(partial(self._show, mutant, names), timeout)
                if failed is not None:
                    return Outcome(mutant, Verdict.NOTICED, failed)
        except Ended:
            return Outcome(mutant, Verdict.ENDLESS)
        return Outcome(mutant, Verdict.SURVIVED)

    @staticmethod
    def _show(mutant: Mutant, names: list[str]) -> str | None:
        MutantFinder(mutant, PROJECT).install()
        try:
            tests = load(names)
        except Exception as error:
            return f"import: {error!r}"
        return firstFailure(list(tests.values()))


class WarmTrial:
    """
    Mutants of functions.  All tests are imported when one is made.
    """

    def __init__(self, kept: Path, tests: Iterable[str] = TESTS) -> None:
        """
        @param kept: Where there is, or will be, what the tests see.
        """
        self._tests = load(list(tests))
        gc.collect()
        # Looked for once: a fork that looks at everything copies everything.
        self._functions = functionsByFile()
        gc.freeze()
        if not kept.exists():
            modules = [path for name in PACKAGES for path in (PROJECT / name).rglob("*.py")]
            inFork(lambda: look(list(self._tests.values()), modules).write(kept), 3600)
        self._sight = Sight.read(kept)
        self._alone: dict[str, bool] = {}

    def attempt(self, mutant: Mutant, patch: Patch) -> Outcome:
        """
        Let the tests have a look at one.
        """
        near = namedBy(mutant.module)
        # Tests that came after the others were watched may see anything.
        names = self._sight.unknown(self._tests)
        names += self._sight.testsOf(mutant.module, mutant.line, near)
        while names := [name for name in names if self._alone.get(name, True)]:
            # Enough for a machine that does other things, too.
            timeout = 30 + 20 * self._sight.seconds(names)

            def show(names: list[str] = names) -> str | None:
                if not patch.apply(self._functions):
                    raise AssertionError("there is no such function")
                return firstFailure([self._tests[name] for name in names], self._most)

            try:
                failed = inFork(show, timeout)
            except Ended:
                return Outcome(mutant, Verdict.ENDLESS)
            if failed is None:
                return Outcome(mutant, Verdict.SURVIVED)
            if failed not in self._tests or self._passesAlone(failed):
                return Outcome(mutant, Verdict.NOTICED, failed)
        return Outcome(mutant, Verdict.UNSEEN)

    def _most(self, name: str) -> float:
        return 5 + 20 * self._sight.seconds([name])

    def _passesAlone(self, name: str) -> bool:
        # A test that fails in a fork without a defect says nothing.
        if name not in self._alone:
            test = self._tests[name]
            try:
                self._alone[name] = inFork(lambda: firstFailure([test]), 120) is None
            except Ended:
                self._alone[name] = False
        return self._alone[name]
