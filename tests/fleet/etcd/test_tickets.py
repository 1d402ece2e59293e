# -*- test-case-name: tests.fleet.etcd.test_tickets -*-
"""
Tests of jobs that ask again at another hub: L{muxd.fleet.etcd.places}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muxd.fleet.etcd.gateway import Gateway
from muxd.fleet.etcd.keys import Keys
from muxd.fleet.etcd.places import RENEWED
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.messages import LONGEST_TERM
from muxd.fleet.values import KEPT, FleetError, Reservation, Why
from tests.fleet.contract import RegistryHelp
from tests.fleet.etcd.cases import NODES, EtcdCase
from tests.fleet.fleets import wants
from tests.fleet.ticketcontract import TICKET, waits


def isPlace(key: bytes) -> bool:
    """
    Whether a key is one of the queue.
    """
    return b"/queue/" in key


DOOMED = "http://doomed:2379"


class TwoHubsTests(EtcdCase, RegistryHelp):
    """
    A hub that is killed by and by, and another one.

    @ivar doomed: The registry of the first.
    """

    def setUp(self) -> None:
        """
        Start the first, too; it has a way to etcd of its own.
        """
        super().setUp()
        gateway = Gateway(self.clock, self.etcd, [DOOMED])
        self.doomed = EtcdRegistry(self.clock, gateway, Keys("/t"), makeName=self.names)
        self.started.append(self.doomed)
        self.doomed.start()
        self.addCleanup(self.heal)

    async def heal(self) -> None:
        """
        It is stopped as every other one.
        """
        self.etcd.frozen.clear()
        await self.settle(10)

    def kill(self) -> None:
        """
        What the first says does not reach etcd any more.
        """
        self.etcd.frozen.add(DOOMED)

    async def settle(self, seconds: float) -> None:
        """
        Let time pass, in steps of half a second.
        """
        for _ in range(int(2 * seconds)):
            self.clock.advance(0.5)

    async def full(self) -> Reservation:
        """
        A job has the only phone.
        """
        await self.join("a", 1, term=1000)
        held: Reservation = await self.registry.reserve(wants(term=1000))
        return held

    def quiet(self, *asked: Deferred[Any]) -> None:
        """
        What becomes of these is not looked at.
        """
        for each in asked:
            each.addErrback(lambda failure: failure.trap(FleetError) and None)

    def keys(self) -> list[bytes]:
        """
        Those of the queue.
        """
        return [key for key in self.etcd.entries if isPlace(key)]

    async def order(self, registry: EtcdRegistry) -> list[str]:
        """
        Who waits, as a hub knows it.
        """
        return [one.user for one in await registry.waiting()]

    async def test_killed(self) -> None:
        """
        Three jobs wait at a hub that is killed, and one at another: they are served in the order
        in which they had asked first, in whichever order they come to the other hub.
        """
        held = await self.full()
        lost = [self.doomed.reserve(waits(name)) for name in "xyz"]
        other = self.registry.reserve(waits("w"))
        self.quiet(*lost)
        await self.settle(2 * KEPT)
        self.kill()
        await self.settle(KEPT - 1)
        again = {name: self.registry.reserve(waits(name, asked=1)) for name in "zxy"}
        assert await self.order(self.registry) == ["x", "y", "z", "w"]
        for name in "xyz":
            await self.registry.release(held.token, held.key)
            held = await again[name]
            assert held.user == name
        await self.registry.release(held.token, held.key)
        assert (await other).user == "w"
        assert self.keys() == []

    async def test_killedWithoutTicket(self) -> None:
        """
        Those that have none are out of the queue soon, and so are those that do not ask again.
        """
        held = await self.full()
        lost = [self.doomed.reserve(wants(user="x", wait=1000)), self.doomed.reserve(waits("y"))]
        other = self.registry.reserve(wants(user="w", wait=1000))
        self.quiet(*lost)
        self.kill()
        await self.settle(KEPT - 1)
        assert await self.order(self.registry) == ["y", "w"]
        await self.registry.release(held.token, held.key)
        await self.settle(1)
        assert not other.called
        await self.settle(RENEWED + 1)
        assert (await other).user == "w"

    async def test_orderAfterSnapshot(self) -> None:
        """
        A hub that starts later has the queue in the same order, although places have been
        changed in another one.
        """
        await self.full()
        lost = [self.doomed.reserve(waits(name)) for name in "xyz"]
        self.quiet(*lost, self.registry.reserve(waits("y", asked=1)))
        self.quiet(self.registry.reserve(waits("x", asked=1)))
        third = self.start()
        for registry in (self.registry, third, self.doomed):
            assert await self.order(registry) == ["x", "y", "z"]

    async def test_stillAlive(self) -> None:
        """
        A hub that does not know that its job has gone to another one learns it from etcd, serves
        it no more, and keeps nothing of it.
        """
        held = await self.full()
        first = self.doomed.reserve(waits("x"))
        second = self.registry.reserve(waits("x", asked=1))
        assert await self.failure(first) is Why.OVER
        await self.registry.release(held.token, held.key)
        assert (await second).user == "x"
        await self.settle(KEPT)
        assert self.keys() == []
        assert len(self.registry._mirror.byToken) == 1

    async def test_oneGrant(self) -> None:
        """
        While a hub does not hear of what has changed, it tries in vain to give a phone to a job
        that has gone to another hub.
        """
        held = await self.full()
        first = self.doomed.reserve(waits("x"))
        self.quiet(first)
        jobs: Any = self.doomed._jobs
        (job,) = jobs._jobs.values()
        second = self.registry.reserve(waits("x", asked=1))
        await self.registry.release(held.token, held.key)
        granted = await second
        await self.registry.release(granted.token, granted.key)
        (phone,) = self.doomed._mirror.phones.values()
        again = self.registry.reserve(waits("x", asked=2))
        self.quiet(again)
        await self.registry.release((await again).token, (await again).key)
        assert await jobs._grant(job, phone, isQueued=True) is None

    async def test_grantedByTheKilled(self) -> None:
        """
        A phone that a hub has given at its end, of which its job has not heard, is the job's at
        the other hub, and the next job waits for it.
        """
        held = await self.full()
        lost = self.doomed.reserve(waits("x"))
        later = self.registry.reserve(waits("y"))
        await self.registry.release(held.token, held.key)
        unheard = await lost
        self.kill()
        again = await self.registry.reserve(waits("x", asked=1))
        assert (again.user, again.udid) == ("x", unheard.udid)
        assert again.token > unheard.token
        assert not later.called
        await self.registry.release(again.token, again.key)
        assert (await later).user == "y"

    async def test_comesLate(self) -> None:
        """
        What a job had asked first, and a hub does last, takes nothing from it, and nothing from
        others.
        """
        await self.join("a", 1, 2, term=1000)
        granted = await self.registry.reserve(waits("x", asked=1))
        assert await self.failure(self.doomed.reserve(waits("x"))) is Why.OVER
        assert (await self.registry.renew(granted.token, granted.key)) == granted
        await self.registry.reserve(wants())
        self.quiet(other := self.registry.reserve(waits("x", asked=2, text="host=a")))
        late = self.doomed.reserve(waits("x", asked=1, text="host=a"))
        assert await self.failure(late) is Why.OVER
        assert await self.order(self.registry) == ["x"]
        assert not other.called

    async def test_leaseOver(self) -> None:
        """
        A job whose place is gone is put into the queue anew, and served.
        """
        held = await self.full()
        wanted = self.registry.reserve(waits("x"))
        (entry,) = self.registry._mirror.queue.values()
        self.etcd.revoke(entry.lease)
        assert self.keys() == []
        await self.settle(RENEWED + 1)
        assert len(self.keys()) == 1
        await self.registry.release(held.token, held.key)
        await wanted

    async def test_etcdAway(self) -> None:
        """
        The same after etcd was away for so long that the place is gone.
        """
        await self.full()
        wanted = self.registry.reserve(wants(user="x", ticket=TICKET, wait=1000))
        self.quiet(wanted)
        self.etcd.refusing.update(("http://a:2379", "http://b:2379"))
        self.etcd.cutWatches()
        await self.settle(2 * KEPT)
        assert self.keys() == []
        self.etcd.refusing.clear()
        await self.settle(10)
        assert len(self.keys()) == 1

    async def test_stopped(self) -> None:
        """
        A hub that stops tells its jobs, and leaves them the time to ask another one.
        """
        held = await self.full()
        lost = self.doomed.reserve(waits("x"))
        later = self.registry.reserve(waits("y"))
        self.doomed.stop()
        assert await self.failure(lost) is Why.STOPPED
        again = self.registry.reserve(waits("x", asked=1))
        assert await self.order(self.registry) == ["x", "y"]
        await self.registry.release(held.token, held.key)
        await self.registry.release((await again).token, (await again).key)
        await later

    async def test_nothingLeft(self) -> None:
        """
        Of jobs that were served, have given up or waited in vain, nothing is left in etcd.
        """
        held = await self.full()
        served, vain = self.registry.reserve(waits("x")), wants(user="y", ticket=TICKET, wait=3)
        before = set(self.etcd.leases)
        told = self.failure(self.registry.reserve(vain))
        gone = self.registry.reserve(waits("z"))
        waiting = Deferred.fromCoroutine(told)
        gone.addErrback(lambda _: None)
        gone.cancel()
        await self.settle(4)
        assert await waiting is Why.WAITED
        await self.registry.release(held.token, held.key)
        await served
        await self.settle(1)
        assert self.keys() == []
        assert len(set(self.etcd.leases) - before) == 1


class LongTermTests(EtcdCase, RegistryHelp):
    """
    A hub with a long term, one of whose two nodes of etcd freezes.
    """

    hubTerm = LONGEST_TERM

    async def test_frozenNode(self) -> None:
        """
        A place in the queue, and the place's lease, go on by the other node.
        """
        await self.join("a", 1, term=self.hubTerm)
        await self.registry.reserve(wants(term=1000))
        told: list[object] = []
        self.registry.reserve(waits("x")).addBoth(told.append)
        ((key, before),) = [(key, one) for key, one in self.etcd.entries.items() if isPlace(key)]
        for _ in range(10):
            self.clock.advance(0.5)
        self.etcd.frozen.add(NODES[0])
        for watch in self.etcd.watches:
            # Nothing is heard of it any more, and it stays open.
            watch.isOver = True
        for _ in range(120):
            self.clock.advance(0.5)
        self.assertEqual(told, [])
        places = {key: one.created for key, one in self.etcd.entries.items() if isPlace(key)}
        self.assertEqual(places, {key: before.created})
        self.assertTrue(self.registry.isFresh)
