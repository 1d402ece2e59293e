"""
The registries in which Python keeps, for each module, which warnings it has given already.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from twisted.trial import _synctest


def _leave(modules: Mapping[str, ModuleType]) -> None:
    """
    Have none forgotten.
    """


def keepRegistries() -> None:
    """
    Have trial forget no registry before each test: with 2,000 modules that takes as long as
    the rest of what it does for a small one.  It does so to be told of each warning again,
    and then changes the filters, which is enough for Python to disregard all registries.
    """
    if hasattr(_synctest, "_setWarningRegistryToNone"):
        _synctest._setWarningRegistryToNone = _leave
