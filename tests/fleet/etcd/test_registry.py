# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
Tests of L{muxd.fleet.etcd.registry} and L{muxd.fleet.etcd.jobs}, with an etcd in memory.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from muxd.fleet.etcd import jobs
from muxd.fleet.etcd import registry as registryModule
from muxd.fleet.etcd.jobs import RETRY
from muxd.fleet.etcd.keys import Kind
from muxd.fleet.values import PhoneRecord, Why
from muxd.identity import udidKey
from tests.fleet.contract import RegistryContract
from tests.fleet.etcd.cases import EtcdCase
from tests.fleet.etcd.engine import FakeEtcd, Refusal
from tests.fleet.fleets import host, phone, udid, wants
from tests.fleet.ticketcontract import LastingTicketContract

KEY = udidKey(udid(1)).encode()


class EtcdContractTests(EtcdCase, RegistryContract, LastingTicketContract):
    """
    The registry in etcd, as every other one.
    """

    def mostWaiting(self, number: int) -> None:
        """
        See L{LastingTicketContract}.
        """
        self.patch(jobs, "MOST_WAITING_PER_USER", number)

    async def test_manyPhones(self) -> None:
        """
        Of one host no more phones are taken than it may have.
        """
        self.patch(registryModule, "MOST_PHONES", 2)
        lease = await self.join("a", 1, 2)
        watcher = await self.watcher()
        await self.registry.tell(lease, [phone(3), phone(2, name="two")])
        self.assertEqual(watcher.udids, [udid(1), udid(2)])
        self.assertEqual(sorted(one.name for one in watcher.known.phones), ["", "two"])

    async def test_manyHosts(self) -> None:
        """
        A host too many is refused, and a known one is not.
        """
        self.patch(registryModule, "MOST_HOSTS", 2)
        await self.join("a")
        await self.join("b")
        self.assertIs(await self.failure(self.registry.announce(host("c"), 10)), Why.TOO_MANY)
        await self.join("a")

    async def test_manyChanges(self) -> None:
        """
        What a host has is told in parts that etcd takes, and so is that it is another one's.
        """
        await self.join("a", *range(250))
        old = await self.join("a", *range(250))
        self.assertTrue(await self.registry.untell(old, [udid(each) for each in range(249)]))
        self.assertEqual((await self.watcher()).udids, [udid(249)])

    async def test_stopped(self) -> None:
        """
        When it is stopped, jobs that wait are told, and so are those that come later.
        """
        await self.assertStops()
        self.assertEqual([key for key in self.etcd.entries if b"/queue/" in key], [])

    async def test_refusing(self) -> None:
        """
        While etcd refuses, each job asks once a second, however many phones it may have, and has
        one when it does not any more; or is told when its time is over, not later.
        """
        lease = await self.join("a")
        told: list[Why] = []
        late = Deferred.fromCoroutine(self.failure(self.registry.reserve(wants(wait=2.5))))
        late.addCallback(told.append)
        wanted = self.registry.reserve(wants(wait=100))
        asked: list[object] = []

        def refuse(etcd: FakeEtcd, said: object) -> object:
            asked.append(said)
            raise Refusal(403, 7, "etcdserver: permission denied")

        willing = self.etcd._handlers
        self.patch(self.etcd, "_handlers", {**willing, "/v3/lease/grant": refuse})
        await self.registry.tell(lease, [phone(each) for each in (1, 2, 3)], True)
        self.assertEqual(len(asked), 2)
        for seconds, count in ((RETRY * 0.9, 2), (RETRY * 0.1, 4), (RETRY, 6)):
            self.clock.advance(seconds)
            self.assertEqual(len(asked), count)
        self.clock.advance(0.5)
        self.assertEqual(told, [Why.WAITED])
        self.patch(self.etcd, "_handlers", willing)
        self.clock.advance(RETRY)
        self.assertIn((await wanted).udid, (udid(1), udid(2), udid(3)))

    async def test_onePhoneNotGiven(self) -> None:
        """
        A phone that etcd does not give, though it seems to be free, is passed over: a job that
        waits has the next one.  When something is heard of it, it is as all others.
        """
        lease = await self.join("a")
        willing = self.etcd._handlers

        def keep(etcd: FakeEtcd, said: Any) -> object:
            if any(
                b64decode(one["key"]).endswith(b"/held/" + KEY) for one in said.get("compare", ())
            ):
                return {"header": etcd._header()}
            return willing["/v3/kv/txn"](etcd, said)

        self.patch(self.etcd, "_handlers", {**willing, "/v3/kv/txn": keep})
        first = self.registry.reserve(wants(wait=100))
        await self.registry.tell(lease, [phone(1), phone(2)], True)
        await self.passTime(3)
        self.assertEqual(self.successResultOf(first).udid, udid(2))
        self.assertEqual(self.registry._mirror.refused, {KEY.decode()})
        second = self.registry.reserve(wants(wait=100))
        await self.passTime(2)
        self.patch(self.etcd, "_handlers", willing)
        await self.passTime(2)
        self.assertNoResult(second)
        self.assertTrue(await self.registry.tell(lease, [phone(1, name="another")]))
        await self.passTime(2)
        self.assertEqual(self.successResultOf(second).udid, udid(1))
        self.assertEqual(self.registry._mirror.refused, set())

    async def test_refusedToMany(self) -> None:
        """
        However many jobs are refused, the log has a few lines of it, and how many more there were.
        """
        lease = await self.join("a")
        waiting = [self.registry.reserve(wants(wait=1000)) for _ in range(20)]

        def refuse(etcd: FakeEtcd, said: object) -> object:
            raise Refusal(403, 7, "etcdserver: permission denied")

        handlers = {**self.etcd._handlers, "/v3/lease/grant": refuse}
        self.patch(self.etcd, "_handlers", handlers)
        with capturedLogs() as events:
            await self.registry.tell(lease, [phone(each) for each in range(20)], True)
            for _ in range(10):
                self.clock.advance(RETRY)
        texts = [formatEvent(each) for each in events]
        self.assertEqual(len([each for each in texts if "is not given: " in each]), 3)
        for each in waiting:
            each.addErrback(lambda _: None)

    async def test_notToBeHad(self) -> None:
        """
        A phone that etcd does not give, for a reason that makes no sense to a hub, is asked for
        once, and keeps its job waiting for no other one.
        """
        held = self.registry._keys.of(Kind.HELD, phone(1).key)
        lease = await self.join("a", term=1000)
        wanted = self.registry.reserve(wants(wait=1000))
        self.etcd.put(held, b"nonsense")
        asked: list[object] = []
        willing = self.etcd._handlers

        def noted(etcd: FakeEtcd, said: Any) -> object:
            asked.append(said)
            return willing["/v3/lease/grant"](etcd, said)

        self.patch(self.etcd, "_handlers", {**willing, "/v3/lease/grant": noted})
        await self.registry.tell(lease, [phone(1)])
        await self.passTime(10)
        self.assertEqual(len(asked), 1)
        await self.registry.tell(lease, [phone(2)])
        self.assertEqual((await wanted).udid, udid(2))

    async def test_missed(self) -> None:
        """
        A phone that comes while another one is asked for, in vain, is the waiting job's.
        """
        lease = await self.join("a")
        wanted = self.registry.reserve(wants(wait=100))
        these: Any = self.registry._jobs
        grant, tried = these._grant, []

        async def grantLater(job: object, asked: PhoneRecord, **how: Any) -> object:
            tried.append(asked.udid)
            if len(tried) > 1:
                return await grant(job, asked, **how)
            await self.registry.tell(lease, [phone(2)])
            these.serve()
            return None

        self.patch(these, "_grant", grantLater)
        await self.registry.tell(lease, [phone(1)])
        self.assertEqual(tried, [udid(1), udid(2)])
        self.assertEqual((await wanted).udid, udid(2))
