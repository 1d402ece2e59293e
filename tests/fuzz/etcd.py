# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
An etcd that answers whatever it likes, and keys in it that anything may have written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from muxd.fleet.etcd.answers import BadAnswer, objectOf, rangeAnswer, watchAnswer
from muxd.fleet.etcd.gateway import Gateway
from muxd.fleet.etcd.keys import VALUES, Keys
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.hub import Hub
from muxd.fleet.requirement import Requirement
from muxd.fleet.values import FleetError, Request, Reservation
from muxd.testing.devices import fakeIdentity
from tests.fleet.etcd.cases import Names
from tests.fleet.etcd.engine import FakeEtcd
from tests.fleet.fleets import host, phone
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching

UDID = fakeIdentity().udid
KEY = UDID.replace("-", "").lower()
NODES = ("http://a", "http://b")
REQUEST = Request(user="u", ticket="0" * 32, wait=60.0)
PLACE = REQUEST.place
MOST_WAITING = 16

PATHS = (
    *("/v3/lease/grant", "/v3/lease/keepalive", "/v3/lease/revoke"),
    *("/v3/kv/range", "/v3/kv/put", "/v3/kv/txn", "/v3/watch"),
)

NAMES = (
    *("hosts/a", "hosts/b", "hosts/%", "hosts/a%2fb", f"phones/a/{KEY}", f"phones/b/{KEY}"),
    *(f"held/{KEY}", "held/ab", "renewed/5", "confirmed/6", "queue/x", "queue/y", "drained/a"),
    *(f"queue/{PLACE}", "queue/z"),
    *("secret", "canary/x", "", "other/x", "phones/a/" + "x" * 65),
)
"""Of keys that are written by something else."""

DOOR: dict[str, Any] = {"kind": "UNIX", "where": "/door"}
PHONE: dict[str, Any] = {"udid": UDID, "host": "a"}

SAID: tuple[dict[str, Any], ...] = (
    {"kind": "hosted", "door": DOOR},
    {"kind": "announced", "phone": PHONE},
    {"kind": "held", "key": "k", "udid": UDID, "host": "a", "user": "u", "term": 5},
    {"kind": "queued", "user": "u", "wait": 60},
    {"kind": "queued", "user": "u", "wait": 60, "phone": "version>=17"},
    {"kind": "queued", "user": "u", "wait": 60, "asked": 3},
    {"kind": "held", "key": "k", "udid": UDID, "host": "a", "user": "u", "term": 5, "place": PLACE},
    {"kind": "secret", "secret": "0" * 64},
    {},
)

CHANGES: tuple[Any, ...] = (None, True, -1, 1.5, "", "x" * 100, "lable=x", [], {}, PHONE, UDID)

ANSWERS: tuple[dict[str, Any], ...] = (
    {"header": {"cluster_id": "77", "revision": "5"}, "ID": "7", "TTL": "5", "succeeded": True},
    {"result": {"TTL": "5"}},
    {"result": {"header": {"cluster_id": "77", "revision": "9"}, "created": True}},
    {"result": {"canceled": True, "compact_revision": "5"}},
    {"result": {"header": {"cluster_id": "78"}, "events": [{"type": "DELETE", "kv": {}}]}},
    {"header": {"revision": "9"}, "kvs": [{"key": "YQ=="}], "more": True},
    {"error": "e", "code": 14},
)


