# -*- test-case-name: tests.system.test_campaign -*-
"""
What has become of a scenario: lines of a file that the guest appends to and the
host reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from tests.system.plan import Trial


class Verdict(Enum):
    """
    C{BEGAN} is what stays when the machine ended in the middle.
    """

    BEGAN = "began"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    @ivar seconds: What it took.
    @ivar reason: Why it failed or was skipped; one line.
    @ivar remarks: What was seen on the way that is worth a line.
    """

    trial: Trial
    verdict: Verdict
    seconds: float = 0.0
    reason: str = ""
    remarks: tuple[str, ...] = ()

    def toLine(self) -> str:
        """
        One line, without its end.
        """
        values = {
            "trial": str(self.trial),
            "verdict": self.verdict.value,
            "seconds": self.seconds,
            "reason": self.reason,
            "remarks": self.remarks,
        }
        return json.dumps(values)

    @classmethod
    def fromLine(cls, line: str) -> Outcome:
        """
        The same back.

        @raise ValueError: It is no such line.
        """
        try:
            values = json.loads(line)
            return cls(
                trial=Trial.fromString(values["trial"]),
                verdict=Verdict(values["verdict"]),
                seconds=values["seconds"],
                reason=values["reason"],
                remarks=tuple(values["remarks"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected an outcome, got {line!r}") from error
