"""
A link that records, and the phone at its other end, played by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.muxer import Muxer
from muxd.device.transport import SessionTransport
from muxd.interfaces import Buffer, IPacketLink, IPacketReceiver
from muxd.limits import LIMITS, Limits
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import (
    BULK_PAYLOAD,
    Flags,
    MuxProtocol,
    encodePacketV1,
    encodePacketV2,
    encodeVersion,
)
from tests.running.clocks import StrictClock

UDID = "00008030-001A"
LOCKDOWN = 62078
SYN = int(Flags.SYN)
ACK = int(Flags.ACK)
RST = int(Flags.RST)
SYN_ACK = SYN | ACK
WINDOW = 131072


@implementer(IPacketLink)
class RecordingLink:
    """
    Keeps what is sent.

    @ivar sent: Whole packets.
    @ivar room: How many more packets it wants; None for any number.
    @ivar refused: Whether C{hasRoom} has said no since the last C{makeRoom}: only
        then is a real link bound to call C{roomAvailable}.
    """

    maxPacketSize = 512
    isFast = False
    bulkPayload = BULK_PAYLOAD

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.room: int | None = None
        self.refused = False
        self.receiver: IPacketReceiver | None = None

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Remember the receiver.
        """
        self.receiver = receiver

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Keep a packet.
        """
        self.sent.append(b"".join(parts))
        if self.room:
            self.room -= 1

    def hasRoom(self, size: int) -> bool:
        """
        As the test has said.
        """
        if self.room == 0:
            self.refused = True
            return False
        return True

    def makeRoom(self, room: int | None = None) -> None:
        """
        Want more packets, and say so if somebody was refused.
        """
        self.room = room
        if self.refused:
            self.refused = False
            assert self.receiver is not None
            self.receiver.roomAvailable()

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)


class Recorder(Protocol):
    """
    Writes down what happens to it.

    @ivar data: What was received.
    @ivar chunks: The same, as it came.
    @ivar lost: The reasons of C{connectionLost}.
    @ivar onMade: Called in C{connectionMade}.
    @ivar onData: Called in C{dataReceived}.
    @ivar onLost: Called in C{connectionLost}.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.lost: list[Failure] = []
        self.onMade: Callable[[], object] = lambda: None
        self.onData: Callable[[bytes], object] = lambda data: None
        self.onLost: Callable[[], object] = lambda: None

    @property
    def data(self) -> bytes:
        """
        All of it.
        """
        return b"".join(self.chunks)

    @property
    def session(self) -> SessionTransport:
        """
        The transport.
        """
        assert isinstance(self.transport, SessionTransport)
        return self.transport

    def connectionMade(self) -> None:
        """
        As the test has said.
        """
        self.onMade()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.chunks.append(data)
        self.onData(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep it.
        """
        self.lost.append(reason)
        self.onLost()


class RecorderFactory(Factory):
    """
    Hands out one protocol and counts starts and stops.
    """

    noisy = False

    def __init__(self, protocol: Protocol | None = None) -> None:
        self.recorder = protocol
        self.starts = 0
        self.stops = 0

    def buildProtocol(self, addr: object) -> Protocol | None:
        """
        The protocol of the test.
        """
        return self.recorder

    def startFactory(self) -> None:
        """
        Count.
        """
        self.starts += 1

    def stopFactory(self) -> None:
        """
        Count.
        """
        self.stops += 1


@implementer(IPushProducer)
class RecordingProducer:
    """
    Writes down what it is told.

    @ivar onResume: Called in C{resumeProducing}.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.onResume: Callable[[], object] = lambda: None

    def pauseProducing(self) -> None:
        """
        Write it down.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Write it down, then do as the test has said.
        """
        self.told.append("resume")
        self.onResume()

    def stopProducing(self) -> None:
        """
        Write it down.
        """
        self.told.append("stop")


class ScriptedPhone:
    """
    A muxer under test, its link, and what the phone says as the test dictates.

    @ivar version: What the phone answers VERSION with.
    """

    def __init__(self, version: int = 2, limits: Limits = LIMITS) -> None:
        self.clock: Clock = StrictClock()
        self.limits = limits
        self.link = RecordingLink()
        self.muxer = Muxer(self.clock, UDID, limits)
        self.version = version
        self.counter = 0

    @classmethod
    def ready(cls, version: int = 2, **limits: float) -> ScriptedPhone:
        """
        One with which the handshake is done, and forgotten.

        Unless told otherwise it acknowledges every batch at once, so that what
        is acknowledged, and when not, can be seen without waiting.
        """
        limits = {"acknowledgeAt": 1, "sendBuffer": 65536, **limits}
        changed = replace(LIMITS, **limits)  # type: ignore[arg-type]  # names and types vary
        phone = cls(version, changed)
        phone.muxer.handshake(phone.link)
        phone.deliver(encodeVersion(version))
        phone.link.sent.clear()
        return phone

    def timers(self) -> list[IDelayedCall]:
        """
        Those that run, but for the one that looks for openings that are late: it stays when
        the last has been answered, and finds nothing to do.
        """
        late = self.muxer.openings._timer
        return [one for one in self.clock.getDelayedCalls() if one is not late]

    def deliver(self, *packets: bytes) -> None:
        """
        One batch of packets, in memory that is used again at once.
        """
        memory = [bytearray(packet) for packet in packets]
        self.muxer.packetsReceived([memoryview(one) for one in memory])
        for one in memory:
            one[:] = b"\xee" * len(one)

    def packet(self, protocol: int, body: bytes) -> bytes:
        """
        Frame a packet as negotiated, with the next counter.
        """
        if self.version < 2:
            return encodePacketV1(protocol, body)
        counter, self.counter = self.counter, (self.counter + 1) & 0xFFFF
        return encodePacketV2(protocol, body, counter, 0, 0xFACEFACE)

    def segment(
        self,
        source: int,
        destination: int,
        seq: int,
        ack: int,
        flags: int = ACK,
        payload: bytes = b"",
        window: int = WINDOW,
    ) -> bytes:
        """
        A TCP packet.
        """
        segment = Segment(
            source, destination, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, flags, window, payload
        )
        return self.packet(MuxProtocol.TCP, segment.encode())

    def take(self) -> list[Segment]:
        """
        What was sent since the last call.
        """
        sent = [Packet.decode(one, self.version) for one in self.link.sent]
        self.link.sent.clear()
        return [Segment.decode(one.body) for one in sent if one.protocol == MuxProtocol.TCP]

    def open(
        self,
        protocol: Protocol | None = None,
        port: int = LOCKDOWN,
        seq: int = 0,
        window: int = WINDOW,
    ) -> PhoneSide:
        """
        A session, established; what was sent for it is forgotten.

        @param seq: Of the phone's SYN|ACK.
        """
        recorder = Recorder() if protocol is None else protocol
        factory = RecorderFactory(recorder)
        result = self.muxer.connect(port, factory)
        syn = self.take()[-1]
        side = PhoneSide(self, factory, result, syn.sourcePort, port, seq)
        side.say(flags=SYN_ACK, window=window)
        side.seq = seq + 1 & 0xFFFFFFFF
        self.take()
        return side


class PhoneSide:
    """
    The phone's end of one session.

    @ivar seq: Of the next segment.
    @ivar ack: What it acknowledges.
    """

    def __init__(
        self,
        phone: ScriptedPhone,
        factory: RecorderFactory,
        result: Deferred[IProtocol],
        hostPort: int,
        port: int,
        seq: int,
    ) -> None:
        self.phone = phone
        self.factory = factory
        self.result = result
        self.hostPort = hostPort
        self.port = port
        self.seq = seq
        self.ack = 1
        self.window = WINDOW

    @property
    def recorder(self) -> Recorder:
        """
        The protocol, where it is one.
        """
        assert isinstance(self.factory.recorder, Recorder)
        return self.factory.recorder

    @property
    def session(self) -> SessionTransport:
        """
        The transport.
        """
        return self.recorder.session

    def packet(self, payload: bytes = b"", flags: int = ACK, window: int | None = None) -> bytes:
        """
        The next packet.
        """
        if window is not None:
            self.window = window
        packet = self.phone.segment(
            self.port, self.hostPort, self.seq, self.ack, flags, payload, self.window
        )
        self.seq = self.seq + len(payload) & 0xFFFFFFFF
        return packet

    def say(self, payload: bytes = b"", flags: int = ACK, window: int | None = None) -> None:
        """
        Send the next packet in a batch of its own.
        """
        self.phone.deliver(self.packet(payload, flags, window))

    def acknowledge(self, count: int, window: int | None = None) -> None:
        """
        Take so many bytes more.
        """
        self.ack = self.ack + count & 0xFFFFFFFF
        self.say(window=window)

    def take(self) -> list[Segment]:
        """
        What was sent for this session since the last call to any C{take}.
        """
        return [one for one in self.phone.take() if one.sourcePort == self.hostPort]
