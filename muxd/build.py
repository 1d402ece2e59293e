# -*- test-case-name: tests.test_build -*-
"""
The two builds: the innermost modules are compiled where there was a compiler when this
was installed, and are ordinary Python everywhere else.

A module that is compiled lies beside its source or its twin in Python, and Python takes it
first.  With C{MUXD_PURE=1} in the environment it takes the other, everywhere: all of them
are compiled, or none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    PathFinder,
)
from types import ModuleType

VARIABLE = "MUXD_PURE"
"""Set to anything but 0, it chooses the pure build: when building, and when running."""


def isPureWanted(environment: Mapping[str, str]) -> bool:
    """
    Whether the environment chooses the pure build.
    """
    return environment.get(VARIABLE, "0") not in ("", "0")


class SourceFinder:
    """
    Finds the sources of modules of ours of which there is compiled code, too.
    """

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """
        See C{importlib.abc.MetaPathFinder}.
        """
        if path is None or not name.startswith("muxd."):
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None or not isinstance(found.loader, ExtensionFileLoader):
            return None
        from importlib.util import spec_from_file_location

        directory = os.path.dirname(found.loader.path)
        source = os.path.join(directory, f"{name.rpartition('.')[2]}.py")
        return spec_from_file_location(name, source)


def choose(environment: Mapping[str, str] = os.environ) -> None:
    """
    Have all imports of ours that come later take what the environment chooses.
    """
    if isPureWanted(environment) and SourceFinder not in sys.meta_path:
        sys.meta_path.insert(0, SourceFinder)


def staleModules(directory: str) -> list[str]:
    """
    List compiled code in a source tree that is older than what it was made of, or missing
    although there is other.

    @param directory: Where the package C{muxd} is.
    """
    stale, missing, isCompiled = [], [], False
    for place, _, files in os.walk(directory):
        for name in files:
            module, _, suffix = name.partition(".")
            if suffix == "pxd" and module + EXTENSION_SUFFIXES[0] not in files:
                missing.append(os.path.join(place, module + EXTENSION_SUFFIXES[0]))
            if f".{suffix}" not in EXTENSION_SUFFIXES:
                continue
            isCompiled = True
            made = os.path.getmtime(os.path.join(place, name))
            kinds = (".pyx", ".pxd") if f"{module}.pyx" in files else (".py", ".pxd")
            sources = [
                os.path.join(place, module + kind) for kind in kinds if module + kind in files
            ]
            if any(os.path.getmtime(source) > made for source in sources):
                stale.append(os.path.join(place, name))
    return sorted(stale + missing if isCompiled else stale)


def description() -> str:
    """
    What is running: C{"compiled"} or C{"pure"}.
    """
    from muxd.usb.asynchronous import transfers

    return transfers.BUILD
