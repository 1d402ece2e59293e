"""
Tests, run in this process by trial until one fails.
"""

from __future__ import annotations

import itertools
import select
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.trial.runner import TestLoader, TrialRunner

from tests.running.batches import Batches
from tests.running.outcome import Outcome, Verdict
from tests.running.recorder import recording


@dataclass(frozen=True, slots=True)
class Watch:
    """
    What is told about tests that run.

    @ivar started: Called with a test's id.
    @ivar ended: Called with a test's id, and whether it has passed.
    """

    started: Callable[[str], None] = lambda test: None
    ended: Callable[[str, bool], None] = lambda test, passed: None


def settled() -> None:
    """
    Import what takes long and is not ours, and settle how the tests run here.
    """
    import hypothesis
    from hypothesis import stateful
    from twisted.trial import util

    from tests.running.properties import settle

    settle()
    assert stateful
    # A failure is enough: it need not become small.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutation", parent=hypothesis.settings.get_profile("muxd"), phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    util.DEFAULT_TIMEOUT_DURATION = 20.0


def renewReactor() -> None:
    """
    Have the reactor watch by itself what it watches, in a fork of a process that does, too:
    what an epoll descriptor is told is told to all who have it.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    if hasattr(reactor, "_poller") and hasattr(select, "epoll"):
        other = select.epoll()
        for descriptor in reactor._reads:
            other.register(descriptor, select.EPOLLIN)
        reactor._poller.close()
        reactor._poller = other


def load(names: list[str]) -> dict[str, Any]:
    """
    All tests in modules that are not marked as starting processes or taking seconds, by
    their ids.
    """
    # These import packages that a mutant's import has to come before.
    from tests.running.loading import cases
    from tests.running.unit import isUnit

    found = cases(TestLoader().loadByNames(names, recurse=True))
    return {test.id(): test for test in found if isUnit(test.id())}


def run(tests: list[Any], watch: Watch, exitFirst: bool = False) -> None:
    """
    Run them.

    @param exitFirst: Whether to run no more once a test has failed.
    """

    def ended(outcome: Outcome) -> None:
        watch.ended(outcome.test, outcome.verdict is not Verdict.FAILED)

    renewReactor()
    with tempfile.TemporaryDirectory(prefix="trial-") as directory:
        runner = TrialRunner(
            recording(watch.started, ended),
            workingDirectory=str(Path(directory, "trial")),
            exitFirst=exitFirst,
        )
        runner.run(Batches(list(batch) for _, batch in itertools.groupby(tests, key=type)))
