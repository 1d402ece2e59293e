# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
Clients that do whatever they like to a server with a real store of pair records and
a phone behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from muxd.limits import Limits
from muxd.server.factory import ControlFactory
from muxd.server.protocol import ControlProtocol
from muxd.server.records import PairRecordStore
from muxd.server.registry import DeviceRegistry
from muxd.server.states import State
from muxd.testing import BudgetTransport
from muxd.wire.messages import (
    MalformedMessage,
    Message,
    MessageReader,
    MessageType,
    connectMessage,
    parsePlist,
)
from tests.fuzz.directory import PLANTS, PlantedDirectory
from tests.fuzz.metering import metering
from tests.fuzz.requests import PORTS, anyRequest
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching
from tests.fuzz.wire import ECHO, WiredPhone
from tests.server.laterecords import LateRecords
from tests.wire.results import resultMessage

LIMITS = Limits(
    clientQueue=20000,
    pendingInput=100,
    messageSize=4096,
    sendBuffer=4096,
    receiveWindow=8192,
    sessionsPerPhone=6,
)
MOST_CLIENTS = 5
READ_SIZE = 2048
MOST_HELD = max(LIMITS.messageSize, LIMITS.pendingInput) + READ_SIZE
"""Bytes of one client: what may be there before a read, and the read."""

MOST_WAITING = 2 * 65536 + LIMITS.clientQueue
"""Bytes for one client: what its transport buffers and what its queue holds."""

DOCUMENTED = frozenset(
    {
        "pair records in {path} cannot be used by uid {uid}: {error}; {change}; until then"
        " phones will ask for trust again and again",
        "{path} is damaged ({error}) and is kept as {path}.damaged.  This host gets a"
        " new identity: phones will ask for trust again.",
    }
)
"""Errors that are the operator's to know of."""

FILES = (
    "00008030-0000000000000001.plist",
    "x.plist",
    "SystemConfiguration.plist",
    ".SystemBUID.claim",
    "SystemConfiguration.plist.damaged",
)
TIMES = (0.0, 0.03, 1.0, 5.0, 10.0, 15.0, 30.0, 61.0)
BUDGETS = (None, 0, 100, 4000)


class Client:
    """
    A client program, which reads what it is sent as well as it can.
    """

    def __init__(self, transport: BudgetTransport) -> None:
        self.transport = transport
        assert isinstance(transport.protocol, ControlProtocol)
        self.protocol: ControlProtocol = transport.protocol
        self._reader: MessageReader | None = MessageReader(1 << 20)

    def look(self) -> None:
        """
        Read; nobody is told secrets.
        """
        data = self.transport.value()
        if self._reader is None:
            return
        self._reader.feed(data)
        if self.protocol.state is State.CONNECTED:
            self._reader = None
            return
        try:
            for message in self._reader:
                self._see(message)
        except MalformedMessage:
            demand(self.protocol.state is State.CLOSED, "a client was sent what is no message")
            self._reader = None

    def _see(self, message: Message) -> None:
        if message.type != MessageType.PLIST:
            return
        record = parsePlist(message.body).get("PairRecordData", b"")
        demand(b"SECRET" not in record, "a client was told what is outside")


