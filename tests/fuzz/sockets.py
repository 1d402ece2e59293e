# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
Clients on plain sockets and a phone, both of which send whatever they like, and one of
each that behave.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from muxd.device.device import MuxedDevice
from muxd.device.muxer import MuxerState
from muxd.limits import Limits
from muxd.net.streams import StreamSocket
from muxd.server.factory import ControlFactory
from muxd.server.fastlane import FastLane, LaneClient
from muxd.server.registry import DeviceRegistry
from muxd.testing import ImmediateRecords, MemoryRecordStore, fakeIdentity
from muxd.wire.messages import Message, plistMessage, swapPort
from muxd.wire.mux import Flags, encodeVersion
from tests.device.links import ScriptedPhone
from tests.fuzz.metering import metering
from tests.fuzz.phones import FLAGS, WINDOWS
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, watching
from tests.net.eventloops import handDrivenLoop
from tests.server.lanes import Adopting
from tests.server.serving import connectRequest

SYN, ACK, RST = int(Flags.SYN), int(Flags.ACK), int(Flags.RST)
MASK = 0xFFFFFFFF
WINDOW = 4096
MOST = 8
INNOCENT = 22
PORTS = (INNOCENT, 62078, 0, 0xFFFF)
TIMES = (0.0, 0.03, 1.0, 5.0, 10.0, 15.0)
LIMITS = Limits(receiveWindow=WINDOW, acknowledgeAt=1024, controlQueue=8, sessionsPerPhone=6)


class Client:
    """
    One client.

    @ivar said: All that it has sent.
    @ivar got: All that it has received.
    """

    def __init__(self, lane: FastLane, first: bytes) -> None:
        self.socket, ours = socket.socketpair()
        self.socket.setblocking(False)
        self.said = self.got = b""
        self.isOpen = True
        self.say(first)
        descriptor = ours.detach()
        self.inode = os.fstat(descriptor).st_ino
        LaneClient(lane, StreamSocket(descriptor), socket.AF_UNIX, lane.server.entrance).begin()

    def say(self, data: bytes) -> None:
        """
        Send what goes.
        """
        if self.isOpen and data:
            try:
                self.said += data[: self.socket.send(data)]
            except OSError:
                pass

    def read(self, most: int) -> None:
        """
        Receive.
        """
        if self.isOpen:
            try:
                self.got += self.socket.recv(most)
            except OSError:
                pass

    def close(self) -> None:
        """
        Be gone.
        """
        self.isOpen = False
        self.socket.close()


