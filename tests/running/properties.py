"""
How the properties that hypothesis checks are checked here.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

HOME = Path(__file__).parent.parent.parent / ".hypothesis"
"""Of tables that take seconds to be made; no examples are kept."""

USUAL = 100
"""How many examples there are of a property that does not say how many."""

SHARE = 5
"""C{make unit} checks one example of so many."""

LEAST = 5
"""But no fewer than these, where there are as many."""


def settle(few: bool = False) -> None:
    """
    Have each run check the same examples: what holds now holds in an hour.  New
    ones are looked for by C{make fuzz}.  However long it takes, as the machine may
    be busy.

    Settings are read when a test is defined: call this before any is loaded.

    @param few: Whether to check some of the examples only, as is done after each change.
    """
    set_hypothesis_home_dir(HOME)
    settings.register_profile(
        "muxd",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=USUAL // SHARE if few else USUAL,
    )
    settings.load_profile("muxd")


def examples(count: int) -> int:
    """
    What C{max_examples} is to be for a property.

    @param count: How many there are where all are checked.
    """
    return max(min(count, LEAST), count * settings().max_examples // USUAL)
