# -*- test-case-name: tests.fleet.test_deadlines -*-
"""
When which of many things is due, where most are put off again and again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SLACK = 64
"""Entries that may be out of date before the rest is counted."""


class Deadlines(Generic[K]):
    """
    Deadlines of things, in order.
    """

    def __init__(self) -> None:
        self._when: dict[K, float] = {}
        # Also with what has been put off or taken out since.
        self._heap: list[tuple[float, int, K]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._when)

    def set(self, key: K, when: float) -> None:
        """
        Something is due at a time, whenever it was due before.
        """
        self._when[key] = when
        heappush(self._heap, (when, next(self._number), key))
        if len(self._heap) > 2 * len(self._when) + SLACK:
            self._heap = [(at, next(self._number), each) for each, at in self._when.items()]
            heapify(self._heap)

    def discard(self, key: K) -> None:
        """
        It is not due any more.  Harmless if it was not.
        """
        self._when.pop(key, None)

    def of(self, key: K) -> float:
        """
        When something is due.
        """
        return self._when[key]

    @property
    def first(self) -> float | None:
        """
        The earliest of all; None if there is none.
        """
        self._tidy()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[K]:
        """
        What is due, the earliest first.  It is then no longer.
        """
        while (first := self.first) is not None and first <= now:
            _, _, key = heappop(self._heap)
            del self._when[key]
            yield key

    def _tidy(self) -> None:
        while self._heap and self._when.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
