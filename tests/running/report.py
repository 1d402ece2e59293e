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
    """

    def __init__(self, expected: Iterable[str], stream: TextIO) -> None:
        self.expected = list(expected)
        self.outcomes: list[Outcome] = []
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

    def finish(self) -> bool:
        """
        No more will be run.  Those that should have been are failures.

        @return: Whether nothing has failed.
        """
        ended = Counter(outcome.test for outcome in self.outcomes)
        for test in (Counter(self.expected) - ended).elements():
            self.add(Outcome(test, Verdict.FAILED, reason="it was not run\n"))
        failed = [outcome for outcome in self.outcomes if outcome.verdict is Verdict.FAILED]
        for outcome in failed:
            self._print(f"{'=' * 79}\n{outcome.test}\n{outcome.reason}{outcome.output}")
        slowest = sorted(self.outcomes, key=lambda outcome: -outcome.seconds)[:SLOWEST]
        self._print(f"{'-' * 79}\nThe slowest:")
        for outcome in slowest:
            self._print(f"{outcome.seconds:8.2f} s  {outcome.test}")
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
