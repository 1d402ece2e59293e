# -*- test-case-name: tests.system.test_scenario -*-
"""
Which scenarios run in which virtual machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.system.contenders import Contender, Model
from tests.system.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One scenario with one daemon.
    """

    contender: Contender
    scenario: str

    def __str__(self) -> str:
        """
        How it is written on a command line, and as the name of a directory.
        """
        return f"{self.contender.value}:{self.scenario}"

    @classmethod
    def fromString(cls, text: str) -> Trial:
        """
        The same back.
        """
        contender, _, scenario = text.partition(":")
        return cls(Contender(contender), scenario)


@dataclass(frozen=True, slots=True)
class Share:
    """
    What one virtual machine has to do.
    """

    model: Model
    trials: tuple[Trial, ...]

    def after(self, count: int) -> Share | None:
        """
        What is left of it after the first ones.
        """
        left = self.trials[count:]
        return replace(self, trials=left) if left else None


def divide(
    scenarios: Iterable[Scenario], contenders: Iterable[Contender], model: Model, machines: int
) -> list[Share]:
    """
    All that there is to do, without what means nothing: as much for each machine, as it
    takes half a minute until the first one begins.
    """
    daemons = list(contenders)
    trials = [
        Trial(contender, each.name)
        for each in scenarios
        for contender in daemons
        if each.whyNot(contender, model) is None
    ]
    # Neighbours take equally long.
    return [
        Share(model, tuple(trials[first::machines])) for first in range(machines) if trials[first:]
    ]
