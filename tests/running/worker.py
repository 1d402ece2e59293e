"""
A worker: a process that runs the tests that it is told to, and says what came of them.

It reads lines from its standard input, each a JSON list: the first of names of packages,
modules, classes or tests, the others of the ids of tests to be run.  It ends when there are no
more.  To the descriptor that its last argument but one names it writes lines: C{tests LIST},
with an id and whether C{make unit} runs it for each test that has one of the names; C{start
OFFSET ID}, C{end OUTCOME}, and C{idle} when it has run all of a list.  What its tests print goes
to the file that is its standard output and error, that of a test from the offset on.  With
C{--few}, it checks some of the examples of properties only.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any
from unittest import TestCase

from twisted.trial.runner import TestLoader, TrialRunner

from tests.running.batches import Batches
from tests.running.found import Found
from tests.running.loading import load
from tests.running.outcome import Outcome
from tests.running.processes import classAndMethod
from tests.running.properties import settle
from tests.running.recorder import recording
from tests.running.unit import isUnit


class Output:
    """
    What is written to a file that is the standard output and error.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._start = 0

    def mark(self) -> int:
        """
        What is written from now on is of interest.

        @return: Where that starts.
        """
        self._start = self._size()
        return self._start

    def read(self) -> str:
        """
        What was written since it was marked.
        """
        size = self._size() - self._start
        return os.pread(self._file, size, self._start).decode(errors="replace")

    def _size(self) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        return os.fstat(self._file).st_size


def find(names: Sequence[str]) -> list[Found]:
    """
    The tests that have these names.  What they are made of is imported then.
    """
    return [Found(test, isUnit(test)) for test in (each.id() for each in load(names))]


def named(test: str) -> Any:
    """
    The test with this id, or what tells that there is none.
    """
    match classAndMethod(test):
        case type() as kind, _ if issubclass(kind, TestCase):
            return kind(test.rpartition(".")[2])
    return TestLoader().loadByName(test)


def main(events: io.TextIOBase, commands: io.TextIOBase, output: Output, deadline: float) -> None:
    """
    Run what is told.

    @param deadline: Seconds that a test may take, and what is done before, between and after
        tests; then this process ends, and says what it is doing.
    """

    def hurry() -> None:
        # A test without a reactor has no timeout of its own, nor has what it imports or shares.
        faulthandler.dump_traceback_later(deadline, exit=True)

    def started(test: str) -> None:
        offset = output.mark()
        hurry()
        print("start", offset, test, file=events, flush=True)

    def ended(outcome: Outcome) -> None:
        hurry()
        print("end", outcome.toJSON(), file=events, flush=True)

    def batches() -> Iterator[Iterator[Any]]:
        wanted = json.loads(commands.readline() or "[]")
        hurry()
        found = find(wanted)
        faulthandler.cancel_dump_traceback_later()
        print("tests", json.dumps([astuple(test) for test in found]), file=events, flush=True)
        for line in commands:
            hurry()
            yield map(named, json.loads(line))
            faulthandler.cancel_dump_traceback_later()
            print("idle", file=events, flush=True)
        hurry()

    with tempfile.TemporaryDirectory(prefix="t") as directory:
        runner = TrialRunner(
            recording(started, ended, output.read),
            # Short, as paths of UNIX sockets have to be.
            workingDirectory=str(Path(directory, "t")),
            uncleanWarnings=False,
        )
        runner.run(Batches(batches()))


if __name__ == "__main__":
    faulthandler.enable()
    # The tests start processes, which shall not read what is meant for this one.
    standardInput = os.dup(0)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    *options, descriptor, deadline = sys.argv[1:]
    settle(few="--few" in options)
    number = int(descriptor)
    os.set_inheritable(number, False)
    with os.fdopen(number, "w") as events, os.fdopen(standardInput) as commands:
        main(events, commands, Output(1), float(deadline))
