# -*- test-case-name: tests.server.test_budget -*-
"""
Tests of L{muxd.server.budget}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from muxd.server.budget import UnreadBudget
from muxd.server.factory import ControlFactory
from muxd.testing import ImmediateRecords
from muxd.wire.messages import plistMessage
from tests.server.serving import TINY, Client, ServingTestCase, observeLog


class Reader:
    """
    A client that reads nothing.
    """

    def __init__(self, budget: UnreadBudget, owner: int) -> None:
        self.owner = owner
        self.isDropped = False
        self._budget = budget
        self._waiting: list[bytes] = []

    def wait(self, *parts: bytes) -> None:
        """
        Something waits for it.
        """
        for part in parts:
            self._waiting.append(part)
            self._budget.hold(self, part)
        self._budget.check(self.owner)

    def read(self) -> None:
        """
        It has taken everything.
        """
        while self._waiting:
            self._budget.release(self, self._waiting.pop())

    def dropUnread(self) -> None:
        """
        Remember.
        """
        self.isDropped = True
        self.read()


class UnreadBudgetTests(SynchronousTestCase):
    """
    L{UnreadBudget}.
    """

    def setUp(self) -> None:
        """
        Make one of a hundred bytes, sixty of them for each.
        """
        self.budget = UnreadBudget(100, 60)

    def readers(self, *owners: int) -> list[Reader]:
        """
        Clients of these users.
        """
        return [Reader(self.budget, owner) for owner in owners]

    def test_countedAndGivenBack(self) -> None:
        """
        What waits counts until it is taken.
        """
        first, second = self.readers(1, 2)
        first.wait(bytes(10), bytes(20))
        second.wait(bytes(5))
        self.assertEqual((self.budget.size, self.budget.sizeOf(1)), (35, 30))
        first.read()
        self.assertEqual((self.budget.size, self.budget.sizeOf(1)), (5, 0))
        second.read()
        self.assertEqual((self.budget.size, self.budget.most), (0, 35))
        self.assertEqual(self.budget._accounts, {})

    def test_sharedCountsOnce(self) -> None:
        """
        What waits for many clients of a user is there once, until the last has taken it.
        """
        body = bytes(50)
        readers = self.readers(*[1] * 10)
        for each in readers:
            each.wait(body)
        self.assertEqual(self.budget.size, 50)
        for each in readers[1:]:
            each.read()
        self.assertEqual(self.budget.size, 50)
        readers[0].read()
        self.assertEqual(self.budget.size, 0)

    def test_longestFirst(self) -> None:
        """
        When a user's are too much, the one goes that has not read for the longest.
        """
        first, second, third, other = self.readers(1, 1, 1, 2)
        other.wait(bytes(39))
        first.wait(bytes(20))
        second.wait(bytes(40))
        third.wait(bytes(1))
        dropped = [each.isDropped for each in (first, second, third, other)]
        self.assertEqual(dropped, [True, False, False, False])

    def test_exactly(self) -> None:
        """
        As much as there may be is not too much, of one user or of all.
        """
        self.assertEqual(self.budget.most, 0)
        first, second = self.readers(1, 2)
        first.wait(bytes(60))
        second.wait(bytes(40))
        self.assertEqual((first.isDropped, second.isDropped), (False, False))
        self.assertEqual(self.budget.most, 100)

    def test_greediestFirst(self) -> None:
        """
        When all are too much, it is a client of the user with the most, whoever is the last
        to ask.
        """
        greedy, small, last = self.readers(1, 2, 3)
        greedy.wait(bytes(50))
        small.wait(bytes(30))
        last.wait(bytes(21))
        dropped = [each.isDropped for each in (greedy, small, last)]
        self.assertEqual(dropped, [True, False, False])
        self.assertEqual(self.budget.size, 51)


class ClientsTests(ServingTestCase):
    """
    Clients that do not read, of a server with a small budget.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        limits = replace(TINY, clientQueue=1 << 20, unreadBytes=150_000, unreadPerUser=150_000)
        records = ImmediateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, records, limits)

    def ask(self) -> Client:
        """
        Connect a client that reads nothing, neither its reply nor what comes behind it.
        """
        client = self.client(budget=0)
        client.transport.bufferSize = 100
        client.send(plistMessage({"MessageType": "ListDevices"}, 1))
        client.protocol._output.write(bytes(40_000))
        return client

    def test_dropped(self) -> None:
        """
        The one goes that has not read for the longest, and is counted and told of; the
        others get what waits for them.
        """
        logged = observeLog(self)
        clients = [self.ask() for _ in range(5)]
        self.settle()
        self.assertEqual(
            [each.transport.disconnected for each in clients], [True, True, False, False, False]
        )
        self.assertEqual(self.factory.counters.clientsOverBudget, 2)
        self.assertEqual(len(logged), 2)
        self.assertLessEqual(self.factory.unread.size, 150_000)
        for each in clients[2:]:
            self.assertGreater(len(each.transport.take()), 40_000)
        self.assertEqual(self.factory.unread.size, 0)
        clients[2].transport.lose()
        self.assertEqual(self.factory.unread._accounts, {})

    def test_lost(self) -> None:
        """
        A client that leaves without reading gives back what waited for it.
        """
        client = self.ask()
        self.assertEqual(self.factory.unread.size, 40_000)
        client.transport.lose()
        self.assertEqual(self.factory.unread.size, 0)
