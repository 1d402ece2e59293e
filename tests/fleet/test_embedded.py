# -*- test-case-name: tests.fleet.test_embedded -*-
"""
Tests of L{muxd.fleet.embedded}.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from unittest.mock import patch

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from muxd.fleet import ledger, roster
from muxd.fleet.embedded import EmbeddedRegistry
from muxd.fleet.state import BLOCK, StateDirectory
from muxd.fleet.values import Change, Granted, Reservation, Why
from tests.fleet.contract import RegistryContract, stepped
from tests.fleet.fleets import host, phone, udid, wants
from tests.fleet.ticketcontract import LastingTicketContract
from tests.fleet.watching import Watcher


class LookingWatcher(Watcher):
    """
    Looks at a directory when it is told of a reservation.

    @ivar seen: Whether there was a file of it, by token.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.seen: dict[int, bool] = {}

    def changed(self, change: Change) -> None:
        """
        Look.
        """
        match change.what:
            case Granted(reservation):
                name = f"reservation-{reservation.token}"
                self.seen[reservation.token] = name in os.listdir(self.path)


class EmbeddedTests(RegistryContract, LastingTicketContract, TestCase):
    """
    The registry in a hub's own process.
    """

    registry: EmbeddedRegistry

    def setUp(self) -> None:
        """
        Start it in a directory of its own.
        """
        # What is on the disk when is a question of its own; here it takes no time.
        self.patch(os, "fsync", lambda descriptor: None)
        self.clock = Clock()
        self.path = self.mktemp()
        self.keys = 0
        self.registry = self.make()
        self.registry.start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Stop the one that there is by then.
        """
        self.registry.stop()

    def make(self) -> EmbeddedRegistry:
        """
        One more, in the same directory.
        """
        return EmbeddedRegistry(self.clock, StateDirectory(self.path), self.makeKey)

    def makeKey(self) -> str:
        """
        The next key.
        """
        self.keys += 1
        return f"key {self.keys}"

    def passTime(self, seconds: float) -> Awaitable[None]:
        """
        In small steps.
        """
        return stepped(self.clock, seconds)

    def reopen(self) -> Awaitable[None]:
        """
        Kill it: nothing of it is written any more.
        """
        self.registry.stop()
        self.registry = self.make()
        self.registry.start()
        return succeed(None)

    def mostWaiting(self, number: int) -> None:
        """
        See L{LastingTicketContract}.
        """
        self.patch(ledger, "MOST_WAITING_PER_USER", number)

    async def test_idle(self) -> None:
        """
        It leaves no timer behind, and has none while there is nothing to end.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])
        await self.join("a", 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.registry.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_stopped(self) -> None:
        """
        When it is stopped, jobs that wait are told, and so are those that come later.
        """
        await self.assertStops()

    async def test_notStored(self) -> None:
        """
        A reservation that cannot be stored is not given.
        """
        await self.join("a", 1)
        watcher = await self.watcher()
        with patch.object(StateDirectory, "save", side_effect=OSError(28, "full")):
            self.assertIs(await self.failure(self.registry.reserve(wants())), Why.STALE)
        self.flushLoggedErrors()
        self.assertEqual(watcher.tokens, [])
        await self.registry.reserve(wants())

    async def test_storedFirst(self) -> None:
        """
        A reservation is in the directory before anything is told of it.
        """
        await self.join("a", 1)
        watcher = LookingWatcher(self.path)
        await self.registry.watch(watcher)
        held = await self.registry.reserve(wants())
        self.assertEqual(watcher.seen, {held.token: True})

    async def test_blocks(self) -> None:
        """
        Revisions are set aside again before those that were are used up; where that fails,
        nothing is promised that the next process could promise again.
        """
        state = self.registry._state
        before = state.ceiling
        self.registry._ledger.revision = before - BLOCK // 2 + 1
        await self.join("a", 1)
        self.assertGreater(state.ceiling, before)
        self.registry._ledger.revision = state.ceiling - 1
        with patch.object(StateDirectory, "extend", side_effect=OSError(28, "full")):
            self.assertIs(await self.failure(self.registry.reserve(wants())), Why.STALE)
        self.assertIs(
            await self.failure(self.registry.reserve(wants("label=x"))), Why.NO_SUCH_PHONE
        )

    async def test_callsBack(self) -> None:
        """
        A job that asks again from within the answer to its first request gets an answer.
        """
        await self.join("a", 1, 2)
        got: list[str] = []

        def again(first: Reservation) -> Deferred[None]:
            got.append(first.udid)
            return self.registry.reserve(wants()).addCallback(lambda one: got.append(one.udid))

        await self.registry.reserve(wants()).addCallback(again)
        self.assertEqual(got, [udid(1), udid(2)])

    async def test_stalled(self) -> None:
        """
        What was not read because this process did nothing for a while is no silence: nothing is
        over for that.
        """
        lease = await self.join("a", 1)
        held = await self.registry.reserve(wants(term=self.term))
        await self.passTime(1)
        self.clock.advance(self.term * 3)
        self.assertTrue(await self.registry.keepAlive(lease))
        self.assertEqual(await self.registry.renew(held.token, held.key), held)
        await self.passTime(self.term * 1.5)
        self.assertFalse(await self.registry.keepAlive(lease))

    async def test_restarted(self) -> None:
        """
        One that is started again begins anew for those that watch it.
        """
        watcher = await self.watcher()
        await self.join("a", 1)
        self.registry.stop()
        self.registry.start()
        self.assertEqual((watcher.begins, watcher.udids), (2, []))
        self.assertEqual(watcher.health, "fresh")

    async def test_manyHosts(self) -> None:
        """
        A host too many is refused, and a known one is not.
        """
        self.patch(roster, "MOST_HOSTS", 2)
        await self.join("a")
        await self.join("b")
        self.assertIs(await self.failure(self.registry.announce(host("c"), 10)), Why.TOO_MANY)
        await self.join("a")

    async def test_manyPhones(self) -> None:
        """
        Of one host no more phones are taken than it may have.
        """
        self.patch(roster, "MOST_PHONES", 2)
        lease = await self.join("a", 1, 2)
        watcher = await self.watcher()
        await self.registry.tell(lease, [phone(3), phone(2, name="two")])
        self.assertEqual(watcher.udids, [udid(1), udid(2)])
        self.assertEqual([one.name for one in watcher.known.phones], ["", "two"])
