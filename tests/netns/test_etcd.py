# -*- test-case-name: tests.netns.test_etcd -*-
"""
What a fleet survives that has two hubs, and its registry in three nodes of etcd.
"""

from __future__ import annotations

import time

from tests.netns.case import FaultCase
from tests.netns.engine import Cluster
from tests.netns.members import Job


class EtcdCase(FaultCase):
    """
    Two hubs, two hosts with a phone each, three nodes, and jobs.
    """

    hubs = 2
    nodes = 3
    term = 5

    @property
    def cluster(self) -> Cluster:
        """
        The nodes.
        """
        cluster: Cluster | None = self.fleet.cluster
        assert cluster is not None
        return cluster

    def isFresh(self, *hubs: int) -> bool:
        """
        Whether hubs say that their registry can be relied on.
        """
        return all(self.fleet.status(hub)["fresh"] for hub in hubs)

    def isStale(self, *hubs: int) -> bool:
        """
        Whether hubs say that it cannot.
        """
        return all(self.fleet.status(hub)["fresh"] is False for hub in hubs)


class EtcdHostTests(EtcdCase):
    """
    Faults of hosts and of the network around them.
    """

    def test_hostKilled(self) -> None:
        """
        A host is killed.
        """
        self.killHost()

    def test_hostFrozen(self) -> None:
        """
        A host is frozen for longer than its lease.
        """
        self.freezeHost()

    def test_hostFromHubs(self) -> None:
        """
        A host reaches no hub, but the job.
        """
        self.splitHostFromHubs()

    def test_clockSet(self) -> None:
        """
        The time of day is set, to and fro.
        """
        self.setClocks()

    def test_jobFromHubs(self) -> None:
        """
        A job reaches no hub, but the host.
        """
        self.splitJobFromHubs()


class EtcdHubTests(EtcdCase):
    """
    Faults of the hub that a host and a job are connected to; the other hub is well.
    """

    def hubOf(self) -> int:
        """
        The hub of the first host.
        """
        found: list[int] = []

        def isConnected() -> bool:
            found[:] = self.fleet.connectedTo(self.fleet.hosts[0])
            return bool(found)

        self.fleet.until(isConnected, "the host is connected to no hub")
        return found[0]

    def test_hubKilled(self) -> None:
        """
        It is killed: the host and the job go on with the other one, where a job that waits is
        served.
        """
        fleet, hub = self.fleet, self.hubOf()
        holder = fleet.holder(0, "--term", "15", hubs=(hub, 1 - hub))
        there = fleet.waiter(hubs=(1 - hub,))
        began = time.monotonic()
        fleet.hubs[hub].kill()
        self.assertMovesOn(hub, began)
        self.assertGoesOn(holder)
        self.assertEqual(holder.end(), 0)
        self.assertServed(there)

    def test_queueOfKilledHub(self) -> None:
        """
        It is killed while three jobs wait there, and a fourth at the other one: all four are
        served in the order in which they have asked.
        """
        fleet, hub = self.fleet, self.hubOf()
        holder = fleet.holder(0, "--term", "30", hubs=(hub, 1 - hub))
        waiters = [fleet.waiter(hubs=(hub, 1 - hub)) for _ in range(3)]
        waiters.append(fleet.waiter(hubs=(1 - hub,)))
        began = time.monotonic()
        fleet.hubs[hub].kill()
        self.measure("the jobs that waited are there", lambda: self.hasJob(1 - hub, len(waiters)))
        self.assertMovesOn(hub, began)
        self.assertServedInOrder(holder, waiters, 1 - hub)

    def test_hubFrozen(self) -> None:
        """
        It is frozen: the host and the job go on with the other one, and a job that waits does so
        in the place that it had.
        """
        fleet, hub = self.fleet, self.hubOf()
        holder = fleet.holder(0, "--term", "30", hubs=(hub, 1 - hub))
        waiters = [fleet.waiter(hubs=(hub, 1 - hub)), fleet.waiter(hubs=(1 - hub,))]
        began = time.monotonic()
        fleet.hubs[hub].freeze()
        self.assertMovesOn(hub, began)
        self.measure("the job that waited is there", lambda: self.hasJob(1 - hub, 2))
        self.measure("the job is connected there", lambda: self.hasJob(1 - hub, 3))
        self.assertGoesOn(holder)
        self.assertServedInOrder(holder, waiters, 1 - hub)

    def test_hubFromHosts(self) -> None:
        """
        Nothing goes between it and its hosts any more, and it reaches etcd, and jobs reach it.
        """
        fleet, hub = self.fleet, self.hubOf()
        holder = fleet.holder(0, "--term", "30", hubs=(hub, 1 - hub))
        began = time.monotonic()
        fleet.network.split(*((f"hub{hub}", str(host)) for host in fleet.hosts))
        self.assertMovesOn(hub, began)
        self.assertGoesOn(holder)
        fleet.network.heal()
        self.assertGoesOn(holder)

    def assertMovesOn(self, hub: int, began: float) -> None:
        """
        All hosts are at the other hub in time, which lists them, and clients find that out,
        whichever hub they ask first.

        @param began: When it was lost.
        """
        fleet = self.fleet
        everything = {str(host) for host in fleet.hosts}

        def isWell() -> bool:
            hosts = fleet.status(1 - hub)["hosts"]
            return {each["name"] for each in hosts if each["here"] and each["phones"]} == everything

        self.assertConverges("all hosts are at the other hub, and listed", isWell, began)
        for hubs in ((hub, 1 - hub), (1 - hub, hub)):
            self.assertEqual(fleet.listedFor(*hubs), everything)
        self.note("clients know", seconds=round(time.monotonic() - began, 1))

    def assertServedInOrder(self, holder: Job, waiters: list[Job], hub: int) -> None:
        """
        Jobs that wait are served in this order, when the one before is done.
        """
        while waiters:
            self.assertTrue(self.fleet.isWaiting(hub, *waiters), self.fleet.logs())
            self.assertEqual(holder.end(), 0)
            holder, *waiters = waiters
            self.assertServed(holder)
            self.assertEqual([each.name for each in waiters if each.hasBegun], [])

    def hasJob(self, hub: int, jobs: int = 1) -> bool:
        """
        Whether so many jobs are connected to a hub.
        """
        return bool(self.fleet.status(hub).get("jobs", 0) >= jobs)

    def test_hubFromEngine(self) -> None:
        """
        It does not reach etcd any more, while all reach it: the host and the job go on with the
        other one, and a job that waits does so in the place that it had.
        """
        fleet, hub = self.fleet, self.hubOf()
        holder = fleet.holder(0, "--term", "30", hubs=(hub, 1 - hub))
        waiters = [fleet.waiter(hubs=(hub, 1 - hub)), fleet.waiter(hubs=(1 - hub,))]
        began = time.monotonic()
        fleet.network.split(*((f"hub{hub}", str(node)) for node in self.cluster.nodes))
        self.measure("the hub knows", lambda: self.isStale(hub))
        self.assertMovesOn(hub, began)
        self.measure("the job that waited is there", lambda: self.hasJob(1 - hub, 2))
        self.measure("the job is connected there", lambda: self.hasJob(1 - hub, 3))
        self.assertGoesOn(holder)
        self.assertServedInOrder(holder, waiters, 1 - hub)
        fleet.network.heal()
        self.measure("the hub is well again", lambda: self.isFresh(0, 1))


