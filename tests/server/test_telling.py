# -*- test-case-name: tests.server.test_telling -*-
"""
Tests of L{muxd.server.telling}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.net.turns import Turns
from muxd.server.telling import AT_ONCE, MOST_WAITING, Addressees, Teller
from tests.net.workingclock import WorkingClock

COST = 0.01
"""Of telling one listener, in seconds."""

LENGTH = 1.0
IN_A_TURN = round(LENGTH / COST)
MANY = 5 * IN_A_TURN


class Listener:
    """
    One that remembers what it was told.
    """

    def __init__(self, clock: WorkingClock, number: int) -> None:
        self.number = number
        self.version = number % 2
        self.heard: list[bytes] = []
        self.error: Exception | None = None
        self._clock = clock

    def sendEvent(self, event: bytes) -> None:
        """
        Remember it, which takes time.
        """
        self._clock.work(COST)
        if self.error is not None:
            raise self.error
        self.heard.append(event)


class TellerTests(SynchronousTestCase):
    """
    L{Teller}.
    """

    def setUp(self) -> None:
        """
        Make many listeners.
        """
        self.clock = WorkingClock()
        self.turns = Turns(self.clock, LENGTH)
        self.teller = Teller(self.turns)
        self.listeners = [Listener(self.clock, number) for number in range(MANY)]
        self.numbers = {one: 10 * one.number for one in self.listeners}
        self.present = set(self.listeners)
        self.encoded: list[tuple[str, int]] = []

    def tell(self, name: str, count: int = MANY) -> None:
        """
        Something happens.
        """

        def encoded(version: int) -> bytes:
            self.encoded.append((name, version))
            return f"{name}{version}".encode()

        self.teller.tell(Addressees(self.listeners[:count], self.numbers), self.present, encoded)

    def told(self) -> int:
        """
        How much was told.
        """
        return sum(len(one.heard) for one in self.listeners)

    def test_few(self) -> None:
        """
        A few are told at once.
        """
        self.tell("a", 10)
        self.assertEqual((self.told(), len(self.teller)), (10, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """
        Of many, some are told in each turn; the event is in memory once for each format.
        """
        self.tell("a")
        turns = 1
        while len(self.teller):
            before = self.told()
            self.clock.turn()
            turns += 1
            self.assertLess(self.told() - before, IN_A_TURN + AT_ONCE)
        self.assertEqual(self.told(), MANY)
        self.assertLessEqual(turns, 6)
        self.assertEqual(len(self.encoded), 2)
        self.assertEqual(len({id(one.heard[0]) for one in self.listeners}), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_order(self) -> None:
        """
        Each hears of all events in their order.
        """
        for name in "abc":
            self.tell(name)
            self.clock.turn()
        self.tell("d", 1)
        while len(self.teller):
            self.clock.turn()
        for one in self.listeners:
            names = b"".join(event[:1] for event in one.heard)
            self.assertEqual(names, b"abcd" if one.number == 0 else b"abc")

    def test_gone(self) -> None:
        """
        One that goes before it is told is not told; one that cannot be told costs others nothing.
        """
        self.listeners[1].error = ValueError("no")
        self.tell("a")
        self.present.discard(self.listeners[-1])
        while len(self.teller):
            self.clock.turn()
        self.assertEqual(self.told(), MANY - 2)
        self.assertEqual(self.listeners[-1].heard, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_finish(self) -> None:
        """
        At the end all is told.
        """
        self.tell("a")
        self.tell("b")
        self.teller.finish()
        self.assertEqual(self.told(), 2 * MANY)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.teller.finish()

    def test_bounded(self) -> None:
        """
        Events that come faster than they can be told do not pile up: as many as may
        wait do, and no more.
        """
        waiting = []
        for number in range(2 * MOST_WAITING):
            self.tell(str(number))
            waiting.append(len(self.teller))
        self.assertEqual(max(waiting), MOST_WAITING)
        self.assertGreater(self.told(), 0)

    def test_ahead(self) -> None:
        """
        One that is told ahead of others hears of all that has happened once, and in order; what
        is not for it, it is not told.
        """
        last = self.listeners[-1]
        for name in ("a", "b"):
            self.tell(name)
        self.tell("c", MANY - 1)
        self.assertEqual(last.heard, [])
        self.teller.tellAhead(last, self.numbers[last])
        self.teller.tellAhead(last, self.numbers[last])
        expected = [f"{name}{last.version}".encode() for name in ("a", "b")]
        self.assertEqual(last.heard, expected)
        self.teller.finish()
        self.assertEqual(last.heard, expected)
        self.assertEqual(self.told(), 3 * MANY - 1)
        self.teller.tellAhead(last, self.numbers[last])
        self.assertEqual(last.heard, expected)

    def test_aheadOfOthers(self) -> None:
        """
        To be told ahead costs as much whether there are few listeners or many, and whether what
        waits is for that listener or not: nothing is compared with them.
        """
        compared = []

        class Compared(Listener):
            def __eq__(self, other: object) -> bool:
                compared.append(other)
                return self is other

            __hash__ = Listener.__hash__

        self.listeners = [Compared(self.clock, number) for number in range(MANY)]
        self.numbers = {one: one.number for one in self.listeners}
        self.present = set(self.listeners)
        self.tell("a")
        self.tell("b", MANY - 1)
        self.tell("c", 1)
        compared.clear()
        for one in self.listeners[-2:]:
            self.teller.tellAhead(one, self.numbers[one])
        self.assertEqual([len(one.heard) for one in self.listeners[-2:]], [2, 1])
        self.assertLessEqual(len(compared), 4)
        self.teller.finish()
        self.assertEqual(self.told(), 2 * MANY)


class AddresseesTests(SynchronousTestCase):
    """
    L{Addressees}.
    """

    def test_places(self) -> None:
        """
        Those that are there have their places, others none.
        """
        clock = WorkingClock()
        listeners = [Listener(clock, number) for number in range(5)]
        numbers = {one: 2 * one.number for one in listeners}
        some = Addressees([listeners[1], listeners[3], listeners[4]], numbers)
        self.assertEqual(len(some), 3)
        self.assertEqual([some.placeOf(number) for number in (2, 6, 8)], [0, 1, 2])
        self.assertEqual([some.placeOf(number) for number in (0, 3, 4, 7, 9)], [-1] * 5)
        self.assertEqual(Addressees([], numbers).placeOf(2), -1)
