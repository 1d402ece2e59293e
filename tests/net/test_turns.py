# -*- test-case-name: tests.net.test_turns -*-
"""
Tests of L{muxd.net.turns}.
"""

from __future__ import annotations

from collections.abc import Hashable

from twisted.trial.unittest import SynchronousTestCase

from muxd.net.turns import REST, Turns
from tests.net.workingclock import WorkingClock

LENGTH = 1.0


class Work:
    """
    Work of so many pieces, each of which takes some time.
    """

    def __init__(
        self, case: TurnsTests, owner: Hashable, pieces: int = 1, each: float = 0.4
    ) -> None:
        self.owner = owner
        self.pieces = pieces
        self._each = each
        self._case = case

    def ask(self) -> None:
        """
        Work, or wait.
        """
        turns = self._case.turns
        if not turns.begin():
            turns.wait(self)
            return
        try:
            self._case.done.append(self.owner)
            self.pieces -= 1
            self._case.clock.work(self._each)
        finally:
            turns.end()
        if self.pieces:
            turns.wait(self)

    def takeTurn(self) -> None:
        """
        Go on.
        """
        self.ask()


class TurnsTests(SynchronousTestCase):
    """
    L{Turns}.
    """

    def setUp(self) -> None:
        """
        Make turns of a second.
        """
        self.clock = WorkingClock()
        self.turns = Turns(self.clock, LENGTH)
        self.done: list[Hashable] = []

    def turn(self) -> list[Hashable]:
        """
        Whose work one turn of the reactor does.
        """
        self.done = []
        self.clock.turn()
        return self.done

    def test_atOnce(self) -> None:
        """
        As long as there is time, work is done when it is asked for, and there are no timers.
        """
        for _ in range(10):
            Work(self, "a", each=0.9).ask()
            self.clock.advance(REST)
        self.assertEqual(len(self.done), 10)
        self.assertFalse(self.turns.isBusy)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_length(self) -> None:
        """
        In one turn, no more is begun when its time is used up, and the rest waits.
        """
        for _ in range(7):
            Work(self, "a").ask()
        self.assertEqual(len(self.done), 3)
        self.assertEqual(self.turns.waits, 4)
        self.assertTrue(self.turns.isBusy)
        self.assertEqual(len(self.turn()), 3)
        self.assertEqual(len(self.turn()), 1)
        self.assertFalse(self.turns.isBusy)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_owners(self) -> None:
        """
        Owners have their turns one after the other, however many workers each of them has.
        """
        for _ in range(50):
            Work(self, "a").ask()
        Work(self, "b").ask()
        Work(self, "c").ask()
        self.assertEqual(self.turn(), ["a", "b", "c"])
        self.assertEqual(self.turn(), ["a", "a", "a"])

    def test_rotation(self) -> None:
        """
        An owner whose work goes on has as much of the time as one with many workers.
        """
        for _ in range(50):
            Work(self, "a").ask()
        Work(self, "b", pieces=50).ask()
        done = [owner for _ in range(10) for owner in self.turn()]
        self.assertEqual(len(done), 30)
        self.assertTrue(14 <= done.count("b") <= 16, done)

    def test_oncePerTurn(self) -> None:
        """
        Work that goes on, and takes no time, does not keep the reactor from its other work.
        """
        Work(self, "a", pieces=3, each=0).ask()
        self.assertEqual(len(self.done), 1)
        self.assertEqual(len(self.turn()), 1)
        self.assertEqual(len(self.turn()), 1)
        self.assertEqual(self.turn(), [])

    def test_isOver(self) -> None:
        """
        Work that goes on for long is told when it has taken its time, and what others have taken
        counts.
        """
        Work(self, "a", each=0.4).ask()
        self.assertTrue(self.turns.begin())
        self.clock.work(0.5)
        self.assertFalse(self.turns.isOver())
        self.clock.work(0.2)
        self.assertTrue(self.turns.isOver())
        self.turns.end()
        self.assertFalse(self.turns.begin())

    def test_nested(self) -> None:
        """
        Work that is begun by other work counts once.
        """
        self.assertTrue(self.turns.begin())
        self.clock.work(0.4)
        self.assertTrue(self.turns.begin())
        self.clock.work(0.4)
        self.turns.end()
        self.turns.end()
        Work(self, "a").ask()
        self.assertEqual(self.done, ["a"])
        Work(self, "a").ask()
        self.assertEqual(self.done, ["a"])

    def test_forget(self) -> None:
        """
        One that waits no longer has no turn; the last one leaves no timer.
        """
        works = [Work(self, "a") for _ in range(6)]
        for each in works:
            each.ask()
        for each in works[:-1]:
            self.turns.forget(each)
            self.turns.forget(each)
        self.assertEqual(len(self.turn()), 1)
        works[0].pieces = 2
        works[0].ask()
        self.turns.forget(works[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.turns.isBusy)

    def test_raising(self) -> None:
        """
        Work that raises costs the others nothing but a turn.
        """
        works = [Work(self, "a") for _ in range(5)]
        for each in works:
            each.ask()
        self.patch(works[3], "takeTurn", lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, self.turn)
        self.assertEqual(len(self.turn()), 1)