class World:
    """
    A server, what is behind it, and its clients: one of them well-behaved.
    """

    def __init__(self, directory: PlantedDirectory, version: int) -> None:
        self.directory = directory
        self.clock = Clock()
        self.registry = DeviceRegistry()
        store = PairRecordStore(str(directory.path), lambda: UUID(int=7))
        self.records = LateRecords(store)
        self.factory = ControlFactory(self.clock, self.registry, self.records, LIMITS)
        self.factory.doStart()
        self.phones = [WiredPhone(self.clock, number, LIMITS, version) for number in (1, 2)]
        for phone in self.phones:
            self.registry.deviceAttached(phone.device)
        self.clients: list[Client] = []
        self.innocent = BudgetTransport.connect(self.clock, self.factory)
        self.innocent.deliver(connectMessage(2, ECHO, 9).encode())
        self.phones[1].settle()
        greeting = resultMessage(0, 9, 0).encode()
        demand(self.innocent.value() == greeting, "the innocent client cannot connect")
        self.said = self.heard = b""

    def step(self, script: Script) -> None:
        """
        Let one thing happen.
        """
        if self.records.waiting:
            # The disk needs a step for each thing that it is asked for.
            self.records.finish()
        STEPS[script.byte() % len(STEPS)](self, script)
        if not self.innocent.disconnected:
            text = b"%d," % len(self.said)
            self.said += text
            self.innocent.deliver(text)
        self.check()

    def check(self) -> None:
        """
        What holds at any time.
        """
        for client in self.clients:
            client.look()
            held = len(client.protocol._input)
            demand(held <= MOST_HELD, f"{held} bytes are held")
            waiting = client.transport.pending + client.protocol._output.size
            demand(waiting <= MOST_WAITING, f"{waiting} bytes wait for a client")
        for phone in self.phones:
            demand(len(phone.wire.down) < 300, f"{len(phone.wire.down)} packets wait for a phone")

    def client(self, script: Script) -> Client | None:
        """
        One of them.
        """
        return script.choose(self.clients) if self.clients else None

    # What can happen.

    def connect(self, script: Script) -> None:
        """
        A client comes.
        """
        budget = script.choose(BUDGETS)
        if len(self.clients) < MOST_CLIENTS:
            transport = BudgetTransport.connect(self.clock, self.factory, budget)
            transport.readSize = READ_SIZE
            self.clients.append(Client(transport))

    def raw(self, script: Script) -> None:
        """
        A client sends anything.
        """
        client, data = self.client(script), script.piece()
        if client is not None:
            client.transport.deliver(data)

    def framed(self, script: Script) -> None:
        """
        A client sends a message.
        """
        client = self.client(script)
        kind, version = script.choose((2, 3, 8, 1, 99)), script.choose((0, 1, 2))
        message = Message(version, kind, script.byte(), script.piece())
        if client is not None:
            client.transport.deliver(message.encode())

    def request(self, script: Script) -> None:
        """
        A client asks for something, more or less well.
        """
        client, message = self.client(script), anyRequest(script)
        if client is not None and message is not None:
            client.transport.deliver(message.encode())

    def binaryConnect(self, script: Script) -> None:
        """
        A client asks for a stream as old ones do.
        """
        client = self.client(script)
        message = connectMessage(script.near() & 0xFFFFFFFF, script.choose(PORTS), script.byte())
        if client is not None:
            client.transport.deliver(message.encode() + script.piece())

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose(TIMES))

    def finish(self, script: Script) -> None:
        """
        A client has said everything.
        """
        client = self.client(script)
        if client is not None and not client.transport.disconnected:
            client.transport.finish()

    def lose(self, script: Script) -> None:
        """
        A client is gone.
        """
        client = self.client(script)
        if client is not None:
            client.transport.lose(ConnectionLost())
            self.clients.remove(client)

    def allow(self, script: Script) -> None:
        """
        A client reads.
        """
        client, count = self.client(script), script.choose((None, 1, 100, 5000))
        if client is not None:
            client.transport.allow(count)

    def carry(self, script: Script) -> None:
        """
        Packets pass.
        """
        script.choose(self.phones).carry(script.byte())

    def plug(self, script: Script) -> None:
        """
        The first phone is pulled out, or put in again.
        """
        phone = self.phones[0]
        if self.registry.findByUDID(phone.device.identity.udid) is None:
            phone = self.phones[0] = WiredPhone(self.clock, 1, LIMITS, script.choose((2, 1)))
            self.registry.deviceAttached(phone.device)
        else:
            self.unplug(phone)

    def unplug(self, phone: WiredPhone) -> None:
        """
        As the USB source does it.
        """
        phone.unplug()
        self.registry.deviceDetached(phone.device)

    def misbehave(self, script: Script) -> None:
        """
        The phone refuses, or does not answer.
        """
        port, kind = script.choose(PORTS), script.byte() % 3
        faults = self.phones[0].phone.faults
        if kind == 0:
            faults.deaf.add(port)
        elif kind == 1:
            faults.refusals[port] = script.piece()
        else:
            faults.deaf.clear()
            faults.refusals.clear()

    def plant(self, script: Script) -> None:
        """
        A user plants something among the pair records.
        """
        name, kind = script.choose(FILES), script.byte() % (len(PLANTS) + 1)
        if kind < len(PLANTS):
            self.directory.plant(name, PLANTS[kind])
        else:
            data = script.piece()
            self.directory.write(name, data)

    def disconnect(self, script: Script) -> None:
        """
        The daemon wants a client to go.
        """
        client = self.client(script)
        if client is not None and not client.transport.disconnected:
            client.protocol.disconnect()

    def end(self) -> None:
        """
        All clients go, and nothing is left.
        """
        settle(self.clock)
        self.phones[1].settle()
        # What fills a window is acknowledged in its own time.
        self.clock.advance(1.0)
        self.phones[1].settle()
        self.heard += self.innocent.value()
        demand(not self.innocent.disconnected, "the innocent client was disconnected")
        demand(self.heard == self.said, "the innocent client's stream is another")
        self.check()
        for client in [*self.clients, Client(self.innocent)]:
            client.transport.lose(ConnectionLost())
        while self.records.waiting:
            self.records.finish()
        demand(not self.factory.clients, "clients are left")
        for phone in self.phones:
            phone.settle()
            demand(not list(phone.muxer.sessions), "sessions are left")
            if self.registry.findByUDID(phone.device.identity.udid) is not None:
                self.unplug(phone)
        self.factory.doStop()
        demand(not self.registry.attached(), "phones are left")
        expire(self.clock)
        demand(not self.phones[1].phone.violations, f"{self.phones[1].phone.violations[:3]}")


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.connect,
    World.raw,
    World.framed,
    World.request,
    World.binaryConnect,
    World.time,
    World.finish,
    World.lose,
    World.allow,
    World.carry,
    World.plug,
    World.misbehave,
    World.plant,
    World.disconnect,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    directory = PlantedDirectory()
    try:
        with watching(DOCUMENTED), metering(data) as meter:
            world = World(directory, script.choose((2, 1)))
            while script:
                with meter.turn():
                    world.step(script)
            world.end()
            directory.check()
    finally:
        directory.remove()
