# -*- test-case-name: tests.fleet.etcd.test_machine -*-
"""
Two hubs with one etcd in memory, whatever happens to them, and in whichever order.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import booleans, integers, sampled_from
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.etcd.gateway import Gateway
from muxd.fleet.etcd.keys import Keys
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.values import FleetError, Request, Reservation
from tests.fleet.etcd.cases import NODES, Names
from tests.fleet.etcd.engine import FakeEtcd
from tests.fleet.fleets import host, phone, wants
from tests.fleet.watching import Watcher
from tests.running.properties import examples

HUBS = integers(0, 1)
HOSTS = sampled_from("ab")
PHONES = integers(1, 3)
TERMS = sampled_from((20.0, 1000.0))
"""Seconds of reservations: some are over by themselves, others are not."""

WAIT = 40.0
"""Seconds that jobs wait, if they do."""


class TwoHubs(RuleBasedStateMachine):
    """
    Two hubs, two hosts, three phones that both may have, and jobs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.etcd = FakeEtcd(self.clock)
        self.names = Names()
        self.watchers = [Watcher(), Watcher()]
        self.hubs = [self.make(0), self.make(1)]
        self.leases: dict[str, tuple[int, int]] = {}
        self.held: list[Reservation] = []
        self.tokens: set[int] = set()
        self.jobs: list[Deferred[Any]] = []
        self.asked: dict[Deferred[Any], float] = {}
        self.again = 0
        self.hasRestarted = False

    def make(self, number: int) -> EtcdRegistry:
        """
        A hub's registry.
        """
        gateway = Gateway(self.clock, self.etcd, NODES)
        registry = EtcdRegistry(self.clock, gateway, Keys("/t"), makeName=self.names)
        registry.start()
        self.watchers[number] = Watcher()
        registry.watch(self.watchers[number])
        return registry

    def ask(self, asked: Deferred[Any], seconds: float = 0.0) -> None:
        """
        Something that has to be answered, with what it is or why it is not done.

        @param seconds: For how long it may take, besides what etcd does.
        """
        self.asked[asked] = self.clock.seconds() + seconds

        def answered(result: Any) -> None:
            self.asked.pop(asked, None)
            if isinstance(result, Failure):
                result.trap(FleetError, CancelledError)
            elif isinstance(result, Reservation) and result.token not in self.tokens:
                # No token has been used before, by whichever hub.
                assert result.token > max(self.tokens, default=0)
                self.tokens.add(result.token)
                self.held.append(result)

        asked.addBoth(answered)

    @rule(hub=HUBS, name=HOSTS)
    def announce(self, hub: int, name: str) -> None:
        """
        A host is connected to a hub.
        """
        announced = self.hubs[hub].announce(host(name), 10)
        announced.addCallback(lambda lease: self.leases.update({name: (hub, lease)}))
        self.ask(announced)

    @rule(name=HOSTS, number=PHONES, isComplete=booleans())
    def tell(self, name: str, number: int, isComplete: bool) -> None:
        """
        A host has a phone.
        """
        hub, lease = self.leases.get(name, (0, 0))
        self.ask(self.hubs[hub].tell(lease, [phone(number, name)], isComplete))

    @rule(name=HOSTS)
    def keepAlive(self, name: str) -> None:
        """
        A host is still there.
        """
        hub, lease = self.leases.get(name, (0, 0))
        self.ask(self.hubs[hub].keepAlive(lease))

    @rule(name=HOSTS)
    def leave(self, name: str) -> None:
        """
        A host leaves.
        """
        hub, lease = self.leases.get(name, (0, 0))
        self.ask(self.hubs[hub].leave(lease))

    @rule(hub=HUBS, name=HOSTS, isDraining=booleans())
    def drain(self, hub: int, name: str, isDraining: bool) -> None:
        """
        A host is drained, or no longer.
        """
        self.ask(self.hubs[hub].drain(name, isDraining))

    @rule(hub=HUBS, wait=sampled_from((0.0, WAIT)), what=sampled_from(("", "host=a")), term=TERMS)
    def reserve(self, hub: int, wait: float, what: str, term: float) -> None:
        """
        A job wants a phone.
        """
        asked = self.hubs[hub].reserve(wants(what, wait=wait, term=term))
        self.jobs.append(asked)
        self.ask(asked, wait)

    @rule(hub=HUBS, user=sampled_from("xy"), isAgain=booleans())
    def reserveWithTicket(self, hub: int, user: str, isAgain: bool) -> None:
        """
        A job with a ticket wants a phone, perhaps again, at whichever hub.
        """
        self.again += isAgain
        asked = self.hubs[hub].reserve(self.wants(user, self.again * isAgain))
        self.jobs.append(asked)
        self.ask(asked, WAIT)

    @rule(hub=HUBS, user=sampled_from("xy"))
    def lose(self, hub: int, user: str) -> None:
        """
        The connection of one is lost.
        """
        self.hubs[hub].keepPlace(self.wants(user, self.again))

    def wants(self, user: str, asked: int) -> Request:
        """
        What a job with a ticket wants.
        """
        return wants(user=user, wait=WAIT, term=1000, ticket="0" * 32, asked=asked)

    @rule(hub=HUBS)
    def take(self, hub: int) -> None:
        """
        A job takes one.
        """
        self.ask(self.hubs[hub].reserve(wants(take=True, term=1000)))

    @rule(which=integers(0, 7))
    def withdraw(self, which: int) -> None:
        """
        A job does not want a phone any more.
        """
        for asked in self.jobs[which : which + 1]:
            self.jobs.remove(asked)
            asked.cancel()

    @rule(hub=HUBS, which=integers(0, 5))
    def renew(self, hub: int, which: int) -> None:
        """
        A job goes on.
        """
        for one in self.held[which : which + 1]:
            self.ask(self.hubs[hub].renew(one.token, one.key))

    @rule(hub=HUBS, which=integers(0, 5))
    def release(self, hub: int, which: int) -> None:
        """
        A job is done.
        """
        for one in self.held[which : which + 1]:
            self.held.remove(one)
            self.ask(self.hubs[hub].release(one.token, one.key))

    @rule(seconds=integers(1, 7))
    def wait(self, seconds: int) -> None:
        """
        Time passes.
        """
        for _ in range(2 * seconds):
            self.clock.advance(0.5)

    @rule(hub=HUBS)
    def restart(self, hub: int) -> None:
        """
        A hub is stopped, and another one is started.
        """
        self.hasRestarted = True
        self.hubs[hub].stop()
        self.hubs[hub] = self.make(hub)

    @rule(node=sampled_from(NODES), how=sampled_from(("frozen", "refusing", "mute", "back")))
    def trouble(self, node: str, how: str) -> None:
        """
        A node says nothing, or is away, or its watches are silent; or all are back.
        """
        self.etcd.isMute = how == "mute"
        if how == "frozen":
            self.etcd.frozen.add(node)
        elif how == "refusing":
            self.etcd.refusing.add(node)
        else:
            self.etcd.frozen.clear()
            self.etcd.refusing.clear()

    @rule(path=sampled_from(("kv/txn", "lease/grant", "lease/revoke")), isAway=booleans())
    def loseAnswer(self, path: str, isAway: bool) -> None:
        """
        The answer to what is asked for next is lost, and perhaps nothing is heard any more.
        """
        lost: list[str] = []

        def loses(asked: str, said: Any) -> bool:
            isIt = not lost and asked == f"/v3/{path}"
            if isIt:
                lost.append(asked)
                if isAway:
                    self.etcd.isMute = True
                    self.etcd.refusing.update(NODES)
            return isIt

        self.etcd.loses = loses

    @rule(isCompacted=booleans())
    def cut(self, isCompacted: bool) -> None:
        """
        All watches are cut, and perhaps what they would go on from is forgotten.
        """
        if isCompacted:
            self.etcd.compact(self.etcd.revision)
        self.etcd.cutWatches()

    @rule(which=integers(0, 7))
    def lapse(self, which: int) -> None:
        """
        A lease is over, whosever it is.
        """
        for number in list(self.etcd.leases)[which : which + 1]:
            self.etcd.revoke(number)

    @invariant()
    def oneHolder(self) -> None:
        """
        A watcher knows of one reservation of a phone at most, and what its hub does.
        """
        for hub, watcher in zip(self.hubs, self.watchers, strict=True):
            phones = [one.udid for one in watcher.known.reservations]
            assert len(phones) == len(set(phones))
            if hub._isLoaded:
                assert set(watcher.tokens) == set(hub._mirror.byToken)
                assert {one.key for one in watcher.known.phones} == set(hub._mirror.phones)

    def teardown(self) -> None:
        """
        When all is well again, both hubs know the same, whatever had been asked has been
        answered, no job waits for a phone that is free, and none has one without knowing of it.
        """
        self.etcd.loses = lambda path, said: False
        self.trouble(NODES[0], "back")
        for _ in range(60):
            self.clock.advance(0.5)
        one, other = (hub._mirror for hub in self.hubs)
        assert self.watchers[0].health == self.watchers[1].health == "fresh"
        assert one.phones == other.phones
        assert one.byToken.keys() == other.byToken.keys()
        assert list(one.queue) == list(other.queue)
        created = [each.created for each in one.queue.values()]
        assert created == sorted(created)
        assert set(one.turns.free) == set(other.turns.free)
        for key in one.turns.free:
            waiting = [
                each for each in one.queue.values() if each.requirement.fits(one.phones[key])
            ]
            assert not waiting, "a job waits for a phone that is free"
        unknown = [str(each.reservation) for each in one.held.values()]
        assert self.hasRestarted or one.byToken.keys() <= self.tokens, unknown
        late = [end for end in self.asked.values() if end + 20 < self.clock.seconds()]
        assert not late, "something has no answer"
        for hub in self.hubs:
            hub.stop()
        assert not self.asked
        left = [each for each in self.clock.getDelayedCalls() if each not in self.etcd.timers]
        assert left == []


class TwoHubsMachineTests(SynchronousTestCase):
    """
    Tests by random histories.
    """

    def test_machine(self) -> None:
        """
        Whatever happens, in whichever order.
        """
        run_state_machine_as_test(
            TwoHubs,
            settings=settings(max_examples=examples(15), stateful_step_count=30, deadline=None),
        )
