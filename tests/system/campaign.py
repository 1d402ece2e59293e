# -*- test-case-name: tests.system.test_campaign -*-
"""
Virtual machines, some at a time, until everything has been tried.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock

from tests.system.guest.daemons import PROJECT
from tests.system.guest.runner import RESULTS
from tests.system.laboratory import Parts, Say
from tests.system.machine import GUEST_OUT, Machine
from tests.system.outcome import Outcome, Verdict
from tests.system.plan import Share
from tests.system.scenario import PATIENCE

GRACE = 600.0
"""Seconds that a machine may be silent beyond what a scenario may take: it says
when one begins and ends."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One field of the table.

    @ivar directory: Where its logs are.
    """

    outcome: Outcome
    directory: Path

    @property
    def isFailure(self) -> bool:
        """
        Whether muxd has failed; the C daemon may.
        """
        return self.outcome.verdict is Verdict.FAILED and self.outcome.trial.contender.isMuxd


class Campaign:
    """
    @ivar cells: What is known so far.
    """

    def __init__(
        self,
        parts: Parts,
        directory: Path,
        say: Say,
        verbose: bool = False,
        makeMachine: Callable[[Parts, Path], Machine] = Machine,
    ) -> None:
        """
        @param directory: For what is left of each machine.
        @param verbose: Whether to show what machines write to their consoles.
        """
        self.cells: list[Cell] = []
        self._parts = parts
        self._directory = directory
        self._say = say
        self._verbose = verbose
        self._makeMachine = makeMachine
        self._numbers = count(1)
        self._lock = Lock()

    def run(self, shares: Iterable[Share], machines: int) -> None:
        """
        Do all of it.

        @param machines: How many at a time.
        """
        with ThreadPoolExecutor(machines) as pool:
            for done in [pool.submit(self._runShare, share) for share in shares]:
                done.result()

    def _runShare(self, share: Share) -> None:
        """
        Boot machines until nothing is left of a share: one that ends in the middle of
        a scenario is followed by another one for the rest.
        """
        left: Share | None = share
        while left is not None:
            left = left.after(self._runMachine(left))

    def _runMachine(self, share: Share) -> int:
        """
        @return: How many of its trials are done, at least one.
        """
        with self._lock:
            name = f"machine-{next(self._numbers)}"
        directory = self._directory / name
        machine = self._makeMachine(self._parts, directory)
        console: list[str] = []
        finished: list[Outcome] = []
        began = time.monotonic()

        def lineReceived(line: str) -> None:
            console.append(line)
            if self._verbose:
                self._say(f"{name}: {line}")
            for outcome in self._results(directory)[len(finished) :]:
                finished.append(outcome)
                self._add(Cell(outcome, directory / str(outcome.trial)))

        self._say(f"{name}: booting for {len(share.trials)} trials")
        status = machine.run(
            self._command(share),
            PROJECT,
            PATIENCE + GRACE,
            lineReceived,
        )
        (directory / "console").write_text("\n".join([*console, ""]))
        if len(finished) < len(share.trials):
            lost = Outcome(
                trial=share.trials[len(finished)],
                verdict=Verdict.FAILED,
                seconds=time.monotonic() - began,
                reason=f"the machine ended with status {status}: {_last(console)}",
            )
            self._add(Cell(lost, directory))
            return len(finished) + 1
        return len(finished)

    def _command(self, share: Share) -> list[str]:
        return [
            *(sys.executable, "-m", "tests.system.guest"),
            *("--model", share.model.value),
            *("--udev-tree", str(self._parts.udev), "--out", str(GUEST_OUT)),
            *map(str, share.trials),
        ]

    def _results(self, directory: Path) -> list[Outcome]:
        """
        What is finished, so far.
        """
        file = directory / RESULTS
        lines = file.read_text().splitlines() if file.exists() else []
        outcomes = [Outcome.fromLine(line) for line in lines]
        return [each for each in outcomes if each.verdict is not Verdict.BEGAN]

    def _add(self, cell: Cell) -> None:
        with self._lock:
            self.cells.append(cell)
            outcome, trial = cell.outcome, cell.outcome.trial
            self._say(
                f"{outcome.verdict.value:7} {trial.contender.title:15} {trial.scenario:15} "
                f"{outcome.seconds:6.1f} s  {outcome.reason or '; '.join(outcome.remarks)}"
            )


def _last(console: list[str]) -> str:
    """
    What the machine said last.
    """
    return next((line for line in reversed(console) if line.strip()), "nothing was said")
