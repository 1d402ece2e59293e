# -*- test-case-name: tests.phone.examine.test_report -*-
"""
What an examination finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Violated(Exception):
    """
    The daemon does something else than the protocol has it.  The text says what was expected,
    and what came.
    """


class NotExamined(Exception):
    """
    This cannot be looked at here; the text says why.
    """


class Outcome(Enum):
    """
    How a check ends.
    """

    PASSED = "passed"
    VIOLATED = "violated"
    NOT_EXAMINED = "not examined"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What came of a check.

    @ivar detail: What is wrong, or why it was not examined.
    @ivar packets: The last ones.
    """

    edges: tuple[int, ...]
    title: str
    outcome: Outcome
    detail: str = ""
    packets: tuple[str, ...] = ()


def counted(findings: Iterable[Finding]) -> dict[Outcome, int]:
    """
    How many checks ended in which way.
    """
    outcomes = [finding.outcome for finding in findings]
    return {outcome: outcomes.count(outcome) for outcome in Outcome}


def require(isSo: object, expected: str) -> None:
    """
    Go on if something is so.

    @param expected: What was expected, and what came.
    @raise Violated: It is not.
    """
    if not isSo:
        raise Violated(expected)
