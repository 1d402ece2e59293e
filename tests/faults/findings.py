"""
What comes of many explorations, and what they leave behind.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from twisted.logger import ILogObserver, globalLogBeginner

from tests.faults.exploration import Exploration, logged
from tests.faults.scenarios import Outcome

SLACK = 5
"""Objects of a class that caches may keep."""

OURS = ("muxd.", "tests.faults.")


def census() -> dict[str, int]:
    """
    How many objects of ours there are, by class.
    """
    gc.collect()
    counts: dict[str, int] = {}
    for each in gc.get_objects():
        kind = type(each)
        if str(kind.__module__).startswith(OURS):
            name = f"{kind.__module__}.{kind.__qualname__}"
            counts[name] = counts.get(name, 0) + 1
    return counts


@dataclass(slots=True)
class Findings:
    """
    What has become of many scenarios.

    @ivar wrong: An account of each that went wrong.
    @ivar strikes: How often each kind of fault has happened.
    @ivar ends: How it ended for the clients of the phones with faults.
    """

    scenarios: int = 0
    steps: int = 0
    wrong: list[str] = field(default_factory=list)
    strikes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: Outcome) -> bool:
        """
        Count one, of which nothing is kept.

        @return: Whether it went wrong.
        """
        self.scenarios += 1
        self.steps += outcome.steps
        self.strikes.update(each.kind.value for each in outcome.strikes)
        self.ends.update(end.value for end in outcome.ends)
        if outcome.wrong:
            self.wrong.append(str(outcome))
        return bool(outcome.wrong)

    def add(self, other: Findings) -> None:
        """
        Put two together.
        """
        self.scenarios += other.scenarios
        self.steps += other.steps
        self.wrong += other.wrong
        self.strikes += other.strikes
        self.ends += other.ends

    def __str__(self) -> str:
        def text(counter: Counter[str]) -> str:
            return ", ".join(f"{count} {name}" for name, count in counter.most_common())

        return (
            f"{self.scenarios} plans, {self.steps} steps, "
            f"{sum(self.strikes.values())} faults ({text(self.strikes)}), "
            f"clients of phones with faults: {text(self.ends)}"
        )


def explore(seeds: range) -> Findings:
    """
    Run the scenarios of some seeds, and see that no object of them is left.

    The garbage collector is run once, at the end: it would take half of the time, and an
    error that only it finds (in a Deferred that nobody has asked) is told then.
    """
    findings = Findings()
    before = census()
    gc.disable()
    try:
        with logged() as errors:
            for seed in seeds:
                if findings.count(Exploration(seed).run()):
                    errors.clear()
            after = census()
        if errors:
            findings.wrong.append(f"in {seeds}, when the garbage was collected: {errors}")
    finally:
        gc.enable()
    left = {name: count for name, count in after.items() if count > before.get(name, 0) + SLACK}
    if left:
        findings.wrong.append(f"after {seeds}, objects are left: {left}")
    return findings


def beginLogging() -> None:
    """
    Drop what is logged; before that, the last of it would be kept.
    """
    observer = cast("ILogObserver", lambda event: None)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
