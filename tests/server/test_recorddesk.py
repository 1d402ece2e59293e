# -*- test-case-name: tests.server.test_recorddesk -*-
"""
Tests of L{muxd.server.recorddesk}.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.recorddesk import AT_ONCE, HOUR, MOST_KEPT, RecordDesk

EACH = 10


class RecordDeskTests(SynchronousTestCase):
    """
    L{RecordDesk}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.clock = Clock()
        self.desk = RecordDesk(self.clock, EACH)
        self.running: list[tuple[Hashable, Deferred[Any]]] = []

    def ask(self, owner: Hashable, name: Hashable = None) -> Deferred[Any]:
        """
        A client of some user asks.
        """

        def call() -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            self.running.append((name or owner, done))
            return done

        return self.desk.run(owner, call)

    def order(self) -> list[Hashable]:
        """
        In which order what was asked is done.
        """
        done = []
        while self.running:
            name, deferred = self.running.pop(0)
            done.append(name)
            deferred.callback(name)
        return done

    def test_atOnce(self) -> None:
        """
        Some calls are made at once, and each gives what it gives.
        """
        asked = [self.ask("a", number) for number in range(1, AT_ONCE + 3)]
        self.assertEqual(len(self.running), AT_ONCE)
        self.order()
        self.assertEqual([self.successResultOf(one) for one in asked], list(range(1, AT_ONCE + 3)))
        self.assertEqual(self.desk.waits, 2)
        self.assertEqual(self.successResultOf(self.desk.run("a", lambda: succeed(5))), 5)

    def test_turns(self) -> None:
        """
        Users have their turns one after the other, and each user's calls their order.
        """
        for number in range(1, 21):
            self.ask("a", number)
        self.ask("b")
        self.ask("c")
        self.ask("b", "b2")
        order = self.order()
        self.assertLess(order.index("c"), AT_ONCE + 3)
        self.assertLess(order.index("b2"), AT_ONCE + 5)
        self.assertEqual([one for one in order if isinstance(one, int)], list(range(1, 21)))

    def test_failures(self) -> None:
        """
        One that fails makes room for the next.
        """
        asked = [self.ask("a") for _ in range(AT_ONCE + 1)]
        self.running[0][1].errback(OSError(5, "disk"))
        self.failureResultOf(asked[0], OSError)
        self.assertEqual(len(self.running), AT_ONCE + 1)

    def test_stop(self) -> None:
        """
        What has not begun by the end fails.
        """
        asked = [self.ask("a") for _ in range(AT_ONCE + 1)]
        self.desk.stop()
        self.failureResultOf(asked[-1], OSError)
        self.order()
        self.assertEqual(len(self.running), 0)

    def stored(self, owner: Hashable, tries: int) -> int:
        """
        How many records of absent phones a user may store that tries so often.
        """
        return sum(self.desk.mayStoreAbsent(owner) for _ in range(tries))

    def test_absent(self) -> None:
        """
        A user may store so many at once, and then as many in an hour; others do not count.
        """
        self.assertEqual(self.stored("a", 50), EACH)
        self.assertEqual(self.stored("b", 5), 5)
        self.clock.advance(HOUR / 2)
        self.assertEqual(self.stored("a", 50), EACH // 2)
        self.clock.advance(100 * HOUR)
        self.assertEqual(self.stored("a", 50), EACH)

    def test_manyUsers(self) -> None:
        """
        Not more than so many are known; others have one account together, until some are forgotten.
        """
        self.assertEqual(sum(self.stored(number, 1) for number in range(MOST_KEPT)), MOST_KEPT)
        self.assertEqual(sum(self.stored(number, 1) for number in range(-50, 0)), EACH)
        self.assertLessEqual(len(self.desk._stored), MOST_KEPT + 1)
        self.assertEqual(self.stored(7, 50), EACH - 1)
        self.clock.advance(HOUR + 1)
        self.assertEqual(sum(self.stored(number, 1) for number in range(-50, 0)), 50)
