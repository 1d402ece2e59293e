# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
Hosts, jobs and others that say whatever they like to a hub, and at a host's door.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from muxd.fleet.codec import BadMessage
from muxd.fleet.door import Door, framed
from muxd.fleet.embedded import EmbeddedRegistry
from muxd.fleet.hub import Hub
from muxd.fleet.messages import AT_DOOR, FROM_DOOR, FROM_HUB, TO_HUB
from muxd.fleet.peers import HubFactory
from muxd.fleet.state import StateDirectory
from muxd.fleet.values import Reservation
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.testing.devices import FakeDevice, fakeIdentity
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from muxd.testing.transports import BudgetTransport
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching

UDID = fakeIdentity().udid
MOST_CONNECTIONS = 8
MOST_WAITING = 1 << 20
"""Bytes for one connection."""

MOST_WAITING_JOBS = 8 * 64 + 64
"""Requests of eight connections, and places of tickets that are kept for a while."""

HELLO: dict[str, Any] = {"kind": "hello", "version": 1, "role": "HOST", "name": "a"}
DOOR: dict[str, Any] = {"kind": "UNIX", "where": "/door"}

WITH_TICKET: dict[str, Any] = {"kind": "reserve", "term": 5, "wait": 60, "ticket": "0" * 32}

MESSAGES: tuple[dict[str, Any], ...] = (
    {**HELLO, "door": DOOR},
    {**HELLO, "name": "b", "door": DOOR, "hasOthers": True},
    {**HELLO, "role": "JOB"},
    HELLO,
    {"kind": "alive"},
    {"kind": "phones", "phones": [{"udid": UDID, "host": "b", "version": "17.1"}]},
    {"kind": "phones", "phones": [{"udid": "AB-1", "host": "a"}], "isComplete": True},
    {"kind": "gone", "udids": [UDID]},
    {"kind": "leave"},
    {"kind": "confirm", "token": 1},
    {"kind": "deny", "token": 1},
    {"kind": "reserve", "number": 1, "term": 5, "wait": 0},
    {"kind": "reserve", "number": 2, "term": 5, "wait": 60, "phone": "version>=17", "take": True},
    {"kind": "reserve", "number": 3, "term": 5, "wait": 60, "phone": "lable=x"},
    {**WITH_TICKET, "number": 8},
    {**WITH_TICKET, "number": 9, "asked": 1},
    {**WITH_TICKET, "number": 9, "asked": 2, "wait": 0},
    {"kind": "renew", "number": 4, "token": 1, "key": "k1"},
    {"kind": "release", "number": 5, "token": 1, "key": "k1"},
    {"kind": "withdraw", "number": 2},
    {"kind": "drain", "number": 6, "host": "a", "isDraining": True},
    {"kind": "show", "number": 7},
    {"kind": "knock", "version": 1, "udid": UDID, "key": "k1"},
)
"""What is said in order to get somewhere; tokens are made up, or overheard."""


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 1.5, 1e308, "", "a", "b", "x" * 100, UDID, "../x", "\u202e"),
    *("1" * 32, "0" * 31),
    *([], {}, [UDID], [[]], {"kind": "TCP", "where": "x", "port": 0}, "version>=17", "k2"),
)


class _Nowhere(StateDirectory):
    """
    Remembers nothing.
    """

    def open(self) -> int:
        """
        Begin with nothing.
        """
        self.ceiling = 1_000_000
        return 0

    def extend(self, revision: int) -> None:
        """
        As many as are wanted.
        """
        self.ceiling = revision + 1_000_000

    def save(self, reservation: Reservation) -> None:
        """
        Forget it.
        """

    def forget(self, reservation: Reservation) -> None:
        """
        It is forgotten.
        """

    def saveDraining(self, hosts: Any) -> None:
        """
        For this time.
        """
        self.draining = frozenset(hosts)


