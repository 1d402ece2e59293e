"""
A fleet in memory: a hub, hosts and jobs, sockets between them, and time that only passes when it
is told to.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.access import DaemonAccess
from muxd.client.client import UsbmuxClient
from muxd.fleet.client import FleetClient, FleetSession
from muxd.fleet.embedded import EmbeddedRegistry
from muxd.fleet.host import FleetHost, FleetPlace
from muxd.fleet.hub import Hub
from muxd.fleet.peers import HubFactory
from muxd.fleet.state import StateDirectory
from muxd.identity import DeviceIdentity, serialFromUDID
from muxd.service import MuxService
from muxd.testing.devices import FakeDevice
from muxd.testing.transports import FakeAddress
from tests.client.transports import MemoryTransport
from tests.fleet.fleets import udid

T = TypeVar("T")

HUB = "/hub"
ECHO = 7


class WorldTransport(MemoryTransport):
    """
    One end of a socket, which has an address.
    """

    def getPeer(self) -> IAddress:
        """
        One that all have.
        """
        return FakeAddress()

    getHost = getPeer


class Details:
    """
    What phones have said of themselves.

    @ivar said: By UDID.
    """

    def __init__(self) -> None:
        self.said: dict[str, dict[str, str]] = {}

    def of(self, attached: Any) -> dict[str, str]:
        """
        See L{muxd.status.phonedetails.PhoneDetails}.
        """
        return self.said.get(attached.device.identity.udid, {})

    def keepOnly(self, numbers: set[int]) -> None:
        """
        Nothing to forget.
        """


class HostInMemory:
    """
    A host, with phones that accept at once.

    @ivar path: Of its door.
    """

    def __init__(self, world: World, name: str, *numbers: int, hubs: str) -> None:
        self.name = name
        self.path = f"/{name}"
        self.details = Details()
        self.service = MuxService(world.reactor, configDir=world.directory)
        place = FleetPlace(hub=hubs, door=f"unix:{self.path}", name=name)
        self.host = FleetHost(world.reactor, self.service, place, retryPolicy=self._delay)
        self.host._details = self.details  # type: ignore[assignment]
        self.gate = self.host.door.gate
        self.devices: dict[int, FakeDevice] = {}
        self._world = world
        for number in numbers:
            self.plug(number)

    def _delay(self, attempt: int) -> float:
        """
        The longest that there is, of this attempt.
        """
        return self.host.hubs.times.delay(attempt, 1.0)

    def plug(self, number: int) -> FakeDevice:
        """
        Plug in a phone.
        """
        identity = DeviceIdentity(
            udid=udid(number), serial=serialFromUDID(udid(number)), productID=0x12A8, locationID=1
        )
        device = FakeDevice(self._world.reactor, identity, {ECHO: FakeDevice.ACCEPT})
        self.devices[number] = device
        self.service.registry.deviceAttached(device)
        return device

    def unplug(self, number: int) -> None:
        """
        Pull it out.
        """
        self.service.registry.deviceDetached(self.devices.pop(number))

    def start(self) -> None:
        """
        Begin; without the socket, which is the world's.
        """
        self._world.listeners[self.path] = self.host.door
        self.host.startService()

    def received(self, number: int) -> bytes:
        """
        What a phone has been sent in all its streams.
        """
        transports = [one.transport for one in self.devices[number].connections]
        return b"".join(bytes(one.value()) for one in transports if one is not None)

    def streams(self, number: int) -> int:
        """
        How many streams of a phone are open.
        """
        transports = [one.transport for one in self.devices[number].connections]
        return sum(1 for one in transports if one is not None and not one.disconnected)


class Stream(Protocol):
    """
    A job's end of a stream.

    @ivar isOpen: Whether it is.
    """

    isOpen = True

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        It was cut, or has ended.
        """
        self.isOpen = False


