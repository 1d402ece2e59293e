# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A phone that sends whatever it likes to a muxer with sessions that read, write,
pause, and end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from muxd.device.muxer import Muxer, MuxerState
from muxd.device.opening import PendingSession
from muxd.device.states import ESTABLISHED, FLUSHING, HALF_CLOSED, HALF_CLOSING
from muxd.limits import Limits
from muxd.testing.packets import Segment
from muxd.wire.mux import Flags, MuxProtocol, encodePacketV1, encodePacketV2, encodeVersion
from tests.device.links import RecordingLink
from tests.fuzz.apps import ACTIONS, App
from tests.fuzz.metering import metering
from tests.fuzz.muxerrules import MuxerRules
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, watching

SYN, ACK, RST = int(Flags.SYN), int(Flags.ACK), int(Flags.RST)
WINDOW = 1024
MASK = 0xFFFFFFFF
LIMITS = Limits(
    receiveWindow=WINDOW,
    sendBuffer=2048,
    acknowledgeAt=256,
    controlQueue=8,
    sessionsPerPhone=6,
)
FLAGS = (ACK, SYN | ACK, RST, RST | ACK, SYN, 0, 0x11, 0xFF)
WINDOWS = (0, 256, 2048, 131072, 0xFFFF00)
TIMES = (0.0, 0.03, 1.0, 5.0, 10.0, 15.0)
INNOCENT_PORT = 22
OPEN = (ESTABLISHED, HALF_CLOSING, HALF_CLOSED, FLUSHING)


