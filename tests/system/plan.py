# -*- test-case-name: tests.system.test_scenario -*-
"""
Which scenarios run in which virtual machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.system.contenders import Contender, Model
from tests.system.scenario import Scenario

LONGEST_SHARE = 12
"""So many scenarios share a machine at most: it takes half a minute until the first one
begins, and a few machines are done sooner if none has much more to do than the others."""


@dataclass(frozen=True, slots=True)
class Share:
    """
    What one virtual machine has to do.
    """

    contender: Contender
    model: Model
    scenarios: tuple[str, ...]

    def after(self, count: int) -> Share | None:
        """
        What is left of it after the first ones.
        """
        left = self.scenarios[count:]
        return replace(self, scenarios=left) if left else None


def divide(
    scenarios: Iterable[Scenario], contenders: Iterable[Contender], model: Model
) -> list[Share]:
    """
    All that there is to do, without what means nothing.
    """
    chosen = list(scenarios)
    shares = []
    for contender in contenders:
        names = [each.name for each in chosen if each.whyNot(contender, model) is None]
        # Each n-th, as neighbours take equally long.
        count = -(-len(names) // LONGEST_SHARE)
        shares += [Share(contender, model, tuple(names[first::count])) for first in range(count)]
    return shares
