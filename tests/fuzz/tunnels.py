# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A phone that says whatever it likes in a tunnel: in its handshake, in packets, in RSD.  And others
who do: programs at the WebSocket of C{muxctl tunnel --serve}, hosts that ask a simulated phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any, ClassVar
from uuid import UUID

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from muxd.limits import LIMITS
from muxd.phone.services.apps import App
from muxd.phone.services.features import AppService
from muxd.phone.services.processes import Processes
from muxd.tunnel.carrier import HostTunnel
from muxd.tunnel.cdtunnel import TunnelParameters, phoneHandshake, writeHandshake
from muxd.tunnel.checkin import CheckInEndpoint
from muxd.tunnel.opening import SharedTunnel
from muxd.tunnel.packets import Segment, writePacket
from muxd.tunnel.rsdclient import RSDClient
from muxd.tunnel.stack import TunnelEndpoint
from muxd.tunnel.xpc import MalformedXPC, readObject, writeObject
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, watching
from tests.tunnel.ends import HalfTalker, Making, Talker

HOST, PHONE = IPv6Address("fd00::2"), IPv6Address("fd00::1")
SMALL = replace(LIMITS, tunnelWindow=1 << 14, tunnelInFlight=1 << 14, tunnelSessions=4)
MTUS = (1280, 16000)
PORTS = (7, 8, 58783)
TIMES = (0.0, 0.5, 1.0, 5.0, 16.0)
MOST_MADE = 16


def zeros(count: int) -> bytes:
    """
    Random bytes that can be repeated.
    """
    return bytes(count)


class World:
    """
    A host's end of a tunnel, and programs that use it.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.wire = StringTransport()
        self.host = HostTunnel(self.clock, zeros, 1280, SMALL)
        self.host.whenOpen.addErrback(lambda _: None)
        self.host.makeConnection(self.wire)
        self.made: list[Any] = []
        self.connections: list[Any] = []

    def raw(self, script: Script) -> None:
        """
        Anything.
        """
        self.host.dataReceived(script.piece())

    def handshake(self, script: Script) -> None:
        """
        What a phone says.
        """
        parameters = TunnelParameters(HOST, PHONE, script.choose(MTUS), 58783)
        if self.host.stack is None:
            self.host.dataReceived(writeHandshake(phoneHandshake(parameters)))

    def segment(self, script: Script) -> None:
        """
        A segment that is nearly right.
        """
        stack = self.host.stack
        if stack is None:
            return
        known: Any = script.choose(self.connections) if self.connections else None
        local, remote = (known.local, known.remote) if known else (script.word(), script.word())
        expected, next_ = (known._expected, known._next) if known else (0, 0)
        flags = script.byte()
        segment = Segment(
            remote,
            local,
            (expected + script.near()) & 0xFFFFFFFF,
            (next_ + script.near()) & 0xFFFFFFFF,
            flags & 0x3F,
            script.word(),
            script.piece(),
            script.word() if flags & 0x40 else None,
            script.byte() if flags & 0x80 else None,
        )
        self.host.dataReceived(writePacket(PHONE.packed, HOST.packed, segment))

    def connect(self, script: Script) -> None:
        """
        A program connects, to a port or to a service.
        """
        kind = script.byte()
        stack = self.host.stack
        if stack is None or len(self.made) >= MOST_MADE:
            return
        factory = Making(HalfTalker if kind & 1 else Talker)
        endpoint: Any = TunnelEndpoint(stack, script.choose(PORTS))
        if kind & 2:
            endpoint = CheckInEndpoint(endpoint, self.clock, SMALL.tunnelTimeout)
        connecting = endpoint.connect(factory)
        connecting.addErrback(lambda _: None)
        self.made.append(factory)
        for connection in stack.connections.values():
            if connection not in self.connections:
                self.connections.append(connection)
        if kind & 4:
            connecting.cancel()

    def act(self, script: Script) -> None:
        """
        A program does something.
        """
        talkers = [one for factory in self.made for one in factory.made if one.transport]
        kind = script.byte()
        if not talkers:
            return
        wire = script.choose(talkers).wire
        actions: tuple[Callable[[], object], ...] = (
            lambda: wire.write(b"x" * 3000),
            wire.pauseProducing,
            wire.resumeProducing,
            wire.loseConnection,
            wire.loseWriteConnection,
            wire.abortConnection,
        )
        actions[kind % len(actions)]()

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose(TIMES))

    def room(self, script: Script) -> None:
        """
        The stream has room, or none.
        """
        producer: Any = self.wire.producer
        isFull = script.byte() & 1
        if producer is not None:
            (producer.pauseProducing if isFull else producer.resumeProducing)()

    def check(self) -> None:
        """
        What must hold at any time.
        """
        stack = self.host.stack
        if stack is None:
            return
        demand(len(stack.connections) <= SMALL.tunnelSessions, "too many connections")
        for connection in stack.connections.values():
            demand(connection._loose.size <= SMALL.tunnelWindow, "more than a window is held")
            demand(connection.unread <= SMALL.tunnelWindow + 16000, "more than a window is unread")
        self.wire.clear()


KINDS = (
    World.segment,
    World.connect,
    World.act,
    World.time,
    World.room,
    World.raw,
    World.handshake,
)


def tunnel(script: Script, meter: Any) -> None:
    """
    A tunnel, and what happens in it.
    """
    world = World()
    if script.byte() & 1:
        world.handshake(script)
    while script:
        with meter.turn():
            script.choose(KINDS)(world, script)
        world.check()
    world.host.connectionLost(Failure(ConnectionLost()))
    demand(world.host.stack is None or not world.host.stack.connections, "connections are left")
    expire(world.clock, 30.0)


def rsd(script: Script, meter: Any) -> None:
    """
    RSD, in pieces.
    """
    client, wire = RSDClient(UUID(int=1)), StringTransport()
    client.whenTold.addErrback(lambda _: None)
    client.makeConnection(wire)
    while script:
        with meter.turn():
            client.dataReceived(script.piece())
        wire.clear()
    client.connectionLost(Failure(ConnectionLost()))


class Echoing:
    """
    A tunnel whose one port has something that repeats what it hears.
    """

    parameters = TunnelParameters(HOST, PHONE, 1280, 58783)
    properties: ClassVar[dict[str, Any]] = {"UniqueDeviceID": "0"}

    def __init__(self) -> None:
        self.whenLost: Deferred[None] = Deferred()

    def endpoint(self, port: int) -> Any:
        """
        The way to a port.
        """
        return _Near(port)


class _Near:
    """
    An endpoint whose connection is there at once.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        Connect.
        """
        if self._port != PORTS[0]:
            return fail(ConnectError(string="nothing is there"))
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(_Repeating(protocol))
        return succeed(protocol)


class _Repeating(StringTransport):
    """
    What is written to it comes back.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """
        Say it again.
        """
        self._protocol.dataReceived(bytes(data))

    def unregisterProducer(self) -> None:
        """
        As sockets do, which do not mind.
        """
        self.producer = None


