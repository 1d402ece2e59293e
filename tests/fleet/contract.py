"""
What every registry of a fleet has to do, as tests that are run against each kind.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from muxd.fleet.interfaces import IFleetRegistry, IFleetWatcher
from muxd.fleet.values import Confirmed, Drained, FleetError, Renewed, Reservation, Why
from tests.fleet.fleets import host, phone, udid, wants
from tests.fleet.watching import Watcher

T = TypeVar("T")


def stepped(clock: Clock, seconds: float) -> Awaitable[None]:
    """
    Let a clock's time pass, in small steps, as timers come late otherwise.
    """
    for _ in range(10):
        clock.advance(seconds / 10)
    return succeed(None)


class RegistryHelp:
    """
    What tests of any L{IFleetRegistry} have in common.  The class that they are run by is a
    C{TestCase}, too, and says how to make one.

    @ivar registry: It.
    @cvar term: Seconds of a lease or a reservation that are enough for a test.
    """

    registry: Any
    term = 10.0

    def passTime(self, seconds: float) -> Awaitable[None]:
        """
        Let time pass.
        """
        raise NotImplementedError

    def reopen(self) -> Awaitable[None]:
        """
        Kill the registry, and have another process's in C{registry} which begins where it was.
        """
        raise NotImplementedError

    async def join(self, name: str = "a", *numbers: int, term: float | None = None) -> int:
        """
        A host announces itself, with these phones.
        """
        lease: int = await self.registry.announce(host(name), term or self.term)
        assert await self.registry.tell(lease, [phone(each, name) for each in numbers], True)
        return lease

    async def watcher(self) -> Watcher:
        """
        One more watcher.
        """
        watcher = Watcher()
        await self.registry.watch(watcher)
        return watcher

    async def failure(self, asked: Deferred[Any]) -> Why:
        """
        Why something is refused.
        """
        try:
            result = await asked
        except FleetError as error:
            return error.why
        raise AssertionError(f"expected a refusal, got {result!r}")

    async def complaint(self, asked: Deferred[Any]) -> str:
        """
        What the refusal of something says.
        """
        try:
            result = await asked
        except FleetError as error:
            return str(error)
        raise AssertionError(f"expected a refusal, got {result!r}")


class RegistryContract(RegistryHelp):
    """
    Tests of any L{IFleetRegistry}.
    """

    async def assertStops(self) -> None:
        """
        When it is stopped, jobs that wait are told, and so are those that come later.
        """
        case: Any = self
        watcher = await self.watcher()
        wanted = self.registry.reserve(wants(wait=1000))
        self.registry.stop()
        self.registry.stop()
        case.assertIs(await self.failure(wanted), Why.STOPPED)
        case.assertIs(await self.failure(self.registry.reserve(wants())), Why.STALE)
        case.assertFalse(self.registry.isFresh)
        case.assertEqual(watcher.health, "the hub has stopped")

    async def test_interfaces(self) -> None:
        """
        It provides what it has to.
        """
        assert verifyObject(IFleetRegistry, self.registry)
        assert verifyObject(IFleetWatcher, Watcher())

    async def test_announced(self) -> None:
        """
        What a host tells is seen by those that watch already, and by those that come later.
        """
        before = await self.watcher()
        await self.join("a", 1, 2)
        later = await self.watcher()
        await self.passTime(0)
        for watcher in (before, later):
            assert watcher.udids == [udid(1), udid(2)]
            assert [one.name for one in watcher.known.hosts] == ["a"]
            assert watcher.health == "fresh"
        assert later.changes == []

    async def test_untold(self) -> None:
        """
        Phones that a host takes back are gone, and no others.
        """
        lease = await self.join("a", 1, 2)
        watcher = await self.watcher()
        assert await self.registry.untell(lease, [udid(1), udid(7)])
        await self.passTime(0)
        assert watcher.udids == [udid(2)]

    async def test_leave(self) -> None:
        """
        A host that takes leave is gone at once, with its phones alone.
        """
        lease = await self.join("a", 1)
        await self.join("b", 2)
        watcher = await self.watcher()
        await self.registry.leave(lease)
        await self.registry.leave(lease)
        await self.passTime(0)
        assert watcher.udids == [udid(2)]
        assert [one.name for one in watcher.known.hosts] == ["b"]

    async def test_silentHost(self) -> None:
        """
        A host that is silent for longer than its lease is gone, with its phones; it is told so
        when it is back.
        """
        lease = await self.join("a", 1)
        watcher = await self.watcher()
        await self.passTime(self.term * 1.5)
        assert watcher.udids == []
        assert not await self.registry.keepAlive(lease)
        assert not await self.registry.tell(lease, [phone(1)])
        assert not await self.registry.untell(lease, [udid(1)])

    async def test_keepAlive(self) -> None:
        """
        One that renews its lease stays.
        """
        lease = await self.join("a", 1)
        watcher = await self.watcher()
        for _ in range(4):
            await self.passTime(self.term / 2)
            assert await self.registry.keepAlive(lease)
        assert watcher.udids == [udid(1)]

    async def test_announcedAgain(self) -> None:
        """
        A host that is back before its lease is over was never away; what it does not tell again
        is gone once it has told everything.
        """
        old = await self.join("a", 1, 2)
        watcher = await self.watcher()
        new = await self.registry.announce(host("a"), self.term)
        assert new > old
        assert not await self.registry.keepAlive(old)
        await self.registry.tell(new, [phone(1)])
        await self.passTime(0)
        assert watcher.udids == [udid(1), udid(2)]
        await self.registry.tell(new, [phone(3)], True)
        await self.passTime(0)
        assert watcher.udids == [udid(1), udid(3)]

    async def test_twoClaims(self) -> None:
        """
        A phone that two hosts claim is the first one's, until that one does not have it any
        more.
        """
        first = await self.join("a", 1)
        await self.join("b", 1)
        watcher = await self.watcher()
        assert [one.host for one in watcher.known.phones] == ["a"]
        await self.registry.leave(first)
        await self.passTime(0)
        assert [one.host for one in watcher.known.phones] == ["b"]

    async def test_reserve(self) -> None:
        """
        A job has a phone for itself; another one is refused.
        """
        await self.join("a", 1)
        watcher = await self.watcher()
        reservation = await self.registry.reserve(wants(reason="tests", user="ann"))
        assert (reservation.udid, reservation.host) == (udid(1), "a")
        assert (reservation.user, reservation.reason) == ("ann", "tests")
        await self.passTime(0)
        assert watcher.tokens == [reservation.token]
        refused = await self.failure(self.registry.reserve(wants(user="bob")))
        assert refused is Why.TAKEN

    async def test_noSuchPhone(self) -> None:
        """
        A job that wants a phone that there is not is told so.
        """
        await self.join("a", 1)
        assert await self.failure(self.registry.reserve(wants("label=x"))) is Why.NO_SUCH_PHONE

    async def test_tokensGrow(self) -> None:
        """
        Each token is higher than all before it, also when the registry was killed meanwhile.
        """
        await self.join("a", 1, 2, 3)
        tokens = [(await self.registry.reserve(wants())).token for _ in range(2)]
        await self.reopen()
        await self.join("a", 1, 2, 3)
        tokens.append((await self.registry.reserve(wants())).token)
        assert tokens == sorted(set(tokens)), tokens

    async def test_acknowledgedStays(self) -> None:
        """
        A reservation that was acknowledged is in force also if the registry is killed at once.
        """
        await self.join("a", 1)
        reservation = await self.registry.reserve(wants())
        await self.reopen()
        await self.join("a", 1)
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        renewed = await self.registry.renew(reservation.token, reservation.key)
        assert renewed.token == reservation.token

    async def test_releasedStays(self) -> None:
        """
        One that was released stays so.
        """
        await self.join("a", 1)
        reservation = await self.registry.reserve(wants())
        await self.registry.release(reservation.token, reservation.key)
        await self.reopen()
        await self.join("a", 1)
        assert (
            await self.failure(self.registry.renew(reservation.token, reservation.key)) is Why.OVER
        )
        assert (await self.registry.reserve(wants())).token > reservation.token

    async def test_release(self) -> None:
        """
        What is released is free at once.  A job that has none can release nothing.
        """
        await self.join("a", 1)
        first = await self.registry.reserve(wants())
        await self.registry.release(first.token, "guessed")
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        await self.registry.release(first.token, first.key)
        await self.registry.release(first.token, first.key)
        second = await self.registry.reserve(wants())
        assert second.token > first.token

    async def test_renewed(self) -> None:
        """
        A reservation that is renewed goes on; by its job alone.
        """
        lease = await self.join("a", 1)
        held = await self.registry.reserve(wants(term=self.term))
        for _ in range(3):
            await self.passTime(self.term / 2)
            await self.registry.keepAlive(lease)
            assert (await self.registry.renew(held.token, held.key)) == held
        assert await self.failure(self.registry.renew(held.token, "guessed")) is Why.OVER
        assert await self.failure(self.registry.renew(held.token + 1, held.key)) is Why.OVER

    async def test_notRenewed(self) -> None:
        """
        One that is not is over, and the phone free.
        """
        lease = await self.join("a", 1)
        held = await self.registry.reserve(wants(term=self.term))
        watcher = await self.watcher()
        for _ in range(3):
            await self.passTime(self.term / 2)
            await self.registry.keepAlive(lease)
        assert watcher.tokens == []
        assert await self.failure(self.registry.renew(held.token, held.key)) is Why.OVER
        await self.registry.reserve(wants())

    async def test_queue(self) -> None:
        """
        Jobs that wait are served in the order of their coming.
        """
        await self.join("a", 1)
        held: Reservation = await self.registry.reserve(wants())
        waiting = [self.registry.reserve(wants(user=name, wait=1000)) for name in "xyz"]
        assert [one.user for one in await self.registry.waiting()] == ["x", "y", "z"]
        for name, wanted in zip("xyz", waiting, strict=True):
            await self.registry.release(held.token, held.key)
            held = await wanted
            assert held.user == name
        assert await self.registry.waiting() == []

    async def test_comesLater(self) -> None:
        """
        A job may wait for a phone that is not there yet, or not known well enough.
        """
        lease = await self.join("a", 1)
        wanted = self.registry.reserve(wants("version>=17", wait=1000))
        await self.registry.tell(lease, [phone(1, version="17.2")])
        assert (await wanted).udid == udid(1)

    async def test_waitedInVain(self) -> None:
        """
        A job is told when its time is over, and is not in the queue any more.
        """
        await self.join("a", 1, term=1000)
        held = await self.registry.reserve(wants(term=1000))
        wanted = self.registry.reserve(wants(wait=self.term))
        await self.passTime(self.term * 1.5)
        assert await self.failure(wanted) is Why.WAITED
        await self.registry.release(held.token, held.key)
        assert await self.registry.waiting() == []
        await self.registry.reserve(wants())

    async def test_withdrawn(self) -> None:
        """
        A job that gives up does not keep the next one waiting.
        """
        await self.join("a", 1)
        held = await self.registry.reserve(wants())
        first = self.registry.reserve(wants(wait=1000))
        second = self.registry.reserve(wants(wait=1000, user="second"))
        first.addErrback(lambda _: None)
        first.cancel()
        await self.registry.release(held.token, held.key)
        assert (await second).user == "second"

    async def test_take(self) -> None:
        """
        A user may take a phone from another job of the same user, an admin from any; others may
        not.
        """
        await self.join("a", 1)
        first = await self.registry.reserve(wants(user="ann"))
        other = self.registry.reserve(wants(user="bob", take=True))
        assert await self.failure(other) is Why.TAKEN
        second = await self.registry.reserve(wants(user="ann", take=True))
        assert second.token > first.token
        assert await self.failure(self.registry.renew(first.token, first.key)) is Why.OVER
        third = await self.registry.reserve(wants(user="root", take=True, isAdmin=True))
        assert await self.failure(self.registry.renew(second.token, second.key)) is Why.OVER
        assert (await self.registry.renew(third.token, third.key)) == third

    async def test_drain(self) -> None:
        """
        A drained host's phones go to no job until it is drained no longer, also if the registry
        was killed meanwhile; jobs that have one keep it.
        """
        await self.join("a", 1, 2)
        held = await self.registry.reserve(wants())
        await self.registry.drain("a", True)
        assert (await self.registry.renew(held.token, held.key)) == held
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        complaint = await self.complaint(self.registry.reserve(wants(text="host=a")))
        assert complaint.startswith("no such phone is free: "), complaint
        await self.reopen()
        await self.join("a", 1, 2)
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        wanted = self.registry.reserve(wants(wait=1000))
        await self.registry.drain("a", False)
        await wanted

    async def test_unwatched(self) -> None:
        """
        A watcher that has enough hears no more.
        """
        watcher = await self.watcher()
        self.registry.unwatch(watcher)
        self.registry.unwatch(watcher)
        await self.join("a", 1)
        await self.passTime(0)
        assert watcher.changes == []

    async def test_renewalTold(self) -> None:
        """
        Watchers hear that a reservation goes on, as its host has to.
        """
        await self.join("a", 1)
        held = await self.registry.reserve(wants())
        watcher = await self.watcher()
        await self.registry.renew(held.token, held.key)
        await self.passTime(0)
        assert [one.what for one in watcher.changes] == [Renewed(held)]

    async def test_confirmed(self) -> None:
        """
        Watchers hear that a host enforces a reservation, and those that come later as well;
        nothing comes of it if it is over.
        """
        await self.join("a", 1)
        held = await self.registry.reserve(wants())
        watcher = await self.watcher()
        await self.registry.confirm(held.token)
        await self.passTime(0)
        assert [one.what for one in watcher.changes] == [Confirmed(held.token)]
        assert (await self.watcher()).known.confirmed == {held.token}
        await self.registry.release(held.token, held.key)
        await self.registry.confirm(held.token)
        assert (await self.watcher()).known.confirmed == set()
        await self.passTime(0)
        assert watcher.known.confirmed == set()

    async def test_drainTold(self) -> None:
        """
        Watchers hear, once, that a host is drained, and that it is so no longer.
        """
        watcher = await self.watcher()
        await self.registry.drain("a", True)
        await self.registry.drain("a", True)
        await self.registry.drain("a", False)
        await self.passTime(0)
        assert [one.what for one in watcher.changes] == [Drained("a", True), Drained("a", False)]
