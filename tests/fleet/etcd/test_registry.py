# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
Tests of L{muxd.fleet.etcd.registry} and L{muxd.fleet.etcd.jobs}, with an etcd in memory.
"""

from __future__ import annotations

from muxd.fleet.etcd import registry as registryModule
from muxd.fleet.values import Why
from tests.fleet.contract import RegistryContract
from tests.fleet.etcd.cases import EtcdCase
from tests.fleet.fleets import host, phone, udid


class EtcdContractTests(EtcdCase, RegistryContract):
    """
    The registry in etcd, as every other one.
    """

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