class World:
    """
    The machines, and the network between them.

    @ivar listeners: What listens, by path.
    @ivar split: Paths that no byte comes through to or from, and nothing says so.
    @ivar blackHoles: Paths where connecting never ends.
    """

    def __init__(self, directory: str, **hub: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.directory = directory
        self.listeners: dict[str, Any] = {}
        self.split: set[str] = set()
        self.blackHoles: set[str] = set()
        self.hosts: dict[str, HostInMemory] = {}
        self._arguments = hub
        self._sockets: list[tuple[str, WorldTransport, WorldTransport]] = []
        self.startHub()

    def startHub(self) -> None:
        """
        Start a hub.
        """
        self.registry = EmbeddedRegistry(self.reactor, StateDirectory(f"{self.directory}/state"))
        self.registry.start()
        self.hub = Hub(self.reactor, self.registry, **self._arguments)
        self.hub.start()
        self.listeners[HUB] = HubFactory(self.hub)

    def killHub(self) -> None:
        """
        The hub is killed: nothing is said, and its sockets are closed.
        """
        del self.listeners[HUB]
        self.registry.unwatch(self.hub)
        self.registry.stop()
        for path, near, far in self._sockets:
            if path == HUB:
                # It says nothing more, whatever becomes of its objects.
                far.write = lambda data: None  # type: ignore[method-assign]
                near.abortConnection()
                far.abortConnection()
        self.settle()

    def freezeHub(self) -> None:
        """
        The hub does nothing with what comes by the connections that it has, and they stay.
        """
        for path, _, far in self._sockets:
            if path == HUB:
                far.write = lambda data: None  # type: ignore[method-assign]
                far.protocol = Protocol()

    def cutSilently(self, peer: str) -> None:
        """
        No byte comes through any more between the hub and what it calls so, and nothing says so.
        """
        for _, near, far in self._sockets:
            if str(far.protocol) == peer:
                near.write = far.write = lambda data: None  # type: ignore[method-assign]

    def addHost(self, name: str, *numbers: int, hubs: str = f"unix:{HUB}") -> HostInMemory:
        """
        One more host, with these phones.
        """
        host = self.hosts[name] = HostInMemory(self, name, *numbers, hubs=hubs)
        host.start()
        self.settle()
        return host

    def client(self, name: str = "ann", hubs: str = f"unix:{HUB}") -> FleetClient:
        """
        The hub, for a job.
        """
        return FleetClient(self.reactor, hubs, name)

    def session(self, name: str = "ann") -> FleetSession:
        """
        A job's connection.
        """
        return self.result(self.client(name).connect())

    def stream(self, phone: Any, port: int = ECHO) -> Stream:
        """
        A stream to a phone.
        """
        opened: Stream = self.result(phone.endpoint(port).connect(Factory.forProtocol(Stream)))
        return opened

    def result(self, wanted: Deferred[T]) -> T:
        """
        What comes of something, at once.

        @raise Exception: What it fails with.
        """
        results: list[Any] = []
        wanted.addBoth(results.append)
        self.settle()
        assert results, "nothing has come of it"
        if isinstance(results[0], Failure):
            results[0].raiseException()
        found: T = results[0]
        return found

    def failure(self, wanted: Deferred[Any]) -> Exception:
        """
        What something fails with, at once.
        """
        try:
            result = self.result(wanted)
        except Exception as error:
            return error
        raise AssertionError(f"expected a failure, got {result!r}")

    def settle(self) -> None:
        """
        Let everything happen that can happen now.
        """
        for _ in range(2000):
            self.reactor.advance(0)
            moved = self._accept()
            for path, near, far in self._sockets:
                if path not in self.split:
                    moved |= near.step() | far.step()
            if not moved:
                self._sockets = [one for one in self._sockets if not _isOver(one)]
                return
        raise AssertionError("it does not come to rest")

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """
        Let time pass.
        """
        end = self.reactor.seconds() + seconds
        while self.reactor.seconds() < end:
            self.settle()
            self.reactor.advance(min(step, end - self.reactor.seconds()))
        self.settle()

    def join(self, path: str, client: IProtocol) -> None:
        """
        Connect something to what listens at a path.
        """
        served = self.listeners[path].buildProtocol(None)
        if served is None:
            client.connectionLost(Failure(ConnectError()))
        else:
            self._join(path, client, served)

    def _accept(self) -> bool:
        clients, self.reactor.unixClients = self.reactor.unixClients, []
        connectors, self.reactor.connectors = self.reactor.connectors, []
        for (path, factory, _, _), connector in zip(clients, connectors, strict=True):
            if connector.stoppedConnecting or path in self.blackHoles:
                continue
            listener = None if path in self.split else self.listeners.get(path)
            protocol = None if listener is None else listener.buildProtocol(None)
            if protocol is None:
                reason = ConnectError(2, "No such file or directory")
                factory.clientConnectionFailed(connector, Failure(reason))
            else:
                self._join(path, factory.buildProtocol(None), protocol)
        return bool(clients)

    def _join(self, path: str, client: IProtocol, server: IProtocol) -> None:
        near, far = WorldTransport(), WorldTransport()
        near.peer, far.peer = far, near
        near.protocol, far.protocol = client, server
        self._sockets.append((path, near, far))
        server.makeConnection(far)
        client.makeConnection(near)


def _isOver(socket: tuple[str, WorldTransport, WorldTransport]) -> bool:
    return socket[1].closed and socket[2].closed


class WorldCase(SynchronousTestCase):
    """
    A test with a world of its own.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.patch(os, "fsync", lambda descriptor: None)
        self.world = World(self.mktemp())
        self.addCleanup(self._end)

    def _end(self) -> None:
        for host in self.world.hosts.values():
            if host.host.running:
                host.host.stopService()
        self.world.registry.stop()


def listed(world: World, path: str) -> list[str]:
    """
    The UDIDs that a usbmuxd at a path lists.
    """
    access = DaemonAccess(world.reactor, UNIXClientEndpoint(world.reactor, path), path)
    return [one.udid for one in world.result(UsbmuxClient(world.reactor, access).listDevices())]
