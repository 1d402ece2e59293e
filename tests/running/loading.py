"""
Loading of tests by name.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from twisted.trial.runner import TestLoader

from tests.running.registries import keepRegistries


def cases(suite: Any) -> Iterator[Any]:
    """
    All tests of a suite.
    """
    try:
        parts = iter(suite)
    except TypeError:
        yield suite
    else:
        yield from itertools.chain.from_iterable(map(cases, parts))


def load(names: Sequence[str]) -> list[Any]:
    """
    All tests that have these names, or are in packages, modules or classes that have: what
    cannot be loaded is a test that fails.

    No garbage collection looks at what was imported: that is twenty times as much as what a
    test makes, and stays.
    """
    keepRegistries()
    gc.disable()
    tests = list(cases(TestLoader().loadByNames(list(names), recurse=True)))
    gc.collect()
    gc.freeze()
    gc.enable()
    return tests
