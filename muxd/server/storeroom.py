# -*- test-case-name: tests.server.test_storeroom -*-
"""
How much there is in the directory of pair records, and whether more may be added.

Clients may store records under any name, and a disk is shared by all.  So there is a limit to
their number, and to how long they are together, far beyond those of any farm.

The directory is not ours alone, and may be long.  It is looked through once an hour, and before
something is refused, if that was a minute ago; in between it is known what has been added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from errno import EDQUOT

LOOKED_EVERY = 3600.0
"""Seconds after which it is looked through again."""

LOOKED_AGAIN = 60.0
"""The same before something is refused."""


class StoreRoom:
    """
    What there is, and what there may be.

    @ivar count: How many files there are.
    @ivar size: How long they are together, in bytes.
    """

    def __init__(
        self,
        most: int,
        mostBytes: int,
        sizes: Callable[[], Iterable[int]],
        now: Callable[[], float],
    ) -> None:
        """
        @param sizes: Tells the length of each file.
        @param now: The time, in seconds.
        """
        self.count = 0
        self.size = 0
        self._most = most
        self._mostBytes = mostBytes
        self._sizes = sizes
        self._now = now
        self._looked: float | None = None

    def check(self, before: int | None, after: int) -> None:
        """
        See whether a file may be written.

        @param before: The length of the file that it takes the place of, if there is one.
        @param after: Its own.
        @raise OSError: EDQUOT: there is no room for it.
        """
        if self._isOlderThan(LOOKED_EVERY):
            self._look()
        if self._isFull(before, after):
            if self._isOlderThan(LOOKED_AGAIN):
                self._look()
            if self._isFull(before, after):
                raise OSError(
                    EDQUOT,
                    f"there are {self.count} pair records of {self.size} bytes, and there may be"
                    f" {self._most} of {self._mostBytes}; remove what no phone needs",
                )

    def changed(self, before: int | None, after: int | None) -> None:
        """
        A file has been written or removed.

        @param before: How long it was; None if there was none.
        @param after: How long it is; None if there is none any more.
        """
        self.count += (after is not None) - (before is not None)
        self.size += (after or 0) - (before or 0)

    def _isFull(self, before: int | None, after: int) -> bool:
        """
        One that takes the place of a longer one always has room.
        """
        growth = after - (before or 0)
        return (before is None and self.count >= self._most) or (
            growth > 0 and self.size + growth > self._mostBytes
        )

    def _isOlderThan(self, seconds: float) -> bool:
        return self._looked is None or not 0 <= self._now() - self._looked < seconds

    def _look(self) -> None:
        sizes = list(self._sizes())
        self.count, self.size = len(sizes), sum(sizes)
        self._looked = self._now()
