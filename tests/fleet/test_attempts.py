# -*- test-case-name: tests.fleet.test_attempts -*-
"""
Tests of L{muxd.fleet.attempts}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.attempts import Attempts


class AttemptsTests(SynchronousTestCase):
    """
    Tests of attempts at three places, a second apart.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        self.clock = Clock()
        self.failed: list[str] = []
        self.cancelled: list[str] = []
        self.trying: dict[str, Deferred[int]] = {}
        self.result = self.begin("abc")

    def tearDown(self) -> None:
        """
        Nothing is left to be done later.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def begin(self, places: str) -> Deferred[tuple[str, int]]:
        """
        Begin with these.
        """

        def attempt(place: str) -> Deferred[int]:
            self.trying[place] = Deferred(lambda _: self.cancelled.append(place))
            return self.trying[place]

        return Attempts(self.clock, places, attempt, 1.0, self.failed.append).start()

    def test_first(self) -> None:
        """
        The first one succeeds: no other is tried.
        """
        self.trying["a"].callback(1)
        self.assertEqual(self.successResultOf(self.result), ("a", 1))
        self.assertEqual((list(self.trying), self.failed, self.cancelled), (["a"], [], []))

    def test_fails(self) -> None:
        """
        When one fails, the next is tried at once; the last says why all have.
        """
        for number, place in enumerate("abc"):
            self.assertEqual(list(self.trying), list("abc")[: number + 1])
            self.trying[place].errback(ValueError(place))
        error = self.failureResultOf(self.result, ValueError).value
        self.assertEqual((str(error), self.failed, self.cancelled), ("c", ["a", "b", "c"], []))

    def test_silent(self) -> None:
        """
        Where one says nothing, the next is tried beside it; the first that succeeds is it, and
        the others are cancelled, which is no failure of theirs.
        """
        for _ in range(2):
            self.clock.advance(1)
        self.assertEqual(list(self.trying), ["a", "b", "c"])
        self.trying["b"].callback(2)
        self.assertEqual(self.successResultOf(self.result), ("b", 2))
        self.assertEqual((self.failed, self.cancelled), ([], ["a", "c"]))

    def test_waitsForAll(self) -> None:
        """
        One that says nothing for long may succeed after all others have failed.
        """
        self.clock.advance(1)
        for place in "bc":
            self.trying[place].errback(ValueError(place))
        self.assertNoResult(self.result)
        self.trying["a"].callback(1)
        self.assertEqual(self.successResultOf(self.result), ("a", 1))
        self.assertEqual(self.failed, ["b", "c"])

    def test_apart(self) -> None:
        """
        The time until the next begins with the last that was tried.
        """
        self.clock.advance(0.9)
        self.trying["a"].errback(ValueError())
        self.clock.advance(0.9)
        self.assertEqual(list(self.trying), ["a", "b"])
        self.clock.advance(0.1)
        self.assertEqual(list(self.trying), ["a", "b", "c"])
        self.trying["c"].callback(3)
        self.assertEqual(self.successResultOf(self.result), ("c", 3))

    def test_atOnce(self) -> None:
        """
        What has succeeded or failed by the time that it is looked at.
        """
        self.trying["a"].callback(1)

        def attempt(place: str) -> Deferred[int]:
            if place == "a":
                raise ValueError(place)
            return succeed(7)

        begun = Attempts(self.clock, "ab", attempt, 1.0, self.failed.append).start()
        self.assertEqual(self.successResultOf(begun), ("b", 7))
        self.assertEqual(self.failed, ["a"])

    def test_cancelled(self) -> None:
        """
        All are cancelled when none is wanted any more.
        """
        self.clock.advance(1)
        self.result.cancel()
        self.failureResultOf(self.result, CancelledError)
        self.assertEqual((self.failed, self.cancelled), ([], ["a", "b"]))
