"""
How the properties that hypothesis checks are checked here.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

HOME = Path(__file__).parent.parent.parent / ".hypothesis"
"""Of tables that take seconds to be made; no examples are kept."""


def settle() -> None:
    """
    Have each run check the same examples: what holds now holds in an hour.  New
    ones are looked for by C{make fuzz}.  However long it takes, as the machine may
    be busy.

    Settings are read when a test is defined: call this before any is loaded.
    """
    set_hypothesis_home_dir(HOME)
    settings.register_profile(
        "muxd",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("muxd")
