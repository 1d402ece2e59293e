"""
Tests that are run one class after the other, and what the tests of a class share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unittest import TestSuite

from twisted.python.failure import Failure
from twisted.trial.itrial import ITestCase
from twisted.trial.runner import TestHolder
from twisted.trial.unittest import decorate


class Shared:
    """
    What a class of tests has made for all of its tests, until the last of them
    has been run.
    """

    def __init__(self) -> None:
        self._things: dict[str, tuple[Any, Callable[[], object]]] = {}

    def get(self, name: str, make: Callable[[], tuple[Any, Callable[[], object]]]) -> Any:
        """
        Get a thing, which is made if it is not there.

        @param name: The thing's; an error of its end is reported by this name.
        @param make: Returns the thing, and what ends it.
        """
        if name not in self._things:
            self._things[name] = make()
        return self._things[name][0]

    def end(self, result: Any) -> None:
        """
        The tests of a class have been run: end all things.

        @param result: Told of errors.
        """
        while self._things:
            name, (_, end) = self._things.popitem()
            try:
                end()
            except Exception:
                result.addError(TestHolder(name), Failure())


SHARED = Shared()
"""Those of this process."""


class Batches(TestSuite):
    """
    Tests in batches.
    """

    def __init__(self, batches: Iterable[Iterable[Any]], shared: Shared = SHARED) -> None:
        """
        @param batches: Taken when their turn comes, as are the tests in them.
        @param shared: What ends with each batch.
        """
        super().__init__()
        self._batches = batches
        self._shared = shared

    def run(self, result: Any, debug: bool = False) -> Any:
        """
        Run them all.
        """
        for batch in self._batches:
            for test in batch:
                if not result.shouldStop:
                    decorate(test, ITestCase).run(result)
            self._shared.end(result)
        return result
