# -*- test-case-name: tests.system.test_scenario -*-
"""
What a scenario is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.system.contenders import Contender, Model

if TYPE_CHECKING:
    from tests.system.guest.stage import Stage

PATIENCE = 1200.0
"""Seconds until a scenario is given up, on a machine that is emulated and shared."""


_MARKUP = re.compile(r"[A-Z]\{([^}]*)\}")


class Failed(Exception):
    """
    Something did not happen; the text says what was expected, and what came.
    """


class Udev(Enum):
    """
    What tells libusb of devices that come and go.

    C{NOBODY}, as in a container; C{REPEATER}, a program of a page that repeats what the
    kernel says; C{DAEMON}, the real udevd with the rules of Debian.
    """

    NOBODY = "nobody"
    REPEATER = "repeater"
    DAEMON = "udevd"


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    @ivar name: Its row in the table.
    @ivar shows: What is true if it passes.
    @ivar run: Does it.
    @ivar udev: What to run it with.
    @ivar exempt: For whom it means nothing, and why.
    @ivar models: The phones that can do it.
    """

    name: str
    shows: str
    run: Callable[[Stage], None]
    udev: Udev = Udev.REPEATER
    exempt: Mapping[Contender, str] = field(default_factory=dict)
    models: frozenset[Model] = frozenset(Model)

    def whyNot(self, contender: Contender, model: Model) -> str | None:
        """
        Why it is not to be run with these; C{None} if it is.
        """
        if contender in self.exempt:
            return self.exempt[contender]
        if model not in self.models:
            return f"the {model.value} phone cannot do it"
        return None


class Catalogue:
    """
    Scenarios, in the order in which they were written down.
    """

    def __init__(self) -> None:
        self._scenarios: list[Scenario] = []

    @classmethod
    def joined(cls, *catalogues: Catalogue) -> Catalogue:
        """
        Several as one.
        """
        joined = cls()
        for catalogue in catalogues:
            for each in catalogue.matching():
                joined._add(each)
        return joined

    def scenario(
        self,
        name: str,
        *,
        udev: Udev = Udev.REPEATER,
        exempt: Mapping[Contender, str] | None = None,
        models: Iterable[Model] = Model,
    ) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
        """
        A decorator: its function is a scenario, and the first paragraph of the
        docstring says what that shows.
        """

        def add(run: Callable[[Stage], None]) -> Callable[[Stage], None]:
            paragraph = (run.__doc__ or "").strip().split("\n\n")[0]
            shows = _MARKUP.sub(r"\1", " ".join(paragraph.split()))
            if not shows:
                raise ValueError(f"{name}: say in its docstring what it shows")
            self._add(Scenario(name, shows, run, udev, exempt or {}, frozenset(models)))
            return run

        return add

    def _add(self, scenario: Scenario) -> None:
        if scenario.name in [each.name for each in self._scenarios]:
            raise ValueError(f"there are two scenarios {scenario.name}")
        self._scenarios.append(scenario)

    def matching(self, patterns: Iterable[str] = ()) -> list[Scenario]:
        """
        Those that fit one of these patterns, as of file names; all without any.
        """
        wanted = list(patterns) or ["*"]
        return [
            each
            for each in self._scenarios
            if any(fnmatchcase(each.name, pattern) for pattern in wanted)
        ]
