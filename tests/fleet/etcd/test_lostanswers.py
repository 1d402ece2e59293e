# -*- test-case-name: tests.fleet.etcd.test_lostanswers -*-
"""
Tests of what etcd does, and of which the hub does not hear: L{muxd.fleet.etcd.grants}, and what
ends reservations.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muxd.fleet.etcd.keys import VALUES, Held, Keys, Kind
from muxd.fleet.etcd.places import RENEWED
from muxd.fleet.values import KEPT, FleetError, Request, Reservation, Why
from tests.fleet.contract import RegistryHelp
from tests.fleet.etcd.cases import NODES, EtcdCase
from tests.fleet.fleets import phone, wants
from tests.fleet.ticketcontract import waits

TERM = 3600.0
"""Seconds of the reservations here: what is not ended stays."""

TXN = "/v3/kv/txn"
GRANT = "/v3/lease/grant"
REVOKE = "/v3/lease/revoke"

AWAY = 9.0
"""Seconds that etcd is away."""


def writes(said: Any, kind: bytes) -> bool:
    """
    Whether a transaction writes a key of a kind.
    """
    keys = [act["request_put"]["key"] for act in said.get("success", ()) if "request_put" in act]
    return any(b"/%b/" % kind in b64decode(key) for key in keys)


class LostAnswersTests(EtcdCase, RegistryHelp):
    """
    Tests of answers that are lost.

    @ivar held: The reservation of the only phone.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.found: dict[Deferred[Any], list[Any]] = {}

    async def full(self) -> None:
        """
        A job has the only phone.
        """
        await self.join("a", 1, term=100000)
        self.held: Reservation = await self.registry.reserve(wants(term=TERM))

    def ask(self, request: Request) -> list[Any]:
        """
        What comes of a request, once something has: a reservation, or why there is none.
        """
        found: list[Any] = []

        def failed(failure: Failure) -> None:
            error = failure.value
            assert isinstance(error, FleetError), failure
            found.append(error.why)

        self.registry.reserve(request).addCallbacks(found.append, failed)
        return found

    def settle(self, seconds: float) -> None:
        """
        Let time pass.
        """
        for _ in range(int(2 * seconds)):
            self.clock.advance(0.5)

    def lose(self, path: str, kind: bytes = b"", isAway: bool = False) -> list[Any]:
        """
        The next answer to something is lost.

        @param kind: Of the keys that it is about.
        @param isAway: Whether nothing is heard of etcd from then on, until it is L{back}.
        @return: What was asked, once it is.
        """
        lost: list[Any] = []

        def loses(asked: str, said: Any) -> bool:
            isIt = not lost and asked == path and (not kind or writes(said, kind))
            if isIt:
                lost.append(said)
                if isAway:
                    self.goAway()
            return isIt

        self.etcd.loses = loses
        return lost

    def goAway(self) -> None:
        """
        Nothing is heard of etcd any more.
        """
        self.etcd.isMute = True
        self.etcd.refusing.update(NODES)

    def back(self) -> None:
        """
        It is there again; what it has said meanwhile is told to whoever asks.
        """
        self.etcd.cutWatches()
        self.etcd.refusing.clear()
        self.etcd.isMute = False

    def release(self, held: Reservation | None = None) -> None:
        """
        A job is done with its phone, whatever it is told.
        """
        held = held or self.held
        self.registry.release(held.token, held.key).addErrback(lambda f: f.trap(FleetError))

    def renewed(self, held: Reservation) -> list[Reservation]:
        """
        What comes of renewing a reservation.
        """
        found: list[Reservation] = []
        self.registry.renew(held.token, held.key).addCallback(found.append)
        # Others may be waited for at a node that is frozen.
        self.settle(6)
        return found

    def holder(self) -> list[str]:
        """
        Which job has the phone.
        """
        there = [key for key in self.etcd.entries if b"/held/" in key]
        found = [one.reservation.user for one in self.registry._mirror.held.values()]
        self.assertEqual(len(found), len(there))
        return found

    async def queue(self) -> list[str]:
        """
        Which jobs wait.
        """
        return [one.user for one in await self.registry.waiting()]

    async def test_place(self) -> None:
        """
        A job is given a phone when it is its turn, although the answer to that is lost; with a
        ticket or without.
        """
        for first in (waits("x", term=TERM), wants(user="x", wait=1000, term=TERM)):
            await self.full()
            x, y = self.ask(first), self.ask(waits("y", term=TERM))
            self.assertEqual(await self.queue(), ["x", "y"])
            lost = self.lose(TXN, b"held")
            self.release()
            self.settle(1)
            self.assertEqual(len(lost), 1)
            self.assertEqual(([one.user for one in x], y), (["x"], []))
            self.assertEqual(self.holder(), ["x"])
            self.assertEqual(await self.queue(), ["y"])
            self.release(x[0])
            self.settle(1)
            self.release(y[0])
            self.settle(1)

    async def test_away(self) -> None:
        """
        The same where nothing more is heard of etcd for a while.
        """
        for first in (waits("x", term=TERM), wants(user="x", wait=1000, term=TERM)):
            await self.full()
            x, y = self.ask(first), self.ask(waits("y", term=TERM))
            lost = self.lose(TXN, b"held", isAway=True)
            self.release()
            self.settle(AWAY)
            self.assertEqual((len(lost), x, y), (1, [], []))
            self.back()
            self.settle(4)
            self.assertEqual(([one.user for one in x], y), (["x"], []))
            self.assertEqual(self.holder(), ["x"])
            self.assertEqual(self.renewed(x[0]), [x[0]])
            self.release(x[0])
            self.settle(1)
            self.release(y[0])
            self.settle(1)

    async def test_notDone(self) -> None:
        """
        The same where it had not been done.
        """
        await self.full()
        x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))

        def goAway(path: str, said: Any) -> bool:
            if path == GRANT:
                self.goAway()
            return False

        self.etcd.loses = goAway
        self.release()
        self.settle(AWAY)
        self.assertEqual(self.holder(), [])
        self.etcd.loses = lambda path, said: False
        self.back()
        self.settle(4)
        self.assertEqual(([one.user for one in x], y), (["x"], []))
        self.assertEqual(await self.queue(), ["y"])

    async def test_lateCopy(self) -> None:
        """
        What a frozen node was asked for is done by the next one; when the frozen one goes on,
        and does it as well, nothing comes of that.
        """
        await self.full()
        x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))
        frozen: list[Any] = []

        def freeze(path: str, said: Any) -> bool:
            if path == GRANT and not frozen:
                frozen.append(said)
                self.etcd.frozen.add(self.registry._gateway.place)
            return False

        self.etcd.loses = freeze
        self.release()
        self.settle(8)
        self.assertEqual(([one.user for one in x], y), (["x"], []))
        for work in self.etcd.late:
            self.etcd.later(work)
        self.assertEqual(self.holder(), ["x"])
        self.assertEqual(self.renewed(x[0]), [x[0]])
        self.release(x[0])
        self.settle(1)
        self.assertEqual([one.user for one in y], ["y"])
        self.release(y[0])
        self.settle(1)
        self.etcd.thaw()
        self.settle(1)
        self.assertEqual(self.holder(), [])
        self.assertEqual(await self.queue(), [])

    async def test_anew(self) -> None:
        """
        A job that asks again for what it was given has it, although the answer to that is lost.
        """
        await self.full()
        x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))
        self.release()
        self.assertEqual([one.user for one in x], ["x"])
        lost = self.lose(TXN, b"held")
        again = self.ask(waits("x", asked=1, term=TERM))
        self.settle(1)
        self.assertEqual((len(lost), [one.user for one in again], y), (1, ["x"], []))
        self.assertGreater(again[0].token, x[0].token)
        self.assertEqual(self.holder(), ["x"])

    async def test_anewAway(self) -> None:
        """
        Where etcd is away then, the job is refused, and has the phone if it asks again soon.
        """
        await self.full()
        x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))
        self.release()
        self.lose(TXN, b"held", isAway=True)
        again = self.ask(waits("x", asked=1, term=TERM))
        self.settle(AWAY)
        self.assertEqual((len(x), again, y), (1, [Why.STALE], []))
        self.back()
        self.settle(3)
        third = self.ask(waits("x", asked=2, term=TERM))
        self.settle(KEPT + 2)
        self.assertEqual(([one.user for one in third], y), (["x"], []))
        self.assertEqual(self.holder(), ["x"])

    async def test_refusedAway(self) -> None:
        """
        A job that is refused, as nothing is heard of etcd when it is given a free phone, leaves
        that free: at once, or when it could have asked again with its ticket.
        """
        await self.full()
        self.release()
        for request, kept in ((wants(user="x", term=TERM), 0.0), (waits("x", term=TERM), KEPT)):
            self.lose(TXN, b"held", isAway=True)
            x = self.ask(request)
            self.settle(AWAY)
            self.assertEqual(x, [Why.STALE])
            self.back()
            self.settle(3)
            y = self.ask(waits("y", term=TERM))
            self.assertEqual(len(y), 0 if kept else 1)
            self.settle(kept)
            self.assertEqual([one.user for one in y], ["y"])
            self.release(y[0])
            self.settle(1)

    async def test_givenUp(self) -> None:
        """
        A job that gives up while nothing is known of its phone has none, and the next one has it.
        """
        await self.full()
        for first in (waits("x", term=TERM), wants(user="x", wait=1000, term=TERM)):
            wanted = self.registry.reserve(first)
            wanted.addErrback(lambda _: None)
            y = self.ask(waits("y", term=TERM))
            self.lose(TXN, b"held", isAway=True)
            self.release()
            self.settle(AWAY / 2)
            wanted.cancel()
            self.settle(AWAY / 2)
            self.back()
            self.settle(4)
            self.assertEqual([one.user for one in y], ["y"])
            self.assertEqual(self.holder(), ["y"])
            self.held = y[0]

    async def test_lostBefore(self) -> None:
        """
        A job whose connection is lost just before it is given a phone, and that does not ask
        again, leaves that to the next one.
        """
        await self.full()
        x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))
        lost = self.lose(TXN, b"held", isAway=True)
        loses = self.etcd.loses

        def keep(path: str, said: Any) -> bool:
            if path == GRANT and not lost:
                self.registry.keepPlace(waits("x", term=TERM))
            return loses(path, said)

        self.etcd.loses = keep
        self.release()
        self.settle(AWAY)
        self.back()
        self.settle(KEPT - AWAY - 1)
        self.assertEqual((len(lost), self.holder(), x, y), (1, ["x"], [Why.OVER], []))
        self.settle(4)
        self.assertEqual([one.user for one in y], ["y"])

    async def test_foundLater(self) -> None:
        """
        A job that waits, and finds that another hub has given it a phone before it came here, has
        that, although the answer is lost.
        """
        await self.full()
        request = waits("x", asked=1, term=TERM)
        x, y = self.ask(request), self.ask(waits("y", term=TERM))
        ((place, entry),) = list(self.registry._mirror.queue.items())[:1]
        self.etcd.revoke(entry.lease)
        before = Held.of(phone(1), replace(request, asked=0), "k")
        self.etcd.put(Keys("/t").of(Kind.HELD, phone(1).key), VALUES.encode(before))
        self.assertIn(place, self.registry._mirror.heldIn)
        lost = self.lose(TXN, b"held", isAway=True)
        self.settle(RENEWED + AWAY)
        self.assertEqual((len(lost), x, y), (1, [], []))
        self.back()
        self.settle(4)
        self.assertEqual(([one.user for one in x], y), (["x"], []))
        self.assertEqual(self.holder(), ["x"])

    async def test_dueMeanwhile(self) -> None:
        """
        A job whose time is over while nothing is known of its phone is told so, and the next one
        has it.
        """
        await self.full()
        x = self.ask(wants(user="x", wait=5, term=TERM, ticket="2" * 32))
        y = self.ask(waits("y", term=TERM))
        self.lose(TXN, b"held", isAway=True)
        self.release()
        self.settle(6)
        self.assertEqual((x, y), ([Why.WAITED], []))
        self.back()
        self.settle(4)
        self.assertEqual([one.user for one in y], ["y"])

    async def test_lostMeanwhile(self) -> None:
        """
        A job whose connection is lost while nothing is known of its phone has that, or its place,
        when it asks again; if it does not, the next one has the phone.
        """
        for isBack in (True, False):
            await self.full()
            x, y = self.ask(waits("x", term=TERM)), self.ask(waits("y", term=TERM))
            self.lose(TXN, b"held", isAway=True)
            self.release()
            self.settle(AWAY)
            self.registry.keepPlace(waits("x", term=TERM))
            self.back()
            self.settle(3)
            self.assertEqual((x, y), ([Why.OVER], []))
            if isBack:
                again = self.ask(waits("x", asked=1, term=TERM))
                self.settle(KEPT + RENEWED)
                self.assertEqual(([one.user for one in again], y), (["x"], []))
                self.release(again[0])
                self.settle(1)
            else:
                self.settle(KEPT + 2)
            self.assertEqual([one.user for one in y], ["y"])
            self.release(y[0])
            self.settle(1)

    async def test_released(self) -> None:
        """
        A phone that is given back while nothing is heard of etcd is free when that is back, and
        not only when the reservation's term is over; with the answer lost, or the question.
        """
        for isDone in (True, False):
            await self.full()
            y = self.ask(waits("y", term=TERM))
            if isDone:
                self.lose(REVOKE, isAway=True)
            else:
                self.goAway()
            self.release()
            self.settle(AWAY)
            self.assertEqual(y, [])
            self.back()
            self.settle(4)
            self.assertEqual([one.user for one in y], ["y"])
            self.release(y[0])
            self.settle(1)

    async def test_releasedAndHeard(self) -> None:
        """
        When a job is told that its phone is given back, its hub knows of it, also where the first
        answer was lost.
        """
        await self.full()
        lost = self.lose(REVOKE)
        known: list[object] = []
        self.etcd.isMute = True
        released = self.registry.release(self.held.token, self.held.key)
        released.addCallback(lambda _: known.append(self.holder()))
        self.settle(1)
        self.assertEqual((len(lost), known), (1, []))
        self.etcd.isMute = False
        self.settle(2)
        self.assertEqual(known, [[]])
