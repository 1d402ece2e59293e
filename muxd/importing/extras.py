# -*- test-case-name: tests.importing.test_extras -*-
"""
Extras: libraries that a part of muxd needs and that are installed for it alone.

What to do without one is said in the same words everywhere, and as a command that works for
every installation, a checkout as well as a package: it installs the libraries themselves, and
for the Python that runs.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata

PACKAGE = "muxd"


def installing(extra: str, requires: Callable[[str], Iterable[str] | None] | None = None) -> str:
    """
    What to do about an extra that is not installed.

    @param extra: Its name, as in C{setup.cfg}.
    @param requires: Tells what a package requires; it may fail with C{PackageNotFoundError}.
    """
    libraries = shlex.join(_librariesOf(extra, requires or metadata.requires))
    if not libraries:
        return f"install muxd with its extra {extra}"
    return f"install the extra {extra}: {sys.executable} -m pip install {libraries}"


@contextmanager
def needing(extra: str, subject: str) -> Iterator[None]:
    """
    Tells what to do if what is imported within it is not installed.

    @param subject: What needs the extra, as a person has typed it.
    @raise ValueError: It is not installed.
    """
    try:
        yield
    except ImportError as missing:
        raise ValueError(f"{subject}: {missing}; {installing(extra)}") from missing


def _librariesOf(extra: str, requires: Callable[[str], Iterable[str] | None]) -> list[str]:
    try:
        lines = tuple(requires(PACKAGE) or ())
    except metadata.PackageNotFoundError:
        return []
    libraries, extras = [], [extra]
    for name in extras:
        for line in lines:
            requirement, _, condition = line.partition(";")
            if f'extra == "{name}"' not in condition.replace("'", '"'):
                continue
            # An extra of ours may be within another one.
            if own := re.fullmatch(rf"{PACKAGE}\[(.*)\]", requirement.strip()):
                extras += [each for each in own[1].split(",") if each not in extras]
            else:
                libraries.append(requirement.strip())
    return libraries
