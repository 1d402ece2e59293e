"""
What is printed of the tests that are run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from tests.running.outcome import Outcome, Verdict, count

SLOWEST = 20
"""So many of the slowest tests are named."""


class Report:
    """
    All outcomes, and what is printed of them: a line for each test, then what is
    to be known of those that have failed, and the slowest.

    @ivar expected: The ids of the tests that were loaded.
    @ivar outcomes: What has come of them so far.
    @ivar unsteady: What came first of the tests that have passed when they were tried again.
    """

    def __init__(self, expected: Iterable[str], stream: TextIO) -> None:
        self.expected = list(expected)
        self.outcomes: list[Outcome] = []
        self.unsteady: list[Outcome] = []
        self._stream = stream

    def add(self, outcome: Outcome) -> None:
        """
        A test has ended.
        """
        self.outcomes.append(outcome)
        self._print(f"{outcome.test} ... {outcome.verdict.value} {outcome.seconds:.2f} s")
        # What a test that has passed says is a warning that nobody has expected.
        for text in (outcome.reason, outcome.output):
            if text:
                self._print(text.rstrip("\n"))

    def addAgain(self, outcome: Outcome) -> None:
        """
        A test that had failed was tried once more: what counts is what has come of it now.
        What came first is told at the end all the same.
        """
        for first in (each for each in self.failed() if each.test == outcome.test):
            self.outcomes.remove(first)
            if outcome.verdict is not Verdict.FAILED:
                self.unsteady.append(first)
        self.add(outcome)

    def failed(self) -> list[Outcome]:
        """
        What counts as failed so far.
        """
        return [outcome for outcome in self.outcomes if outcome.verdict is Verdict.FAILED]

    def finish(self) -> bool:
        """
        No more will be run.  Those that should have been are failures.

        @return: Whether nothing has failed.
        """
        ended = Counter(outcome.test for outcome in self.outcomes)
        for test in (Counter(self.expected) - ended).elements():
            self.add(Outcome(test, Verdict.FAILED, reason="it was not run\n"))
        failed = self.failed()
        for outcome in [*self.unsteady, *failed]:
            self._print(f"{'=' * 79}\n{outcome.test}\n{outcome.reason}{outcome.output}")
        slowest = sorted(self.outcomes, key=lambda outcome: -outcome.seconds)[:SLOWEST]
        self._print(f"{'-' * 79}\nThe slowest:")
        for outcome in slowest:
            self._print(f"{outcome.seconds:8.2f} s  {outcome.test}")
        for outcome in self.unsteady:
            self._print(f"passed at a second try: {outcome.test}")
        for outcome in failed:
            self._print(f"failed: {outcome.test}")
        return not failed

    @property
    def summary(self) -> str:
        """
        The closing line.
        """
        return count(self.outcomes)

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
