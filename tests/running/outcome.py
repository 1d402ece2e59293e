"""
The outcome of one test, as a worker tells it.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass


class Verdict(enum.Enum):
    """
    What counts of a test: an expected failure has passed, an unexpected success
    has failed.
    """

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """
    What came of one test.

    @ivar test: Its id.
    @ivar seconds: How long it took.
    @ivar reason: Tracebacks and warnings, or why it was skipped.
    @ivar output: What was written to the standard output and error meanwhile,
        where these are read; by the test, and by processes that it started.
    """

    test: str
    verdict: Verdict
    seconds: float = 0.0
    reason: str = ""
    output: str = ""

    def toJSON(self) -> str:
        """
        This outcome in one line.
        """
        return json.dumps({**asdict(self), "verdict": self.verdict.value})

    @classmethod
    def fromJSON(cls, line: str) -> Outcome:
        """
        The outcome that is in a line.
        """
        fields = json.loads(line)
        return cls(**{**fields, "verdict": Verdict(fields["verdict"])})


def count(outcomes: Iterable[Outcome]) -> str:
    """
    The closing line.
    """
    verdicts = [outcome.verdict for outcome in outcomes]
    return ", ".join(f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict)