class World:
    """
    A hub, and its registry in such an etcd.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.etcd = FakeEtcd(self.clock)
        gateway = Gateway(self.clock, self.etcd, NODES)
        self.registry = EtcdRegistry(self.clock, gateway, Keys("/t"), makeName=Names())
        self.hub = Hub(self.clock, self.registry, secret=bytes)
        self.hub.start()
        self.registry.start()
        self.asked: list[Deferred[Any]] = []
        self.held: list[Reservation] = []
        self.leases: list[int] = [0]
        self.again = 0

    def step(self, script: Script) -> None:
        """
        One of L{STEPS}.
        """
        script.choose(STEPS)(self, script)
        settle(self.clock)
        self.check()

    def act(self, script: Script) -> None:
        """
        A host or a job wants something of the registry.
        """
        acts: tuple[Callable[[], Deferred[Any]], ...] = (
            lambda: self.registry.announce(host("a"), 10).addCallback(self.leases.append),
            lambda: self.registry.tell(self.leases[-1], [phone(1), phone(2)], True),
            lambda: self.registry.keepAlive(self.leases[-1]),
            lambda: self.registry.reserve(Request(user="u")).addCallback(self.held.append),
            lambda: self.registry.reserve(Request(user="u", wait=30.0)).addCallback(
                self.held.append
            ),
            lambda: self.registry.reserve(REQUEST).addCallback(self.held.append),
            lambda: self.askAgain().addCallback(self.held.append),
            self.lose,
            lambda: self.registry.untell(self.leases[-1], [UDID]),
            lambda: self.registry.leave(self.leases[-1]),
            lambda: self.registry.drain("a", bool(script.byte() % 2)),
            lambda: self.ofHeld(self.registry.renew),
            lambda: self.ofHeld(self.registry.release),
            self.registry.waiting,
        )
        if len(self.asked) < MOST_WAITING:
            done = script.choose(acts)()
            self.asked.append(done)
            done.addErrback(lambda failure: failure.trap(FleetError))
            done.addBoth(lambda _: self.asked.remove(done))

    def askAgain(self) -> Deferred[Reservation]:
        """
        The job with a ticket asks once more.
        """
        self.again += 1
        return self.registry.reserve(replace(REQUEST, asked=self.again))

    def lose(self) -> Deferred[None]:
        """
        Its connection is lost.
        """
        self.registry.keepPlace(REQUEST)
        return succeed(None)

    def ofHeld(self, act: Callable[[int, str], Deferred[Any]]) -> Deferred[Any]:
        """
        Something with the last reservation.
        """
        held = self.held[-1] if self.held else None
        return act(0, "") if held is None else act(held.token, held.key)

    def write(self, script: Script) -> None:
        """
        Something else writes a key, or it ends.
        """
        name, said = script.choose(NAMES), dict(script.choose(SAID))
        if said and script.byte() % 2:
            said[script.choose(list(said))] = script.choose(CHANGES)
        value = json.dumps(said).encode() if script.byte() % 4 else script.piece()
        self.etcd.put(b"/t/" + name.encode(), value)

    def end(self, script: Script) -> None:
        """
        A lease ends, or the watches.
        """
        leases = list(self.etcd.leases)
        if leases and script.byte() % 4:
            self.etcd.revoke(script.choose(leases))
        else:
            self.etcd.cutWatches()

    def answer(self, script: Script) -> None:
        """
        Something else is answered for a while, or nothing.
        """
        path, code = script.choose(PATHS), script.choose((200, 400, 401, 503))
        said = script.choose(ANSWERS)
        content = json.dumps(said).encode() if script.byte() % 2 else script.piece()
        self.etcd.instead[path] = (code, content)
        if script.byte() % 4 == 0:
            self.etcd.frozen.add(script.choose(NODES))

    def heal(self, script: Script) -> None:
        """
        All is answered as it should be.
        """
        self.etcd.instead.clear()
        self.etcd.frozen.clear()
        self.etcd.isMute = False

    def say(self, script: Script) -> None:
        """
        A line on the watches, or anything.
        """
        if script.byte() % 2:
            self.etcd.say(json.dumps(script.choose(ANSWERS)).encode() + b"\n")
        else:
            self.etcd.say(script.piece() + b"\n" * (script.byte() % 2))

    def decode(self, script: Script) -> None:
        """
        Any bytes, to what reads answers.
        """
        data = script.piece()
        for read in (watchAnswer, lambda said: rangeAnswer(objectOf(said)), VALUES.decode):
            try:
                read(data)
            except (BadAnswer, ValueError) as error:
                demand(len(str(error)) < 500, "a long complaint")

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        for _ in range(script.choose((1, 4, 11))):
            self.clock.advance(1)

    def check(self) -> None:
        """
        A hub knows what its registry does.
        """
        mirror = self.registry._mirror
        if self.registry._isLoaded:
            demand(set(self.hub.phones) == set(mirror.phones), "the hub knows other phones")
            demand(set(self.hub.doors) == set(mirror.hosts), "the hub knows other hosts")
            demand(set(self.hub.holders) == set(mirror.held), "the hub knows other reservations")
            demand(self.hub.draining == mirror.draining, "the hub knows other drained hosts")
        free = set(mirror.phones) - set(mirror.held)
        free = {key for key in free if mirror.phones[key].host not in mirror.draining}
        demand(mirror.refused <= free, "what is refused is not free")
        free -= mirror.refused
        demand(free == set(mirror.turns.free), "what is free is not what is not held")

    def finish(self) -> None:
        """
        All is well again: the registry is, too; a job is served, and nothing is left.
        """
        self.etcd.instead.clear()
        self.etcd.frozen.clear()
        for _ in range(30):
            self.clock.advance(1)
        demand(self.registry.isFresh, f"it is not fresh: {self.registry._trouble}")
        served: list[Any] = []
        announced = self.registry.announce(host("z"), 10)
        announced.addCallback(lambda lease: self.registry.tell(lease, [phone(99, "z")], True))
        requirement = Requirement.fromString("host=z")
        wanted = Request(user="z", requirement=requirement, take=True, isAdmin=True)
        announced.addCallback(lambda _: self.registry.reserve(wanted)).addBoth(served.append)
        settle(self.clock)
        isServed = bool(served) and isinstance(served[0], Reservation)
        demand(isServed or self.registry._mirror.queue, f"a job is not served: {served}")
        self.hub.stop()
        self.registry.stop()
        demand(not self.asked, "something has no answer")
        expire(self.clock, 40.0)


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.act,
    World.write,
    World.end,
    World.answer,
    World.heal,
    World.say,
    World.decode,
    World.time,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        world = World()
        while script:
            with meter.turn():
                world.step(script)
        world.finish()
