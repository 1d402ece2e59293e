# -*- test-case-name: tests.fleet.test_race -*-
"""
Tests of L{muxd.fleet.race}.
"""

from __future__ import annotations

from threading import Event
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.race import Race

LONG = 600.0
"""Seconds that no test takes: what ends in that time does not by it."""


class RaceTests(SynchronousTestCase):
    """
    Tests of attempts at places, in threads.

    @ivar results: What comes of each; it fails with what is an exception.
    @ivar silent: Those of which nothing is heard until this is set.
    @ivar discarded: What was not wanted any more.
    """

    def setUp(self) -> None:
        """
        Nothing is tried yet.
        """
        self.tried: list[str] = []
        self.failed: list[str] = []
        self.results: dict[str, Any] = {}
        self.silent: dict[str, Event] = {}
        self.discarded: list[Any] = []
        self.isDiscarded = Event()

    def attempt(self, place: str) -> Any:
        """
        Try a place.
        """
        self.tried.append(place)
        if place in self.silent:
            self.silent[place].wait(LONG)
        result = self.results[place]
        if isinstance(result, Exception):
            raise result
        return result

    def discard(self, result: Any) -> None:
        """
        This is not wanted any more.
        """
        self.discarded.append(result)
        self.isDiscarded.set()

    def run_(self, places: str, apart: float = LONG) -> tuple[str, Any]:
        """
        Try these.
        """
        race: Race[str, Any] = Race(self.attempt, apart, self.failed.append, self.discard)
        return race.run(places, ConnectionError)

    def test_first(self) -> None:
        """
        The first one succeeds: no other is tried.
        """
        self.results["a"] = 1
        self.assertEqual(self.run_("ab"), ("a", 1))
        self.assertEqual((self.tried, self.failed, self.discarded), (["a"], [], []))

    def test_fails(self) -> None:
        """
        When one fails, the next is tried at once; the last says why all have.
        """
        self.results.update(a=ConnectionError("a"), b=2)
        self.assertEqual(self.run_("ab"), ("b", 2))
        self.assertEqual((self.tried, self.failed), (["a", "b"], ["a"]))
        self.results["b"] = ConnectionError("b")
        error = self.assertRaises(ConnectionError, self.run_, "ab")
        self.assertEqual(str(error), "b")

    def test_beside(self) -> None:
        """
        The next one is tried beside one of which nothing is heard; what comes of that is discarded.
        """
        self.silent["a"] = Event()
        self.addCleanup(self.silent["a"].set)
        self.results.update(a=1, b=2)
        self.assertEqual(self.run_("ab", 0.0), ("b", 2))
        self.assertEqual((self.failed, self.discarded), ([], []))
        self.silent["a"].set()
        self.assertTrue(self.isDiscarded.wait(LONG))
        self.assertEqual(self.discarded, [1])

    def test_lastIsWaitedFor(self) -> None:
        """
        As long as nothing is heard of one, it may succeed, also if all others have failed.
        """
        self.silent["a"] = Event()
        self.addCleanup(self.silent["a"].set)
        self.results.update(a=1, b=ConnectionError("b"))
        self.failed = _Setting(self.silent["a"])
        self.assertEqual(self.run_("ab", 0.0), ("a", 1))
        self.assertEqual(list(self.failed), ["b"])

    def test_otherError(self) -> None:
        """
        What is no failure of a place ends it.
        """
        self.results.update(a=ValueError("a"), b=2)
        self.assertRaises(ValueError, self.run_, "ab")
        self.assertEqual(self.tried, ["a"])


class _Setting(list[str]):
    """
    A list that sets an event when something is appended.
    """

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    def append(self, place: str) -> None:
        super().append(place)
        self._event.set()