class EtcdEngineTests(EtcdCase):
    """
    Faults of etcd itself.
    """

    def test_nodeKilled(self) -> None:
        """
        A node is killed that hubs ask.
        """
        fleet = self.fleet
        holder, waiter = fleet.holder(0, "--term", "15"), fleet.waiter()
        self.cluster.nodes[0].kill()
        self.measure("hubs are well", lambda: self.isFresh(0, 1))
        self.assertGoesOn(holder)
        self.assertEqual(holder.end(), 0)
        self.assertServed(waiter)

    def test_leaderFrozen(self) -> None:
        """
        The node that leads is frozen, and wakes when another one leads.
        """
        fleet = self.fleet
        holder, waiter = fleet.holder(0, "--term", "30"), fleet.waiter()
        leader = self.cluster.leader()
        self.cluster.nodes[leader].freeze()
        self.measure("another one leads", lambda: self.cluster.leader() != leader)
        self.measure("hubs are well", lambda: self.isFresh(0, 1))
        self.assertGoesOn(holder)
        self.assertEqual(holder.end(), 0)
        self.assertServed(waiter)
        self.cluster.nodes[leader].thaw()
        self.measure("everything is listed", self.everything)

    def test_noQuorum(self) -> None:
        """
        Two nodes of three are frozen: a job keeps its phone, hubs show what they know, and
        nothing is reserved; when they wake, the job still has it, and the next one is served.
        """
        fleet = self.fleet
        holder, waiter = fleet.holder(0, "--term", "40"), fleet.waiter()
        for node in self.cluster.nodes[:2]:
            node.freeze()
        self.measure("hubs know", lambda: self.isStale(0, 1))
        refused = fleet.job("refused", "--phone", "host=host1")
        self.assertNotEqual(refused.status(), 0)
        self.assertFalse(refused.hasBegun)
        fleet.until(self.everything, "hubs do not show what they know")
        self.assertGoesOn(holder)
        for node in self.cluster.nodes[:2]:
            node.thaw()
        self.measure("hubs are well", lambda: self.isFresh(0, 1))
        self.assertGoesOn(holder)
        self.measure("everything is listed", self.everything)
        self.assertEqual(holder.end(), 0)
        self.assertServed(waiter)

    def test_watchSilent(self) -> None:
        """
        Nothing that etcd says reaches a hub: it knows so by its canary, and does not say that
        all is well.
        """
        fleet = self.fleet
        holder = fleet.holder(0, "--term", "30", hubs=(1, 0))
        fleet.network.lose(*((str(node), "hub0") for node in self.cluster.nodes))
        self.measure("the hub knows", lambda: self.isStale(0))
        fleet.until(lambda: self.isFresh(1), "the other hub is not well")
        self.assertGoesOn(holder)
        fleet.network.heal()
        self.measure("the hub is well again", lambda: self.isFresh(0))
        self.measure("everything is listed", self.everything)
        fleet.until(lambda: fleet.holders(0) == {holder.name}, "the hub knows of another job")

    def test_compaction(self) -> None:
        """
        Etcd has forgotten what a hub has missed: it begins anew, and knows all.
        """
        fleet = self.fleet
        first = fleet.holder(0, "--term", "30", hubs=(1,))
        fleet.network.split(*(("hub0", str(node)) for node in self.cluster.nodes))
        self.measure("the hub knows", lambda: self.isStale(0))
        self.assertEqual(first.end(), 0)
        second = fleet.holder(0, "--term", "30", "--wait", "50", hubs=(1,))
        self.cluster.compact()
        fleet.network.heal()
        self.measure("the hub is well again", lambda: self.isFresh(0))
        fleet.until(lambda: fleet.holders(0) == {second.name}, "the hub knows of another job")
        self.measure("everything is listed", self.everything)
        self.assertGoesOn(second)
