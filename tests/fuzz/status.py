# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
Programs and pages that say whatever they like to the status socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, globalLogPublisher

from muxd.interfaces import AttachedDevice
from muxd.limits import Limits
from muxd.service import MuxService
from muxd.status.actions import Action, Values
from muxd.status.server import StatusServer
from muxd.testing import BudgetTransport, FakeDevice, fakeIdentity
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching

LIMITS = Limits(statusConnections=6, statusStreams=2, statusBody=500, statusTimeout=30.0)
MOST_CLIENTS = 8
MOST_WAITING = 1 << 20
"""Bytes for one client: what its transport buffers, and the longest answer."""

METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"get", b"\xff")
PATHS = (
    b"/",
    b"/health",
    b"/ready",
    b"/metrics",
    b"/api/",
    b"/api/status",
    b"/api/events",
    b"/api/log?follow=1",
    b"/api/log?lines=",
    b"/api/act",
    b"/../etc/passwd",
    b"*",
    b"",
)
HEADERS = (
    b"Host: localhost",
    b"Host: evil.example",
    b"Origin: http://evil.example",
    b"Content-Type: application/json",
    b"Content-Type: multipart/form-data; boundary=x",
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Upgrade: h2c",
    b"Accept: application/openmetrics-text",
)
BODIES = (b"", b"{}", b'{"text":"x"}', b"[" * 400, b"5\r\nhello\r\n0\r\n\r\n", b"fffffff\r\n")
TIMES = (0.0, 1.0, 5.0, 20.0, 31.0, 61.0)
BUDGETS = (None, 0, 100, 4000)

log = Logger()


class World:
    """
    A status socket and its clients.
    """

    def __init__(self) -> None:
        self.clock = MemoryReactorClock()
        self.service = MuxService(self.clock, configDir="/nonexistent", limits=LIMITS)
        # Which would be looked for in a thread.
        setattr(self.service, "recordsObstacle", lambda: succeed(""))  # noqa: B010
        self.server = StatusServer(
            self.clock, self.service, "unix:/nowhere", now=lambda: 0.0, names=lambda: "farm"
        )
        self.done = 0
        self.server.addAction(
            Action(name="act", summary="act", takes=("text", "count"), perform=self.act)
        )
        globalLogPublisher.addObserver(self.server.logTail)
        self.clients: list[BudgetTransport] = []
        self.device = FakeDevice(self.clock, fakeIdentity(1))
        # A phone that is asked is another target's.
        self.server.overview.details.of = self.said  # type: ignore[method-assign]

    def act(self, values: Values) -> dict[str, Any]:
        """
        Do something.
        """
        self.done += 1
        return {"text": values.text("text", ""), "count": values.number("count", 0, 9, 0)}

    def said(self, attached: AttachedDevice) -> dict[str, str]:
        """
        What a phone calls itself.
        """
        return {"name": "\u202e<b>"}

    def step(self, script: Script) -> None:
        """
        One of L{STEPS}.
        """
        script.choose(STEPS)(self, script)
        settle(self.clock)
        self.check()

    def check(self) -> None:
        """
        What is held is bounded.
        """
        self.clients = [one for one in self.clients if not one.disconnected]
        site = self.server.site
        demand(site.connections <= LIMITS.statusConnections, "too many connections")
        demand(0 <= site.streams <= LIMITS.statusStreams, f"{site.streams} streams")
        for client in self.clients:
            demand(client.pending <= MOST_WAITING, f"{client.pending} bytes wait for a client")

    def chosen(self, script: Script) -> BudgetTransport:
        """
        One of the clients; there is always one.
        """
        if not self.clients:
            self.connect(script)
        return self.clients[script.byte() % len(self.clients)]

    def connect(self, script: Script) -> None:
        """
        One more.
        """
        if len(self.clients) < MOST_CLIENTS:
            budget = script.choose(BUDGETS)
            self.clients.append(BudgetTransport.connect(self.clock, self.server.site, budget))

    def raw(self, script: Script) -> None:
        """
        Any bytes.
        """
        self.chosen(script).deliver(script.piece())

    def request(self, script: Script) -> None:
        """
        What is a request, more or less.
        """
        client = self.chosen(script)
        method, path = script.choose(METHODS), script.choose(PATHS) + script.piece()
        lines = [b"%s %s HTTP/1.%d" % (method, path, script.byte() % 3)]
        lines += [script.choose(HEADERS) for _ in range(script.byte() % 5)]
        data = b"\r\n".join([*lines, b"", b""]) + script.choose(BODIES)
        client.deliver(data * (1 + script.byte() % 8))

    def allow(self, script: Script) -> None:
        """
        A client reads.
        """
        self.chosen(script).take(script.choose((100, 70000, None)))

    def lose(self, script: Script) -> None:
        """
        A client goes.
        """
        self.chosen(script).lose(ConnectionLost())

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose(TIMES))

    def say(self, script: Script) -> None:
        """
        Something is logged.
        """
        text = script.piece().decode("latin-1")
        log.info("{text}", text="".join(letter for letter in text if letter.isprintable())[:500])

    def plug(self, script: Script) -> None:
        """
        A phone comes, or goes.
        """
        registry = self.service.registry
        if registry.everything():
            registry.deviceDetached(self.device)
        else:
            registry.deviceAttached(self.device)

    def end(self) -> None:
        """
        All go; then another program is answered, and nothing is left.
        """
        for client in self.clients:
            client.lose(ConnectionLost())
        settle(self.clock)
        demand(self.server.site.connections == 0, "connections are left")
        demand(self.server.site.streams == 0, "streams are left")
        innocent = BudgetTransport.connect(self.clock, self.server.site)
        innocent.deliver(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        demand(innocent.value().startswith(b"HTTP/1.1 200 "), "another program is not answered")
        innocent.lose(ConnectionLost())
        globalLogPublisher.removeObserver(self.server.logTail)
        self.service.server.doStop()
        self.server.site.stopFactory()
        expire(self.clock)


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.connect,
    World.raw,
    World.request,
    World.allow,
    World.lose,
    World.time,
    World.say,
    World.plug,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        world = World()
        try:
            while script:
                with meter.turn():
                    world.step(script)
        finally:
            globalLogPublisher.removeObserver(world.server.logTail)
        world.end()
