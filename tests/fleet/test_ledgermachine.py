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
from muxd.fleet.values import Ended, Granted, Request, Reservation, Snapshot, Why, after
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
        self.known = Snapshot(revision=0)
        self.leases: dict[str, int] = {}
        self.waiting: dict[int, tuple[Request, float]] = {}
        self.deadlines: dict[int, float] = {}
        self.held: dict[int, Reservation] = {}
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
        self.known = after(self.known, changes)
        for outcome in self.ledger.outcomes():
            request, deadline = self.waiting.pop(outcome.job)
            if isinstance(outcome.result, Reservation):
                assert outcome.result.user == request.user
                assert self.held.get(outcome.result.token) == outcome.result
            else:
                assert outcome.result.why is not Why.WAITED or deadline <= self.now

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
        self.settle()

    @rule(which=integers(0, 5))
    def withdraw(self, which: int) -> None:
        """
        A job gives up.
        """
        for number in list(self.waiting)[which : which + 1]:
            self.ledger.withdraw(self.now, number)
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
        self.waiting.clear()
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
        free = [
            one
            for one in snapshot.phones
            if one.key not in phones and one.host not in snapshot.draining
        ]
        for request, deadline in self.waiting.values():
            assert deadline > self.now
            assert not any(request.requirement.fits(one) for one in free)
        assert len(self.ledger.waiting(self.now)) == len(self.waiting)


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
