# -*- test-case-name: tests.fleet.test_ledgermachine -*-
"""
Properties of L{muxd.fleet.ledger} that hold whatever happens.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import booleans, floats, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.ledger import Ledger
from muxd.fleet.values import (
    KEPT,
    Ended,
    Granted,
    PhoneRecord,
    Request,
    Reservation,
    Snapshot,
    Why,
    after,
)
from muxd.identity import udidKey
from tests.fleet.fleets import host, phone, udid, wants
from tests.running.properties import examples

HOSTS = sampled_from("abc")
PHONES = integers(1, 4)
WANTED = ("", f"udid={udid(1)}", "host=b", "label=x", "version>=17")


class LedgerMachine(RuleBasedStateMachine):
    """
    A fleet where anything happens, and a watcher that is to know it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ledger = Ledger(0, self.makeKey)
        self.keys = 0
        self.before = self.known = Snapshot(revision=0)
        self.leases: dict[str, int] = {}
        self.waiting: dict[int, tuple[Request, float]] = {}
        self.deadlines: dict[int, float] = {}
        self.held: dict[int, Reservation] = {}
        # All that wait, in the order of their coming: by their places, or by their numbers; and
        # until when places are kept whose connections are lost.
        self.queue: dict[str | int, Request] = {}
        self.kept: dict[str | int, float] = {}
        self.asked = 0
        # Those that had asked before for what they have been given.
        self.reclaimed: set[int] = set()
        self.highest = 0

    def makeKey(self) -> str:
        """
        The next key.
        """
        self.keys += 1
        return str(self.keys)

    def settle(self) -> None:
        """
        Take what has come of it, and see that every part of it makes sense.
        """
        changes = self.ledger.changes()
        revisions = [change.revision for change in changes]
        assert revisions == sorted(set(revisions))
        assert not revisions or revisions[0] > self.known.revision
        for change in changes:
            match change.what:
                case Granted(reservation):
                    # No token has been used before, and nothing else has the phone.
                    assert reservation.token > self.highest
                    self.highest = reservation.token
                    phones = [udidKey(one.udid) for one in self.held.values()]
                    assert udidKey(reservation.udid) not in phones
                    self.held[reservation.token] = reservation
                    self.deadlines[reservation.token] = self.now + reservation.term
                case Ended(reservation, how):
                    isOver = self.deadlines[reservation.token] <= self.now
                    assert isOver == (how == "it was not renewed in time")
                    del self.held[reservation.token]
        self.before, self.known = self.known, after(self.known, changes)
        for key in [key for key, end in self.kept.items() if end <= self.now]:
            del self.kept[key], self.queue[key]
        for outcome in self.ledger.outcomes():
            request, deadline = self.waiting.pop(outcome.job)
            key = request.place or outcome.job
            if isinstance(outcome.result, Reservation):
                assert outcome.result.user == request.user
                assert self.held.get(outcome.result.token) == outcome.result
                if not request.take and outcome.job not in self.reclaimed:
                    self.isNext(key, outcome.result)
                self.queue.pop(key, None)
            elif outcome.result.why is Why.OVER:
                # Its place is left to what asks again, or that has it by now, or a phone.
                assert request.place and (key in self.queue or self.hasLater(request))
            else:
                assert outcome.result.why is not Why.WAITED or deadline <= self.now
                self.queue.pop(key, None)

    def hasLater(self, request: Request) -> bool:
        """
        Whether a ticket has a phone that it has asked for later.
        """
        mine = [one for one in self.held.values() if one.place == request.place]
        return any(one.asked > request.asked for one in mine)

    def isNext(self, key: str | int, reservation: Reservation) -> None:
        """
        Nothing has overtaken another job that has come before.
        """
        (given,) = [one for one in self.known.phones if one.udid == reservation.udid]
        for other, before in self.queue.items():
            if other == key:
                return
            # One whose place is kept has one phone that waits for it, and no more.
            free = [*self.free(self.before), *self.free(self.known)]
            others = [one for one in free if one.key != given.key]
            isKept = other in self.kept and any(map(before.requirement.fits, others))
            assert isKept or not before.requirement.fits(given), (other, key)

    def free(self, snapshot: Snapshot) -> list[PhoneRecord]:
        """
        The phones that jobs may have.
        """
        held = {udidKey(one.udid) for one in snapshot.reservations}
        return [
            one
            for one in snapshot.phones
            if one.key not in held and one.host not in snapshot.draining
        ]

    @rule(name=HOSTS, term=sampled_from([2.0, 5.0]))
    def announce(self, name: str, term: float) -> None:
        """
        A host announces itself, perhaps once more.
        """
        lease = self.ledger.announce(self.now, host(name), term)
        assert lease is not None
        assert lease not in self.leases.values()
        self.leases[name] = lease
        self.settle()

    @rule(name=HOSTS)
    def keepAlive(self, name: str) -> None:
        """
        It is still there.
        """
        self.ledger.keepAlive(self.now, self.leases.get(name, 0))
        self.settle()

    @rule(name=HOSTS)
    def leave(self, name: str) -> None:
        """
        It goes.
        """
        self.ledger.leave(self.now, self.leases.get(name, 0))
        self.settle()
        assert all(one.host != name for one in self.known.phones) or name not in self.leases

    @rule(name=HOSTS, number=PHONES, version=sampled_from(["", "17.1"]), complete=booleans())
    def tell(self, name: str, number: int, version: str, complete: bool) -> None:
        """
        It has a phone.
        """
        told = phone(number, name, version=version, labels=("x",) if number == 2 else ())
        self.ledger.tell(self.now, self.leases.get(name, 0), [told], complete)
        self.settle()

    @rule(name=HOSTS, number=PHONES)
    def untell(self, name: str, number: int) -> None:
        """
        It has it no more.
        """
        self.ledger.untell(self.now, self.leases.get(name, 0), [udid(number)])
        self.settle()

    @rule(name=HOSTS, isDraining=booleans())
    def drain(self, name: str, isDraining: bool) -> None:
        """
        An operator drains a host, or no longer.
        """
        self.ledger.drain(self.now, name, isDraining)
        self.settle()

    @rule(
        text=sampled_from(WANTED),
        wait=sampled_from([0.0, 3.0, 9.0]),
        user=sampled_from("xy"),
        take=booleans(),
    )
    def ask(self, text: str, wait: float, user: str, take: bool) -> None:
        """
        A job wants a phone.
        """
        request = wants(text, wait=wait, user=user, take=take, term=4.0)
        number = self.ledger.ask(self.now, request)
        self.waiting[number] = (request, self.now + wait)
        if wait:
            self.queue[number] = request
        self.settle()

    @rule(text=sampled_from(WANTED[:2]), user=sampled_from("xy"), isAgain=booleans())
    def askWithTicket(self, text: str, user: str, isAgain: bool) -> None:
        """
        A job with a ticket wants a phone, perhaps again, whatever has become of that before.
        """
        self.asked += isAgain
        request = wants(
            text, wait=9.0, user=user, term=4.0, ticket="0" * 32, asked=self.asked * isAgain
        )
        had = [one for one in self.held.values() if one.place == request.place]
        number = self.ledger.ask(self.now, request)
        if any(one.asked < request.asked for one in had) and request.place not in self.queue:
            self.reclaimed.add(number)
        before = self.queue.get(request.place)
        if not self.hasLater(request) if before is None else before.asked <= request.asked:
            self.queue[request.place] = request
            self.kept.pop(request.place, None)
        self.waiting[number] = (request, self.now + 9.0)
        self.settle()

    @rule(which=integers(0, 5))
    def lose(self, which: int) -> None:
        """
        The connection of a job with a ticket is lost.
        """
        for key in [key for key in self.queue if isinstance(key, str)][which : which + 1]:
            self.ledger.keep(self.now, key)
            if key not in self.kept:
                (end,) = [end for one, end in self.waiting.values() if one.place == key]
                self.kept[key] = min(end, self.now + KEPT)
            self.settle()

    @rule(which=integers(0, 5))
    def withdraw(self, which: int) -> None:
        """
        A job gives up.
        """
        for number in list(self.waiting)[which : which + 1]:
            self.ledger.withdraw(self.now, number)
            request, _ = self.waiting[number]
            self.queue.pop(request.place or number, None)
            self.settle()
            self.waiting.pop(number, None)

    @rule(which=integers(0, 5), key=booleans())
    def renew(self, which: int, key: bool) -> None:
        """
        A job goes on, or something that is none says so.
        """
        for token, reservation in list(self.held.items())[which : which + 1]:
            renewed = self.ledger.renew(self.now, token, reservation.key if key else "0")
            self.settle()
            assert (renewed is not None) == (key and token in self.held)
            if renewed is not None:
                self.deadlines[token] = self.now + renewed.term

    @rule(which=integers(0, 5), key=booleans())
    def release(self, which: int, key: bool) -> None:
        """
        A job is done.
        """
        for token, reservation in list(self.held.items())[which : which + 1]:
            self.ledger.release(self.now, token, reservation.key if key else "0")
            self.settle()
            assert token not in self.held or not key

    @rule(seconds=floats(0.25, 6))
    def wait(self, seconds: float) -> None:
        """
        Time passes; perhaps nothing looks at it for a while.
        """
        self.now += seconds
        self.ledger.tick(self.now)
        self.settle()

    @rule()
    def restart(self) -> None:
        """
        The process is killed, and another one begins with what was remembered: hosts and jobs
        have to come again, and no reservation is lost.
        """
        self.settle()
        held, draining = dict(self.held), self.ledger.snapshot().draining
        revision = self.ledger.revision + 1000
        self.ledger = Ledger(revision, self.makeKey)
        for reservation in held.values():
            self.ledger.adopt(self.now, reservation)
            self.deadlines[reservation.token] = self.now + reservation.term
        self.ledger.adoptDraining(draining)
        for one in (self.waiting, self.queue, self.kept):
            one.clear()
        self.known = self.ledger.snapshot()
        assert {one.token for one in self.known.reservations} == set(held)

    @invariant()
    def agrees(self) -> None:
        """
        A watcher knows exactly what there is; no phone has two holders; what is in force is not
        over; every job that waits has time left, and is not kept waiting by nothing.
        """
        snapshot = self.ledger.snapshot()
        assert {one.key: one for one in self.known.phones} == {
            one.key: one for one in snapshot.phones
        }
        assert {one.name for one in self.known.hosts} == {one.name for one in snapshot.hosts}
        tokens = {one.token for one in snapshot.reservations}
        assert tokens == {one.token for one in self.known.reservations} == set(self.held)
        phones = [udidKey(one.udid) for one in snapshot.reservations]
        assert len(phones) == len(set(phones))
        assert all(self.deadlines[token] > self.now for token in tokens)
        assert all(one.host in {each.name for each in snapshot.hosts} for one in snapshot.phones)
        free = self.free(snapshot)
        meant = [self.queue[key].requirement for key in self.kept]
        for request, deadline in self.waiting.values():
            assert deadline > self.now
            # What is free and fits it is kept for others, one phone for each.
            fitting = [one for one in free if request.requirement.fits(one)]
            assert len(fitting) <= len(meant)
            assert all(any(each.fits(one) for each in meant) for one in fitting)
        assert len(self.ledger.waiting(self.now)) == len(self.queue)
        assert len(self.queue) == len(self.waiting) + len(self.kept)


class LedgerMachineTests(SynchronousTestCase):
    """
    L{muxd.fleet.ledger.Ledger} against anything.
    """

    def test_machine(self) -> None:
        """
        After whatever happens: no phone with two holders, no job forgotten, no reservation
        lost, no token used twice, and everything known by those that watch.
        """
        run_state_machine_as_test(
            LedgerMachine, settings=settings(max_examples=examples(30), stateful_step_count=30)
        )
