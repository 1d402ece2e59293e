"""
Tests that are run in this process.
"""

from __future__ import annotations

import faulthandler
import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.trial.runner import TrialRunner

from tests.running.batches import Batches
from tests.running.outcome import Outcome
from tests.running.recorder import recording


def runHere(tests: Iterable[Any], ended: Callable[[Outcome], None], deadline: float) -> None:
    """
    Run tests in this process.

    @param ended: Called with each outcome.
    @param deadline: Seconds that a test may take; then this process ends, and says what it is
        doing.
    """

    def started(test: str) -> None:
        # A test without a reactor has no timeout of its own.
        faulthandler.dump_traceback_later(deadline, exit=True)

    with tempfile.TemporaryDirectory(prefix="trial-") as directory:
        TrialRunner(
            recording(started, ended),
            workingDirectory=str(Path(directory, "trial")),
            uncleanWarnings=False,
        ).run(Batches(list(batch) for _, batch in itertools.groupby(tests, key=type)))
    faulthandler.cancel_dump_traceback_later()
