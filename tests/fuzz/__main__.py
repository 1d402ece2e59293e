# -*- test-case-name: tests.fuzz.test_main -*-
"""
All targets, or those named: C{make fuzz}.

Each has a process of its own and its share of the time.  What they find is kept
beneath C{build/fuzz} and is where the next run begins.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from twisted.python import usage

from tests.fuzz.fuzzer import AGAIN
from tests.fuzz.metering import TIMED
from tests.fuzz.progress import Progress
from tests.fuzz.target import TARGETS, Target, targetNamed
from tests.sanitized import sanitizedTree

PULSE = 10.0
"""Seconds between two lines about a target."""

LEAST = 2.0
"""Seconds: less is not enough for a fuzzer to begin."""


class Options(usage.Options):
    """
    Which targets, and for how long.
    """

    synopsis = "[options] [targets]"
    longdesc = "Targets: " + "; ".join(f"{one.name} ({one.about})" for one in TARGETS)
    optParameters = [
        ["seconds", "s", 60.0, "How long it may take, all targets together.", float],
        ["jobs", "j", 1, "How many targets run at once.", int],
        ["output", "o", "build/fuzz", "Where to keep what is found."],
        ["seed", None, 0, "Draw the same inputs each time, for this number.", int],
    ]
    optFlags = [["minimise", "m", "Keep the smallest set of inputs in tests/fuzz/corpus instead."]]

    def parseArgs(self, *names: str) -> None:
        """
        Which, if not all.
        """
        try:
            self["targets"] = [targetNamed(name) for name in names] or list(TARGETS)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error


@dataclass(slots=True)
class Work:
    """
    One target's turn.
    """

    target: Target
    output: Path
    progress: Progress = field(default_factory=Progress)
    status: int = 0
    seconds: float = 0.0

    @property
    def found(self) -> Path:
        """
        The inputs found so far.
        """
        return self.output / self.target.name

    def command(self, *options: str) -> list[str]:
        """
        How to start it.
        """
        return [sys.executable, "-m", "tests.fuzz.fuzzer", self.target.name, *options]

    def fuzz(self, seconds: float, seed: int) -> None:
        """
        Try inputs for so long.  What costs too much here, where atheris and another target
        cost as well, is tried in a process without them, and if there is nothing to object to
        there, others have the rest of the time.

        @param seed: The same inputs for the same number; others each time for 0.
        """
        began = time.monotonic()
        left = seconds
        while True:
            self._try(left, seed)
            left = seconds - (time.monotonic() - began)
            if not self.status or not self.progress.isOfCost or self._isExpensive():
                break
            self.progress.forgive()
            self.status = 0
            if left < LEAST:
                break
            seed += bool(seed)
        self.seconds = time.monotonic() - began
        self.show()
        if self.target.isSanitized and not self.status:
            self.sanitize()

    def _try(self, seconds: float, seed: int) -> None:
        """
        Have a fuzzer try inputs, until one fails.
        """
        crashes = self.output / "crashes" / self.target.name
        for directory in (self.found, crashes, self.target.corpus):
            directory.mkdir(parents=True, exist_ok=True)
        limits = (f"-max_total_time={max(1, round(seconds))}", f"-seed={seed}")
        options = (*limits, f"-artifact_prefix={crashes}/")
        shown = time.monotonic()
        process = subprocess.Popen(
            self.command(*options, str(self.found), str(self.target.corpus)),
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        assert process.stdout is not None
        tail: list[str] = []
        with process.stdout:
            for line in process.stdout:
                tail = [*tail[-20:], line.rstrip()]
                if self.progress.see(line.rstrip()) and time.monotonic() - shown > PULSE:
                    shown = time.monotonic()
                    self.show()
        self.status = process.wait()
        if self.status and not self.progress.traceback:
            self.progress.traceback = tail

    def _isExpensive(self) -> bool:
        """
        Whether what was said to cost too much does so without a fuzzer.
        """
        for timed in ({TIMED: "1"}, {}):
            status, lines, last = self._repeat(self.progress.crashes, timed)
            print(f"{self.target.name}, without a fuzzer: {last}", flush=True)
            if status:
                self.progress.traceback += ["", "Without a fuzzer:", *lines[-40:], last]
                return True
        return False

    def _repeat(
        self, inputs: Iterable[object], environment: Mapping[str, str], place: Path | None = None
    ) -> tuple[int, list[str], str]:
        """
        Try inputs once more.

        @return: The status, what was said, and the last line of it.
        """
        done = subprocess.run(
            [*self.repeating(), *map(str, inputs)],
            cwd=place,
            env={**os.environ, **environment},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        *lines, last = done.stdout.splitlines() or [""]
        return done.returncode, lines, last

    def repeating(self) -> list[str]:
        """
        How to start the process that tries inputs once more, without them.
        """
        return [sys.executable, "-m", "tests.fuzz.repeat", self.target.name]

    def sanitize(self) -> None:
        """
        Try all inputs once more, with compiled modules that notice accesses to memory
        that is not theirs, if they can be built here.  (Atheris sees no coverage beside
        AddressSanitizer.)
        """
        inputs = [*self.target.inputs(), *sorted(self.found.iterdir())]
        try:
            tree = sanitizedTree()
        except SkipTest as error:
            print(f"{self.target.name}: without AddressSanitizer: {error}", flush=True)
            return
        self.status, lines, last = self._repeat(inputs, tree.environment, tree.path)
        print(f"{self.target.name}, with AddressSanitizer: {last}", flush=True)
        if self.status:
            self.progress.traceback = [*lines[-40:], last]

    def minimise(self) -> None:
        """
        Make the kept inputs the smallest set that reaches what all reach together.
        """
        fresh = self.output / "minimal" / self.target.name
        fresh.mkdir(parents=True)
        again = self.output / f"{self.target.name}.sh"
        again.write_text(f'#!/bin/sh\nexec {shlex.join(self.command())} "$@"\n')
        again.chmod(0o755)
        sources = [str(self.target.corpus), str(self.found)]
        options = ("-set_cover_merge=1", "-use_counters=0", str(fresh), *sources)
        with open(self.output / f"{self.target.name}.log", "w", encoding="utf-8") as log:
            subprocess.run(
                self.command(*options),
                check=True,
                stderr=log,
                env={**os.environ, AGAIN: str(again.resolve())},
            )
        for old in self.target.inputs():
            if not old.name.startswith("seed-"):
                old.unlink()
        seeds = {old.read_bytes() for old in self.target.inputs()}
        for new in fresh.iterdir():
            data = new.read_bytes()
            if data not in seeds:
                (self.target.corpus / new.name[:12]).write_bytes(data)
            new.unlink()
        fresh.rmdir()
        print(f"{self.target.name}: {len(self.target.inputs())} inputs are kept", flush=True)

    def show(self) -> None:
        """
        How far it is.
        """
        progress = self.progress
        print(
            f"{self.target.name}: {progress.executions} executions, coverage {progress.coverage},"
            f" {progress.corpus} inputs",
            flush=True,
        )


def table(works: list[Work]) -> str:
    """
    What has come of it.
    """
    head = ("target", "executions", "a second", "coverage", "features", "corpus", "crashes")
    rows = [
        (
            work.target.name,
            str(work.progress.executions),
            f"{work.progress.executions / max(work.seconds, 0.001):.0f}",
            str(work.progress.coverage),
            str(work.progress.features),
            str(work.progress.corpus),
            str(len(work.progress.crashes) or int(work.status != 0)),
        )
        for work in works
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def complaints(works: list[Work]) -> list[str]:
    """
    What failed, and how to see it again.
    """
    lines = []
    for work in works:
        if work.status == 0:
            continue
        lines += ["", f"{work.target.name} failed:", *work.progress.traceback]
        for crash in work.progress.crashes:
            lines.append(
                f"repeat it with: {sys.executable} -m tests.fuzz.repeat {work.target.name} {crash}"
            )
    return lines


def main(arguments: list[str]) -> int:
    """
    @return: The exit status: 1 if something failed, 2 if nothing could be tried.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        print(f"{error}\n\n{options}", file=sys.stderr)
        return 2
    if find_spec("atheris") is None:
        print(
            "fuzzing needs atheris, which is not installed: make .venv/.fuzzing, or"
            " pip install -e '.[dev,fuzz]'",
            file=sys.stderr,
        )
        return 2
    works = [Work(target, Path(options["output"]).absolute()) for target in options["targets"]]
    if options["minimise"]:
        for work in works:
            work.minimise()
        return 0
    jobs = min(options["jobs"], len(works))
    seconds = options["seconds"] * jobs / len(works)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda work: work.fuzz(seconds, options["seed"]), works))
    print(f"\n{table(works)}", *complaints(works), sep="\n", flush=True)
    return 1 if any(work.status for work in works) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
