# -*- test-case-name: tests.fleet.etcd.test_following -*-
"""
Tests of L{muxd.fleet.etcd.following}: what a hub knows while etcd is out of reach, and afterwards.
"""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, LogLevel, formatEvent

from muxd.fleet.etcd.following import TERM, TRANSITIONS, FollowState
from muxd.fleet.hub import Hub
from muxd.fleet.messages import LONGEST_TERM
from muxd.fleet.terms import MISSED, USUAL
from muxd.fleet.values import FleetError, Reservation, Why
from tests.client.hosts import logOf
from tests.fleet.etcd.cases import NODES, EtcdCase
from tests.fleet.fleets import host, phone, udid, wants
from tests.fleet.watching import Watcher

BEAT = USUAL.canary

LATE = (MISSED + 2) * BEAT
"""Seconds by which silence has been noticed."""


class WatchedCase(EtcdCase):
    """
    A fleet that is watched.
    """

    async def watched(self) -> Watcher:
        """
        A watcher of a fleet with one host that has two phones.
        """
        lease = await self.registry.announce(host("a"), 1000)
        await self.registry.tell(lease, [phone(1), phone(2)], True)
        watcher = Watcher()
        await self.registry.watch(watcher)
        return watcher


class LongTermTests(WatchedCase):
    """
    Tests of hubs that an operator has given a long term.
    """

    hubTerm = 60.0

    async def test_ownLease(self) -> None:
        """
        The hub's own lease, which has a time of its own, does not end meanwhile.
        """
        watcher = await self.watched()
        keys = [key for key in self.etcd.entries if b"/canary/" in key]
        created = [self.etcd.entries[key].created for key in keys]
        for _ in range(400):
            self.clock.advance(BEAT)
            self.assertEqual(watcher.health, "fresh")
        self.assertEqual(len(keys), 1)
        self.assertEqual([self.etcd.entries[key].created for key in keys], created)


class LongestTermTests(LongTermTests):
    """
    The same with the longest one.
    """

    hubTerm = LONGEST_TERM