class World:
    """
    A muxer, its link, and what uses it.
    """

    def __init__(self, version: int, isReady: bool) -> None:
        self.clock = Clock()
        self.link = RecordingLink()
        self.muxer = Muxer(self.clock, "the-phone", LIMITS)
        self.version = version
        self.counter = 0
        self.batch: list[bytes] | None = None
        self.apps: list[App] = []
        self.rules = MuxerRules(self.muxer, self.link, self.apps)
        self.outcomes: list[object] = []
        self.muxer.handshake(self.link).addBoth(self.outcomes.append)
        self.innocent: App | None = None
        self.said = b""
        if isReady:
            self.deliver(encodeVersion(version))
            self.innocent = self.open(INNOCENT_PORT)
            self.segment(self.innocent, 0, 1, SYN | ACK, 131072)
            self.rules.check()
            demand(self.innocent.session is not None, "no session can be opened")

    # What the phone does.

    def deliver(self, packet: bytes) -> None:
        """
        Send a packet, or put it into the present batch.
        """
        if self.batch is not None:
            self.batch.append(packet)
        elif self.muxer.state is not MuxerState.ENDED:
            memory = bytearray(packet)
            self.muxer.packetsReceived([memoryview(memory)])
            memory[:] = b"\xee" * len(memory)

    def packet(self, protocol: int, body: bytes, skip: int = 0) -> None:
        """
        Send a packet with the next counter, or another.
        """
        if self.version < 2:
            self.deliver(encodePacketV1(protocol, body))
            return
        counter = self.counter + skip & 0xFFFF
        self.counter = counter + 1 & 0xFFFF
        self.deliver(encodePacketV2(protocol, body, counter, 0, 0xFACEFACE))

    def segment(
        self, app: App, seq: int, ack: int, flags: int, window: int, payload: bytes = b""
    ) -> None:
        """
        Send a segment.
        """
        if app.key is not None:
            port, source = divmod(app.key, 1 << 16)
            body = Segment(port, source, seq & MASK, ack & MASK, flags, window, payload).encode()
            self.packet(MuxProtocol.TCP, body)

    def open(self, port: int) -> App:
        """
        Have a session opened.
        """
        app = App(self.muxer, port)
        self.apps.append(app)
        return app

    # A step.

    def step(self, script: Script) -> None:
        """
        Let one thing happen.
        """
        STEPS[script.byte() % len(STEPS)](self, script)
        if self.batch is None:
            self.sayInnocent()
        self.rules.check()

    def sayInnocent(self) -> None:
        """
        In one session the phone behaves.
        """
        app = self.innocent
        if app is None or app.session is None or self.muxer.state is not MuxerState.ACTIVE:
            return
        demand(app.session.connected, "the innocent session has ended")
        text = b"%d," % len(self.said)
        if not app.session.session.receive.admits(len(text)):
            # It keeps to the window, too.
            return
        self.segment(app, 1 + len(self.said), 1, ACK, 131072, text)
        self.said += text
        demand(app.recorder.data == self.said, "the innocent session got other bytes")

    def app(self, script: Script) -> App | None:
        """
        One that is not innocent.
        """
        others = [one for one in self.apps if one is not self.innocent]
        return script.choose(others) if others else None

    def anyPacket(self, script: Script) -> None:
        """
        A packet of any kind.
        """
        self.packet(script.near() & MASK, script.piece(), script.near())

    def rawPacket(self, script: Script) -> None:
        """
        A packet with any header, but for the length, which the link has checked.
        """
        self.deliver(encodePacketV1(script.near() & MASK, script.piece()))

    def anySegment(self, script: Script) -> None:
        """
        A segment of a session, with numbers that are off.
        """
        app = self.app(script)
        flags = script.choose((*FLAGS, None))
        flags = script.byte() if flags is None else flags
        seq, ack, window, payload = (
            script.near(),
            script.near(),
            script.choose(WINDOWS),
            script.piece(),
        )
        if app is None:
            return
        session = app.session
        if session is None:
            self.segment(app, seq, ack, flags, window, payload)
            return
        isGap = 0 < seq < 1 << 31 and payload and flags == ACK and session.state in OPEN
        received = session.session.receive.expected
        self.segment(app, received + seq, session.session.send.next + ack, flags, window, payload)
        if isGap and self.batch is None:
            demand(session.state not in OPEN, "bytes are missing, and nobody has noticed")
            demand(session.session.receive.expected == received, "bytes were taken behind a gap")

    def stray(self, script: Script) -> None:
        """
        A segment of no session, or of one by chance.
        """
        body = Segment(
            script.word(), script.word(), script.near() & MASK, 0, script.choose(FLAGS), 0
        ).encode()
        self.packet(MuxProtocol.TCP, body + script.piece())

    def version_(self, script: Script) -> None:
        """
        VERSION, whenever.
        """
        self.deliver(encodeVersion(script.near() & MASK))

    def control(self, script: Script) -> None:
        """
        CONTROL.
        """
        self.packet(MuxProtocol.CONTROL, script.take(1) + script.piece())

    def connect(self, script: Script) -> None:
        """
        An app wants another session.
        """
        port = script.word()
        if len(self.apps) < 12 and port != INNOCENT_PORT:
            self.open(port)

    def accept(self, script: Script) -> None:
        """
        The phone accepts the sessions that are being opened.
        """
        seq, window = script.near(), script.choose(WINDOWS)
        for app in self.apps:
            key = -1 if app.key is None else app.key
            if isinstance(self.muxer._sessions.get(key), PendingSession):
                self.segment(app, seq, 1, SYN | ACK, window)

    def write(self, script: Script) -> None:
        """
        An app writes.
        """
        app, size = self.app(script), script.word() % 70000
        if app is not None and len(app.written) < 300000:
            app.write(size)

    def act(self, script: Script) -> None:
        """
        An app does something else.
        """
        app, action = self.app(script), script.choose(ACTIONS)
        if app is not None and app.session is not None:
            action(app, app.session)

    def plan(self, script: Script) -> None:
        """
        An app will do something when it is called.
        """
        app, action, when = self.app(script), script.choose(ACTIONS), script.byte() % 3
        if app is None:
            return

        def happen(*_: object) -> None:
            if app.session is not None:
                action(app, app.session)

        if when == 0:
            app.recorder.onData = happen
        elif when == 1:
            app.recorder.onMade = partial(self.clock.callLater, 0, happen)
        else:
            app.recorder.onLost = happen

    def cancel(self, script: Script) -> None:
        """
        An app does not want to be connected any more.
        """
        app = self.app(script)
        if app is not None:
            app.connecting.cancel()

    def room(self, script: Script) -> None:
        """
        The link wants more, or nothing.
        """
        room = script.choose((None, 0, 1, 3))
        if room == 0:
            self.link.room = 0
        else:
            self.link.makeRoom(room)

    def time(self, script: Script) -> None:
        """
        Time passes.
        """
        self.clock.advance(script.choose(TIMES))

    def together(self, script: Script) -> None:
        """
        The packets that follow come in one batch, or what has been gathered comes.
        """
        batch, self.batch = self.batch, None if self.batch is not None else []
        if batch and self.muxer.state is not MuxerState.ENDED:
            self.muxer.packetsReceived([memoryview(packet) for packet in batch])

    def end(self, isGone: bool) -> None:
        """
        The phone is pulled out, or we stop, and nothing is left.
        """
        if self.batch is not None:
            self.together(Script(b""))
        self.link.makeRoom()
        self.rules.check()
        if isGone:
            self.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        else:
            self.muxer.stop()
        self.rules.check()
        for app in self.apps:
            if app.session is not None:
                app.session.resumeProducing()
        expire(self.clock)
        self.rules.check()
        demand(not self.muxer._sessions, "sessions are left")
        demand(len(self.outcomes) == 1, "the handshake has had no end")
        for app in self.apps:
            demand(len(app.outcomes) == 1, "somebody was not told of their connection")
            demand(app.factory.starts == app.factory.stops, "a factory was not stopped")
            if app.session is not None:
                demand(len(app.recorder.lost) == 1, "somebody was not told of their loss")


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.anySegment,
    World.connect,
    World.accept,
    World.write,
    World.act,
    World.time,
    World.room,
    World.plan,
    World.together,
    World.control,
    World.stray,
    World.anyPacket,
    World.rawPacket,
    World.version_,
    World.cancel,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        kind = script.byte()
        world = World(1 if kind & 1 else 2, not kind & 2)
        while script:
            with meter.turn():
                world.step(script)
        world.end(bool(kind & 4))
