# -*- test-case-name: tests.importing.test_faces -*-
"""
Packages whose public names come from the modules below them, imported when they are
first asked for (PEP 562).

Every program that looks for any Twisted plugin imports C{muxd} and C{muxd.client}, and
the blocking client does without Twisted: so neither may import anything else to show
what is public.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazyFace(
    package: str, homes: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    The C{__getattr__} and C{__dir__} of a package that shows names of other modules::

        __getattr__, __dir__ = lazyFace(__name__, {"muxd.service": ("MuxService",)})

    A name that has been asked for once is an attribute of the package from then on.
    Type checkers see nothing of this: the package imports the same names C{if
    TYPE_CHECKING}, and lists them in C{__all__}.

    @param package: The package's name.
    @param homes: The names to show, by the module that each is defined in.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        module = home.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return get, names
