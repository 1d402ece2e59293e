"""
What every registry of a fleet has to do for jobs with tickets, as tests that are run against each
kind.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muxd.fleet.values import KEPT, Request, Reservation, Why
from tests.fleet.contract import RegistryHelp
from tests.fleet.fleets import phone, udid, wants

TICKET, OTHER = "0" * 32, "1" * 32


def waits(user: str, ticket: str = TICKET, text: str = "", **more: Any) -> Request:
    """
    What a job with a ticket wants.
    """
    return wants(text, user=user, ticket=ticket, wait=1000, **more)


class TicketContract(RegistryHelp):
    """
    Tests of jobs that ask again.
    """

    async def taken(self, *numbers: int) -> Reservation:
        """
        A job has the first of these phones of a host that stays.
        """
        await self.join("a", *(numbers or (1,)), term=1000)
        held: Reservation = await self.registry.reserve(wants("", term=1000))
        return held

    async def release(self, held: Reservation) -> None:
        """
        A job is done.
        """
        await self.registry.release(held.token, held.key)

    async def pass_(self, seconds: float) -> None:
        """
        Let much time pass, in small steps.
        """
        for _ in range(10):
            await self.passTime(seconds / 10)

    async def users(self) -> list[str]:
        """
        The queue.
        """
        return [one.user for one in await self.registry.waiting()]

    async def test_placeKept(self) -> None:
        """
        A job whose connection is lost, and that asks again in time, is served before those that
        have come after it, also if a phone became free meanwhile.
        """
        held = await self.taken()
        lost = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        assert await self.users() == ["x", "y"]
        self.registry.keepPlace(waits("x"))
        assert await self.failure(lost) is Why.OVER
        await self.release(held)
        await self.pass_(KEPT / 2)
        assert await self.users() == ["x", "y"]
        held = await self.registry.reserve(waits("x", asked=1))
        assert held.user == "x"
        assert await self.users() == ["y"]
        await self.release(held)
        assert (await later).user == "y"

    async def test_ticketOfAnother(self) -> None:
        """
        What another user has got hold of is no ticket: neither for a place, nor for a phone.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x"))
        stranger = self.registry.reserve(waits("z", asked=1))
        assert await self.users() == ["x", "z"]
        await self.release(held)
        held = await first
        assert held.user == "x"
        second = self.registry.reserve(waits("z", asked=2))
        assert await self.failure(stranger) is Why.OVER
        assert (await self.registry.renew(held.token, held.key)) == held
        second.cancel()
        await self.ends(second)

    async def test_otherPhones(self) -> None:
        """
        A place for some phones is none for others.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x", text="label=rare"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        second = self.registry.reserve(waits("x", asked=1))
        assert await self.users() == ["x", "y", "x"]
        await self.release(held)
        assert (await later).user == "y"
        for each in (first, second):
            each.cancel()
            await self.ends(each)

    async def test_askedTwice(self) -> None:
        """
        Of two that ask with one ticket, the later one has the place, and the other is told; one
        that comes late is told, too.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        assert await self.users() == ["x", "y"]
        second = self.registry.reserve(waits("x", asked=2))
        assert await self.failure(first) is Why.OVER
        assert await self.failure(self.registry.reserve(waits("x", asked=1))) is Why.OVER
        assert await self.users() == ["x", "y"]
        await self.release(held)
        await self.release(await second)
        await later

    async def test_grantedAgain(self) -> None:
        """
        A job that was given a phone and does not know has it when it asks again, with another
        token; the first one is worth nothing any more.
        """
        await self.join("a", 1, 2, term=1000)
        watcher = await self.watcher()
        first = await self.registry.reserve(waits("x"))
        second = await self.registry.reserve(waits("x", asked=1))
        assert second.udid == first.udid
        assert second.token > first.token and second.key != first.key
        assert await self.failure(self.registry.renew(first.token, first.key)) is Why.OVER
        await self.release(first)
        await self.passTime(0)
        assert watcher.tokens == [second.token]
        assert (await self.registry.renew(second.token, second.key)) == second

    async def test_grantedOnce(self) -> None:
        """
        One that has given it back, or has not asked again, is given another one.
        """
        await self.join("a", 1, 2, term=1000)
        first = await self.registry.reserve(waits("x"))
        second = await self.registry.reserve(waits("x"))
        assert {first.udid, second.udid} == {udid(1), udid(2)}
        for each in (first, second):
            await self.release(each)
        third = await self.registry.reserve(waits("x", asked=1))
        assert third.token > second.token

    async def test_grantedAgainUnseen(self) -> None:
        """
        It has the phone also while that is drained, or is not there at the moment, as it would if
        it had known.
        """
        lease = await self.join("a", 1, term=1000)
        first = await self.registry.reserve(waits("x"))
        await self.registry.drain("a", True)
        second = await self.registry.reserve(waits("x", asked=1))
        await self.registry.untell(lease, [udid(1)])
        third = await self.registry.reserve(waits("x", asked=2))
        assert first.token < second.token < third.token

    async def test_newcomer(self) -> None:
        """
        A job that comes and finds a free phone does not have it if it is meant for one whose
        place is kept; another one that is free it has.
        """
        lease = await self.join("a", term=1000)
        lost = self.registry.reserve(waits("x", text=udid(1)))
        await self.passTime(0)
        self.registry.keepPlace(waits("x", text=udid(1)))
        assert await self.failure(lost) is Why.OVER
        await self.registry.tell(lease, [phone(1)], True)
        complaint = await self.complaint(self.registry.reserve(wants()))
        assert "wait" in complaint, complaint
        await self.registry.tell(lease, [phone(2)])
        assert (await self.registry.reserve(wants())).udid == udid(2)
        assert (await self.registry.reserve(waits("x", text=udid(1), asked=1))).udid == udid(1)

    async def test_keptOne(self) -> None:
        """
        For a job whose place is kept one phone is kept; others that are free go to those that
        have come after it, and to one that comes now.
        """
        await self.join("a", 1, 2, 3, 4, term=1000)
        held = [await self.registry.reserve(wants(term=1000)) for _ in range(4)]
        lost = self.registry.reserve(waits("x"))
        later = [self.registry.reserve(wants(user=name, wait=1000)) for name in "yz"]
        assert await self.users() == ["x", "y", "z"]
        self.registry.keepPlace(waits("x"))
        assert await self.failure(lost) is Why.OVER
        for each in held:
            await self.release(each)
        assert [(await each).user for each in later] == ["y", "z"]
        await self.registry.reserve(wants())
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        assert await self.users() == ["x"]
        assert (await self.registry.reserve(waits("x", asked=1))).user == "x"

    async def test_keptTwo(self) -> None:
        """
        For each of two one is kept that it fits, and that is not the other's.
        """
        await self.join("a", 1, 2, 3, term=1000)
        held = [await self.registry.reserve(wants(term=1000)) for _ in range(3)]
        wanted = [("x", ""), ("y", udid(1))]
        lost = [self.registry.reserve(waits(name, text=text)) for name, text in wanted]
        later = self.registry.reserve(wants(user="z", wait=1000))
        assert await self.users() == ["x", "y", "z"]
        for (name, text), each in zip(wanted, lost, strict=True):
            self.registry.keepPlace(waits(name, text=text))
            assert await self.failure(each) is Why.OVER
        for each in reversed(held):
            await self.release(each)
        assert (await later).udid == udid(2)
        for (name, text), number in zip(wanted, (3, 1), strict=True):
            again = await self.registry.reserve(waits(name, text=text, asked=1))
            assert again.udid == udid(number)

    async def test_keptAnother(self) -> None:
        """
        If the phone that is kept goes, another one is kept that is free.
        """
        lease = await self.join("a", 1, 2, term=1000)
        held = [await self.registry.reserve(wants(text, term=1000)) for text in (udid(1), udid(2))]
        lost = self.registry.reserve(waits("x"))
        await self.passTime(0)
        self.registry.keepPlace(waits("x"))
        assert await self.failure(lost) is Why.OVER
        for each in held:
            await self.release(each)
        other = await self.registry.reserve(wants())
        assert other.udid == udid(2)
        await self.release(other)
        await self.registry.untell(lease, [udid(1)])
        assert await self.failure(self.registry.reserve(wants())) is Why.TAKEN
        assert (await self.registry.reserve(waits("x", asked=1))).udid == udid(2)

    async def test_forsaken(self) -> None:
        """
        A job with a ticket that gives up is out of the queue at once.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        assert await self.users() == ["x", "y"]
        first.cancel()
        await self.ends(first)
        await self.release(held)
        assert (await later).user == "y"

    async def test_ticketInVain(self) -> None:
        """
        A job that asks again is told when what is left of its time is over.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x"))
        again = self.registry.reserve(wants(user="x", ticket=TICKET, asked=1, wait=3))
        assert await self.failure(first) is Why.OVER
        await self.pass_(6)
        assert await self.failure(again) is Why.WAITED
        assert await self.users() == []
        await self.release(held)
        await self.registry.reserve(wants())

    async def test_harmless(self) -> None:
        """
        A place that there is not cannot be kept, and nothing comes of trying to.
        """
        held = await self.taken()
        self.registry.keepPlace(waits("x"))
        self.registry.keepPlace(wants(user="x", wait=1000))
        waiting = self.registry.reserve(wants(user="y", wait=1000))
        self.registry.keepPlace(wants(user="y", wait=1000))
        assert await self.users() == ["y"]
        await self.release(held)
        assert (await waiting).user == "y"

    async def test_tooManyPlaces(self) -> None:
        """
        Places that are kept count as much as others; one that asks again needs no further one.
        """
        held = await self.taken()
        self.mostWaiting(2)
        one, other = (self.registry.reserve(waits("x", ticket)) for ticket in (TICKET, OTHER))
        assert await self.users() == ["x", "x"]
        self.registry.keepPlace(waits("x"))
        assert await self.failure(one) is Why.OVER
        assert await self.failure(self.registry.reserve(waits("x", "2" * 32))) is Why.TOO_MANY
        again = self.registry.reserve(waits("x", asked=1))
        assert await self.users() == ["x", "x"]
        await self.release(held)
        await again
        other.cancel()
        await self.ends(other)

    def mostWaiting(self, number: int) -> None:
        """
        Have no more jobs of a user wait.
        """
        raise NotImplementedError

    async def ends(self, cancelled: Deferred[Any]) -> None:
        """
        Something that was cancelled has ended.
        """
        cancelled.addErrback(lambda _: None)
        await cancelled


