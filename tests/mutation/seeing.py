# -*- test-case-name: tests.mutation.test_mutants -*-
"""
Which tests see which line of a module: those that execute it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.mutation.running import Watch, run

LONG = 2.0
"""Seconds of a CPU: a test that takes longer is shown no mutant."""


class Sight:
    """
    What each test executes, and how long it takes.
    """

    def __init__(self, lines: dict[str, dict[str, list[str]]], seconds: dict[str, float]) -> None:
        """
        @param lines: By a module's path and a line's number, the tests.
        @param seconds: How long each takes, of those that pass.
        """
        self._lines = lines
        self._seconds = seconds

    def testsOf(self, module: Path, line: int, near: Iterable[str] = ()) -> list[str]:
        """
        The tests that execute a line, those of the modules C{near} it first, and the
        quickest of these first.
        """
        nearest = tuple(f"{name}." for name in near)
        found = self._lines.get(str(module), {}).get(str(line), [])
        return sorted(
            (test for test in found if self._seconds.get(test, LONG) < LONG),
            key=lambda test: (not test.startswith(nearest), self._seconds[test], test),
        )

    def unknown(self, tests: Iterable[str]) -> list[str]:
        """
        Those of some tests that were not there, or did not pass, when this was seen.
        """
        return [test for test in tests if test not in self._seconds]

    def seconds(self, tests: Iterable[str]) -> float:
        """
        How long tests take, as far as that is known.
        """
        return sum(self._seconds.get(test, 0.0) for test in tests)

    def write(self, path: Path) -> None:
        """
        Keep it.
        """
        path.write_text(json.dumps([self._lines, self._seconds]))

    @classmethod
    def read(cls, path: Path) -> Sight:
        """
        Get what was kept.
        """
        return cls(*json.loads(path.read_text()))


def look(tests: list[Any], modules: list[Path]) -> Sight:
    """
    Run all tests once, and see what each executes.
    """
    from coverage import Coverage

    measuring = Coverage(
        data_file=None, config_file=False, include=[str(module) for module in modules]
    )
    measuring.start()
    trace = sys.gettrace()
    seconds: dict[str, float] = {}
    began = 0.0

    def started(test: str) -> None:
        nonlocal began
        if sys.gettrace() is not trace:
            # A test that measures by itself took it.
            sys.settrace(trace)
        measuring.switch_context(test)
        began = time.process_time()

    def ended(test: str, passed: bool) -> None:
        if passed:
            seconds[test] = time.process_time() - began

    run(tests, Watch(started, ended))
    measuring.stop()
    data = measuring.get_data()
    lines: dict[str, dict[str, list[str]]] = {}
    for module in modules:
        found = data.contexts_by_lineno(str(module))
        lines[str(module)] = {
            str(line): sorted(context for context in contexts if context)
            for line, contexts in found.items()
        }
    return Sight(lines, seconds)