class FollowingTests(WatchedCase):
    """
    Tests of what follows etcd.
    """

    def outcome(self, asked: Deferred[Reservation]) -> list[object]:
        """
        What comes of a request, once something has: why it is refused, or a reservation.
        """
        found: list[object] = []
        asked.addCallbacks(
            found.append,
            lambda failure: found.append(failure.trap(FleetError) and failure.value.why),
        )
        return found

    def test_states(self) -> None:
        """
        Each state but the end leads on, and all lead to the end.
        """
        for state in set(FollowState) - {FollowState.STOPPED}:
            self.assertIn(FollowState.STOPPED, TRANSITIONS[state])

    async def test_silence(self) -> None:
        """
        An open watch that says nothing is noticed by the canary: what is known is shown on, new
        reservations are refused, and old ones are in force when it speaks again.
        """
        watcher = await self.watched()
        held = await self.registry.reserve(wants(term=1000))
        self.etcd.isMute = True
        await self.passTime(LATE)
        self.assertFalse(self.registry.isFresh)
        self.assertIn("expected to hear of a change within 6 s", watcher.health)
        self.assertEqual(watcher.udids, [udid(1), udid(2)])
        refused = self.outcome(self.registry.reserve(wants()))
        await self.passTime(LATE)
        self.assertEqual(refused, [Why.STALE])
        self.etcd.isMute = False
        await self.passTime(LATE)
        self.assertEqual(watcher.health, "fresh")
        self.assertEqual(watcher.tokens, [held.token])
        self.assertEqual(await self.registry.renew(held.token, held.key), held)

    async def test_busy(self) -> None:
        """
        A hub that does nothing for a while, with its lease going on, has not been told nothing.
        """
        watcher = await self.watched()
        self.clock.advance(TERM - 1)
        self.assertEqual(watcher.health, "fresh")
        self.assertNotIn("/v3/watch", self.etcd.asked[-5:])

    async def test_told(self) -> None:
        """
        An operator is told once that etcd is away, with its node named once; once a minute that
        it is so still; and once that it is back, and after how long.
        """
        await self.watched()
        hub = Hub(self.clock, self.registry)
        await hub.start()
        self.addCleanup(hub.stop)
        logged = logOf(self)
        self.etcd.refusing.update(NODES)
        self.etcd.cutWatches()
        await self.passTime(200)
        first, *others = self.told(logged)
        self.assertIn("the fleet's registry cannot be relied on: ", first)
        self.assertTrue(2 <= len(others) <= 3, others)
        for line in others:
            self.assertRegex(line, r"^etcd has not been reached for \d+ s: http://\w:2379 does not")
        for line in (first, *others):
            self.assertEqual(line.count("://"), 1, line)
        self.etcd.refusing.clear()
        await self.passTime(10)
        *_, last = self.told(logged)
        self.assertRegex(last, r"^the fleet's registry can be relied on again, after 20\d s$")
        self.assertEqual(len(self.told(logged)), len(others) + 2)

    async def test_toldOfFlapping(self) -> None:
        """
        One that comes and goes is worth a few lines each minute.
        """
        await self.watched()
        hub = Hub(self.clock, self.registry)
        await hub.start()
        logged = logOf(self)
        for _ in range(20):
            self.etcd.cutWatches()
            await self.passTime(1)
            self.assertTrue(hub.isFresh)
        self.assertEqual(len(self.told(logged)), 2 * 5)
        hub.stop()
        self.assertIn("15 more times", self.told(logged)[-1])

    def told(self, logged: list[LogEvent]) -> list[str]:
        """
        What an operator is told.
        """
        shown = (LogLevel.info, LogLevel.warn, LogLevel.error)
        return [str(formatEvent(event)) for event in logged if event["log_level"] in shown]

    async def test_frozenNode(self) -> None:
        """
        A node that answers nothing is left for the next one.
        """
        watcher = await self.watched()
        self.etcd.frozen.add(NODES[0])
        self.etcd.cutWatches()
        await self.passTime(20)
        self.assertEqual(watcher.health, "fresh")
        self.assertEqual(self.registry._gateway.place, NODES[1])
        await self.registry.reserve(wants())

    async def test_cut(self) -> None:
        """
        After a watch was cut it goes on where it was: nothing is missed, and nothing is told
        twice.
        """
        watcher = await self.watched()
        other = self.start()
        self.etcd.refusing.update(NODES)
        self.etcd.cutWatches()
        await self.passTime(3)
        self.assertNotEqual(watcher.health, "fresh")
        self.etcd.refusing.clear()
        await self.passTime(3)
        lease = await other.announce(host("b"), 1000)
        await other.tell(lease, [phone(3)])
        self.assertEqual(watcher.health, "fresh")
        self.assertEqual(watcher.udids, [udid(1), udid(2), udid(3)])
        self.assertEqual(watcher.begins, 1)

    async def test_compacted(self) -> None:
        """
        Where the watch would have to go on has been forgotten: all is told anew.
        """
        watcher = await self.watched()
        other = self.start()
        self.registry._following._stream.close()  # type: ignore[union-attr]
        lease = await other.announce(host("b"), 1000)
        await other.tell(lease, [phone(3)])
        self.etcd.compact(self.etcd.revision)
        self.etcd.cutWatches()
        await self.passTime(LATE)
        self.assertEqual(watcher.udids, [udid(1), udid(2), udid(3)])
        self.assertEqual((watcher.begins, watcher.health), (2, "fresh"))

    async def test_anotherCluster(self) -> None:
        """
        A cluster that was set up anew has nothing of what was before: all is told anew.
        """
        watcher = await self.watched()
        self.etcd.revoke(next(iter(self.etcd.leases)))
        self.etcd.cluster = "78"
        for lease in list(self.etcd.leases):
            self.etcd.revoke(lease)
        await self.passTime(LATE)
        self.assertEqual((watcher.udids, watcher.health), ([], "fresh"))
        self.assertEqual(watcher.begins, 2)

    async def test_backup(self) -> None:
        """
        A cluster that goes on from a backup, with revisions that are lower than ours, is noticed.
        """
        watcher = await self.watched()
        self.etcd.revision = 2
        self.etcd.history.clear()
        self.etcd.cutWatches()
        await self.passTime(2 * LATE)
        self.assertEqual((watcher.begins, watcher.health), (2, "fresh"))

    async def test_ownLease(self) -> None:
        """
        A hub whose own lease is over has another one, and its jobs are in the queue again.
        """
        await self.watched()
        held = [await self.registry.reserve(wants(term=1000)) for _ in range(2)]
        wanted = self.registry.reserve(wants(user="late", wait=1000))
        self.etcd.revoke(self.registry._following.lease)
        self.assertEqual(await self.registry.waiting(), [])
        await self.passTime(BEAT * 2)
        self.assertEqual([one.user for one in await self.registry.waiting()], ["late"])
        await self.registry.release(held[0].token, held[0].key)
        self.assertEqual((await wanted).user, "late")

    async def test_hubGone(self) -> None:
        """
        A job whose hub is gone keeps nothing waiting for longer than the hub's lease.
        """
        await self.watched()
        other = self.start()
        held = [await self.registry.reserve(wants(term=1000)) for _ in range(2)]
        lost = other.reserve(wants(user="lost", wait=1000))
        lost.addErrback(lambda _: None)
        wanted = self.outcome(self.registry.reserve(wants(user="late", wait=1000)))
        # It says nothing any more, and does not even stop.
        other._gateway.close()
        await self.registry.release(held[0].token, held[0].key)
        self.assertEqual(wanted, [])
        await self.passTime(TERM + 1)
        self.assertEqual(len(wanted), 1)

    async def test_nonsense(self) -> None:
        """
        A watch that says nonsense is cut, and nothing else comes of it.
        """
        watcher = await self.watched()
        for line in (b"nonsense\n", b"[]\n", b'{"result": 1}\n', b'{"error": {"message": "x"}}\n'):
            self.etcd.say(line)
            self.assertNotEqual(watcher.health, "fresh", line)
            await self.passTime(3)
            self.assertEqual(watcher.health, "fresh", line)
        self.assertEqual(watcher.udids, [udid(1), udid(2)])

    async def test_longLine(self) -> None:
        """
        A line without an end is not kept.
        """
        watcher = await self.watched()
        for _ in range(33):
            self.etcd.say(b"x" * (1 << 20))
        self.assertIn("expected lines of up to", watcher.health)

    async def test_foreignKeys(self) -> None:
        """
        Keys that are no fleet's, and values that make no sense, change nothing.
        """
        watcher = await self.watched()
        for key, value in (
            (b"/t/nothing/x", b"{}"),
            (b"/t/phones/a/y", b"nonsense"),
            (b"/t/hosts/c", json.dumps({"kind": "held"}).encode()),
            (b"/t/held/0000811000000000000000ff", b"[]"),
            (b"/t/queue/\xff", b"{}"),
            (b"/t/renewed/-1", b"{}"),
        ):
            self.etcd.put(key, value)
        self.assertEqual((watcher.udids, watcher.health), ([udid(1), udid(2)], "fresh"))
        self.assertEqual(watcher.changes, [])

    async def test_pages(self) -> None:
        """
        A fleet of which one answer has only a part is known as a whole.
        """
        self.patch(__import__("muxd.fleet.etcd.following", fromlist=["PAGE"]), "PAGE", 2)
        await self.watched()
        await self.reopen()
        watcher = Watcher()
        await self.registry.watch(watcher)
        self.assertEqual(watcher.udids, [udid(1), udid(2)])