class _Wire(StringTransport):
    """
    A program's connection.
    """

    def unregisterProducer(self) -> None:
        """
        As sockets do, which do not mind.
        """
        self.producer = None


class _Doors:
    """
    What doors have in common.
    """

    def __init__(self) -> None:
        self.reactor = Clock()
        self.limits = SMALL
        self.visitors = 0
        tunnel: Any = Echoing()
        self.tunnel = SharedTunnel(lambda: succeed(tunnel))


def program(script: Script, meter: Any) -> None:
    """
    A program at the port of the list, in pieces.
    """
    from muxd.tap.tunnelsockets import SocketVisitor

    doors, wire = _Doors(), _Wire()
    visitor = SocketVisitor(doors)
    visitor.makeConnection(wire)
    while script:
        with meter.turn():
            visitor.dataReceived(script.piece())
        wire.clear()
    visitor.connectionLost(Failure(ConnectionLost()))
    demand(doors.visitors == 0, "a program is counted that is gone")
    demand(not doors.reactor.getDelayedCalls(), "a timer is left")


class _Apps:
    """
    The apps of a phone that has one.
    """

    app = App("a", {"CFBundleExecutable": "A"})

    def __iter__(self) -> Iterator[App]:
        """
        It.
        """
        return iter((self.app,))

    def find(self, name: object) -> App | None:
        """
        It, by its name.
        """
        return self.app if name == self.app.identifier else None

    def remove(self, name: str) -> bool:
        """
        It stays.
        """
        return name == self.app.identifier


def features(script: Script, meter: Any) -> None:
    """
    A host that asks for features of CoreDevice, in pieces.
    """
    from muxd.phone.services.featureserver import FeatureServer

    apps: Any = _Apps()
    service = AppService(apps, Processes(), lambda name: None)
    server, wire = FeatureServer(service.features), StringTransport()
    server.makeConnection(wire)
    while script:
        with meter.turn():
            server.dataReceived(script.piece())
        wire.clear()
    server.connectionLost(Failure(ConnectionLost()))


def xpc(script: Script, meter: Any) -> None:
    """
    An object, which means the same when it is written again.
    """
    with meter.turn():
        try:
            value = readObject(script.rest())
        except MalformedXPC:
            return
        try:
            again = readObject(writeObject(value))
        except MalformedXPC:
            # Texts with a NUL in them, and dates that are out of reach.
            return
        demand(repr(again) == repr(value), f"{again!r:.100} was {value!r:.100}")


PARTS = (tunnel, rsd, xpc, program, features)


def run(data: bytes) -> None:
    """
    The first byte says what the others are.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        script.choose(PARTS)(script, meter)
