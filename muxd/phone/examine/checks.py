# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
What an examination looks at: functions that are given a stage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from muxd.phone.examine.stage import Stage


@dataclass(frozen=True, slots=True)
class Check:
    """
    One thing that is looked at.

    @ivar edges: The numbers of the sharp edges that it is about (protocol 9).
    @ivar title: What is expected.
    @ivar run: Looks; raises L{Violated} or L{NotExamined}.
    @ivar isLong: It takes minutes.
    """

    edges: tuple[int, ...]
    title: str
    run: Callable[[Stage], Awaitable[None]]
    isLong: bool = False


@dataclass(slots=True)
class Checks:
    """
    A list of checks, in the order in which they are made.
    """

    all: list[Check] = field(default_factory=list)

    def about(
        self, *edges: int, isLong: bool = False
    ) -> Callable[[Callable[[Stage], Awaitable[None]]], Callable[[Stage], Awaitable[None]]]:
        """
        Add a function whose docstring says what is expected.
        """

        def add(run: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
            title = " ".join((run.__doc__ or "").split()).rstrip(".")
            self.all.append(Check(edges, title, run, isLong))
            return run

        return add