class World:
    """
    A lane, a phone that says what the script wants, and clients.
    """

    def __init__(self, version: int) -> None:
        self.phone = ScriptedPhone(version, LIMITS)
        self.phone.muxer.handshake(self.phone.link)
        self.phone.deliver(encodeVersion(version))
        self.phone.take()
        self.clock, self.muxer = self.phone.clock, self.phone.muxer
        self.registry = DeviceRegistry()
        self.server = ControlFactory(
            self.clock, self.registry, ImmediateRecords(MemoryRecordStore()), LIMITS
        )
        self.device = MuxedDevice(fakeIdentity(), self.muxer)
        self.registry.deviceAttached(self.device)
        self.reactor = Adopting()
        self.loop = handDrivenLoop()
        self.lane = FastLane(self.reactor, self.loop, self.server)
        self.clients: list[Client] = []
        self.sources: dict[int, int] = {}
        # By source port, what the phone has been sent.
        self.heard: dict[int, bytes] = {}
        self.innocent = Client(self.lane, connectRequest(1, INNOCENT).encode())
        self.look()
        ((self.source, _),) = self.sources.items()
        self.told = b""
        self.segment(self.source, INNOCENT, 0, 1, SYN | ACK, 131072)
        self.innocent.read(4096)
        self.result = self.innocent.got
        demand(self.result.endswith(b"</plist>\n"), f"no Result: {self.result!r}")

    def segment(
        self, source: int, port: int, seq: int, ack: int, flags: int, window: int, data: bytes = b""
    ) -> None:
        """
        The phone sends one.
        """
        if self.muxer.state is MuxerState.ACTIVE:
            self.phone.deliver(
                self.phone.segment(port, source, seq & MASK, ack & MASK, flags, data, window)
            )
        self.look()

    def look(self) -> None:
        """
        What was sent to the phone.
        """
        for one in self.phone.take():
            if one.flags == SYN:
                self.sources[one.sourcePort] = one.destinationPort
                self.heard[one.sourcePort] = b""
            elif one.payload:
                heard = self.heard[one.sourcePort]
                demand(one.seq == (1 + len(heard)) & MASK, "out of order")
                self.heard[one.sourcePort] = heard + one.payload

    def step(self, script: Script) -> None:
        """
        Let one thing happen, and have the innocent ones go on.
        """
        STEPS[script.byte() % len(STEPS)](self, script)
        self.look()
        self.behave()
        self.check()

    def behave(self) -> None:
        """
        The innocent client and the phone say something to each other.
        """
        if self.muxer.state is not MuxerState.ACTIVE:
            return
        if len(self.innocent.said) < 60000:
            self.innocent.say(b"%d," % len(self.innocent.said))
        self.loop.doRead()
        self.look()
        heard = self.heard[self.source]
        text = b"%d;" % len(self.told)
        self.segment(self.source, INNOCENT, 1 + len(self.told), 1 + len(heard), ACK, 131072, text)
        self.told += text
        self.innocent.read(4096)
        demand(self.innocent.got == self.result + self.told, "the innocent client got other bytes")

    def check(self) -> None:
        """
        What holds at any time.
        """
        for session in self.muxer.sessions:
            held = (session.receive.expected - session.receive.delivered) & MASK
            demand(held <= WINDOW, f"{held} bytes are held")
        demand(len(self.server.clients) <= MOST + 1, "too many clients")
        demand(len(self.muxer._sessions) <= LIMITS.sessionsPerPhone, "too many sessions")
        begin = len(connectRequest(1, INNOCENT).encode())
        heard = self.heard[self.source]
        demand(
            self.innocent.said[begin:].startswith(heard),
            "the phone heard other bytes than were said",
        )

    # What may happen.

    def come(self, client: Client | None, data: bytes) -> None:
        """
        A client comes and says something, or goes on.
        """
        if client is not None:
            client.say(data)
        elif len(self.clients) < MOST:
            self.clients.append(Client(self.lane, data))

    def client(self, script: Script) -> Client | None:
        """
        One that is there, or None for a new one.
        """
        at = script.byte() % (MOST + 1)
        return self.clients[at] if at < len(self.clients) else None

    def connect(self, script: Script) -> None:
        """
        A client wants to be connected, and sends all, or some, or more of the request.
        """
        client, device, port = self.client(script), script.choose((1, 1, 2)), script.choose(PORTS)
        data = connectRequest(device, port, script.byte()).encode()
        cut = script.near()
        self.come(client, data[:cut] if cut < 0 else data + bytes(min(cut, 5000)))

    def request(self, script: Script) -> None:
        """
        A client sends a property list that is nearly a Connect.
        """
        client = self.client(script)
        values = {
            "MessageType": script.choose(("Connect", "connect", 1, "Listen")),
            "DeviceID": script.choose((1, True, -1, 1 << 32 | 1, "1", 1.0)),
            "PortNumber": script.choose((swapPort(62078), -1, 1 << 40, "x", None)),
        }
        values = {key: value for key, value in values.items() if value is not None}
        self.come(client, plistMessage(values, script.byte()).encode())

    def framed(self, script: Script) -> None:
        """
        A client sends a message of any kind.
        """
        client = self.client(script)
        self.come(
            client,
            Message(
                script.choose((0, 1, 2)), script.choose((8, 2, 3, 0)), 1, script.piece()
            ).encode(),
        )

    def raw(self, script: Script) -> None:
        """
        A client sends anything.
        """
        self.come(self.client(script), script.piece())

    def read(self, script: Script) -> None:
        """
        A client reads.
        """
        client = self.client(script)
        if client is not None:
            client.read(1 + script.word())

    def finish(self, script: Script) -> None:
        """
        A client finishes sending, or goes.
        """
        client, how = self.client(script), script.byte() % 3
        if client is None or not client.isOpen:
            return
        if how:
            client.socket.shutdown(socket.SHUT_WR if how == 1 else socket.SHUT_RD)
        else:
            client.close()

    def answer(self, script: Script) -> None:
        """
        The phone says something in a session, or to none.
        """
        sources = [one for one in self.sources if one != self.source]
        flags = script.choose((SYN | ACK, ACK, *FLAGS))
        seq, ack, window = script.near(), script.near(), script.choose(WINDOWS)
        payload = script.piece()
        if not sources:
            return
        source = script.choose(sources)
        port = self.sources[source]
        session = self.muxer._sessions.get(port << 16 | source)
        receive = getattr(session, "receive", None)
        if session is not None and receive is not None:
            seq += receive.expected
            ack += 1 + len(self.heard[source])
        elif flags == SYN | ACK:
            ack = 1
        self.segment(source, port, seq, ack, flags, window, payload)

    def much(self, script: Script) -> None:
        """
        The phone says as much as it may in a session.
        """
        sources = [one for one in self.sources if one != self.source]
        if not sources:
            return
        source = script.choose(sources)
        port = self.sources[source]
        session = self.muxer._sessions.get(port << 16 | source)
        receive = getattr(session, "receive", None)
        if receive is None:
            return
        for _ in range(1 + script.byte() % 64):
            room = WINDOW - ((receive.expected - receive.acknowledged) & MASK)
            self.segment(
                source,
                port,
                receive.expected,
                1 + len(self.heard[source]),
                ACK,
                131072,
                bytes(room),
            )
            self.loop.doRead()

    def turn(self, script: Script) -> None:
        """
        The loop has its turn.
        """
        self.loop.doRead()

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose(TIMES))

    def room(self, script: Script) -> None:
        """
        The link takes nothing for a moment, or little.
        """
        link = self.phone.link
        link.room = script.choose((0, 1, 3))
        self.loop.doRead()
        self.look()
        link.makeRoom()

    # The end.

    def end(self, isGone: bool) -> None:
        """
        The phone is pulled out, or the daemon stops, and nothing is left.
        """
        if isGone:
            self.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        else:
            self.muxer.stop()
        self.registry.deviceDetached(self.device)
        stopped = self.server.stop()
        for _ in range(100):
            for client in (*self.clients, self.innocent):
                client.read(1 << 20)
            self.loop.doRead()
        expire(self.clock)
        for client in self.clients:
            client.close()
        self.loop.doRead()
        demand(stopped.called, "the server does not stop")
        demand(not self.server.clients, "clients are left")
        demand(not self.loop.owners, "descriptors are watched")
        demand(not self.muxer._sessions, "sessions are left")
        ordinary = {os.fstat(one.fileno()).st_ino: early for one, early in self.reactor.adopted}
        for client in self.clients:
            early = ordinary.get(client.inode)
            if early is not None:
                demand(client.said.startswith(early), "an ordinary client has lost bytes")
        counters = self.server.counters
        demand(counters.commands["Connect"] >= counters.connects, "more streams than Connects")
        for one, _ in self.reactor.adopted:
            one.close()
        self.innocent.close()


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.connect,
    World.answer,
    World.turn,
    World.raw,
    World.read,
    World.finish,
    World.time,
    World.room,
    World.request,
    World.framed,
    World.much,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        kind = script.byte()
        world = World(1 if kind & 1 else 2)
        while script:
            with meter.turn():
                world.step(script)
        world.end(bool(kind & 2))