class LastingTicketContract(TicketContract):
    """
    The same, and what takes longer than a place is kept: where time need not pass in earnest.
    """

    async def test_placeKeptAgain(self) -> None:
        """
        However often that happens.
        """
        held = await self.taken()
        lost = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        for asked in range(1, 4):
            self.registry.keepPlace(waits("x", asked=asked - 1))
            assert await self.failure(lost) is Why.OVER
            await self.pass_(KEPT / 2)
            lost = self.registry.reserve(waits("x", asked=asked))
            await self.pass_(2 * KEPT)
            assert await self.users() == ["x", "y"]
        await self.release(held)
        await self.release(await lost)
        await later

    async def test_placeLapses(self) -> None:
        """
        One that does not ask again keeps the next one waiting for a while, and no longer.
        """
        held = await self.taken()
        lost = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        assert await self.users() == ["x", "y"]
        self.registry.keepPlace(waits("x"))
        assert await self.failure(lost) is Why.OVER
        await self.release(held)
        await self.pass_(KEPT * 0.9)
        assert await self.users() == ["x", "y"]
        await self.pass_(KEPT)
        assert (await later).user == "y"
        assert await self.users() == []
        again = self.registry.reserve(waits("x", asked=1))
        assert await self.users() == ["x"]
        again.cancel()
        await self.ends(again)

    async def test_waitsOn(self) -> None:
        """
        A job with a ticket that keeps its connection stays in its place for as long as it waits.
        """
        held = await self.taken()
        first = self.registry.reserve(waits("x"))
        later = self.registry.reserve(wants(user="y", wait=1000))
        await self.pass_(4 * KEPT)
        await self.release(held)
        await self.release(await first)
        await later