class Fleet:
    """
    A hub, a door, and what has connected to them.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.keys = 0
        self.registry = EmbeddedRegistry(self.clock, _Nowhere("/nowhere"), self._key)
        self.registry.start()
        self.hub = Hub(self.clock, self.registry, secret=bytes)
        self.hub.start()
        devices = DeviceRegistry()
        self.server = ControlFactory(self.clock, devices, ImmediateRecords(MemoryRecordStore()))
        devices.deviceAttached(FakeDevice(self.clock))
        self.door = Door(self.clock, self.server)
        self.door.gate.grant(1, "k1", UDID, "a", 30.0)
        self.connections: list[BudgetTransport] = []

    def _key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    def step(self, script: Script) -> None:
        """
        One of L{STEPS}.
        """
        script.choose(STEPS)(self, script)
        settle(self.clock)
        self.check()

    def connect(self, script: Script) -> None:
        """
        One more connection, to the hub or to the door.
        """
        if len(self.connections) < MOST_CONNECTIONS:
            factory = script.choose((HubFactory(self.hub), self.door))
            budget = script.choose((None, 100, 0))
            self.connections.append(BudgetTransport.connect(self.clock, factory, budget))

    def say(self, script: Script) -> None:
        """
        A message, perhaps with something of it changed.
        """
        message = dict(script.choose(MESSAGES))
        for _ in range(script.byte() % 3):
            message[script.choose(list(message))] = script.choose(VALUES)
        data = framed(json.dumps(message).encode())
        self.deliver(script, data * (1 + script.byte() % 4))

    def raw(self, script: Script) -> None:
        """
        Any bytes.
        """
        self.deliver(script, script.piece())

    def decode(self, script: Script) -> None:
        """
        Any bytes, to those who connect to a hub.
        """
        data = script.piece()
        for codec in (TO_HUB, FROM_HUB, AT_DOOR, FROM_DOOR):
            try:
                message = codec.decode(data)
            except BadMessage as error:
                demand(len(str(error)) < 500, "a long complaint")
                continue
            demand(codec.decode(codec.encode(message)) == message, f"{message} is not itself")

    def lose(self, script: Script) -> None:
        """
        A connection is lost.
        """
        if self.connections:
            self.connections.pop(script.byte() % len(self.connections)).lose(ConnectionLost())

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose((1, 4, 11, 61)))

    def deliver(self, script: Script, data: bytes) -> None:
        """
        Something is said on one of the connections; there is always one.
        """
        self.connections = [one for one in self.connections if not one.disconnected]
        if not self.connections:
            self.connect(script)
        self.connections[script.byte() % len(self.connections)].deliver(data)

    def check(self) -> None:
        """
        A phone has one holder at most; what a hub knows is what its registry does; what is
        held is bounded.
        """
        there = self.registry._ledger.snapshot()
        phones = [one.udid for one in there.reservations]
        waiting = len(self.registry._ledger.waiting(self.clock.seconds()))
        demand(waiting <= MOST_WAITING_JOBS, "more wait than there are connections for")
        demand(len(phones) == len(set(phones)), "a phone has two holders")
        demand(len(self.hub.holders) == len(phones), "the hub does not know a reservation")
        demand(set(self.hub.phones) == {one.key for one in there.phones}, "the hub knows others")
        demand(set(self.hub.doors) == {one.name for one in there.hosts}, "the hub knows others")
        demand(self.hub.connections <= MOST_CONNECTIONS, "connections are left")
        for each in self.connections:
            demand(each.pending < MOST_WAITING, "too much waits for one connection")

    def end(self) -> None:
        """
        All go; a job finds the hub well, and nothing is left.
        """
        for each in self.connections:
            each.lose(ConnectionLost())
        settle(self.clock)
        demand(self.hub.connections == 0, "a connection is left")
        demand(self.door.knocking == 0, "a knock is left")
        innocent = BudgetTransport.connect(self.clock, HubFactory(self.hub))
        innocent.deliver(framed(json.dumps({**HELLO, "role": "JOB"}).encode()))
        demand(b"welcome" in innocent.value(), "a job is not welcome")
        innocent.lose(ConnectionLost())
        settle(self.clock)
        self.hub.stop()
        self.registry.stop()
        self.door.stop()
        self.server.doStart()
        self.server.doStop()
        expire(self.clock)


STEPS: tuple[Callable[[Fleet, Script], None], ...] = (
    Fleet.say,
    Fleet.connect,
    Fleet.raw,
    Fleet.decode,
    Fleet.lose,
    Fleet.time,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        fleet = Fleet()
        while script:
            with meter.turn():
                fleet.step(script)
        fleet.end()
