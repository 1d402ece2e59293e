"""
The host's muxer in conversation with the simulated phone's, over a cable that
cuts, delays and breaks as hypothesis likes.

Of every session it must hold: each byte arrives once and in order, or both
sides hear that the session is lost; what is held never exceeds the windows; and
the phone, which is strict, has nothing to object to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.device import opening
from muxd.device.muxer import Muxer
from muxd.device.window import SendWindow
from muxd.interfaces import Buffer, IPacketLink, IPacketReceiver
from muxd.limits import Limits
from muxd.phone.mux.muxer import PhoneMuxer
from muxd.phone.mux.session import PhoneSession
from muxd.wire.assembly import PacketAssembler
from muxd.wire.mux import BULK_PAYLOAD
from tests.device.links import Recorder, RecorderFactory
from tests.running.properties import examples

NEAR_WRAP = 2**32 - 3000
PORTS = (1, 2, 3)
WINDOW = 8192
TRANSFER = 512


class Service(Factory):
    """
    A phone's service, which writes down what it hears.
    """

    noisy = False

    def __init__(self) -> None:
        self.recorder = Recorder()

    def buildProtocol(self, addr: object) -> Recorder:
        """
        The one and only.
        """
        return self.recorder


@implementer(IPacketLink)
class Cable:
    """
    Carries packets when it is told to.

    @ivar down: Packets for the phone.
    @ivar up: Bytes for the host, and where transfers end.
    @ivar capacity: How many packets for the phone it wants to hold.
    """

    maxPacketSize = TRANSFER
    isFast = False
    bulkPayload = BULK_PAYLOAD

    def __init__(self) -> None:
        self.down: deque[bytes] = deque()
        self.up: deque[bytes] = deque()
        self.capacity = 2
        self.awaited = False
        self.receiver: IPacketReceiver | None = None
        self.assembler = PacketAssembler()

    def start(self, receiver: IPacketReceiver) -> None:
        """
        Remember the receiver.
        """
        self.receiver = receiver

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Queue a packet.
        """
        self.down.append(b"".join(parts))

    def hasRoom(self, size: int) -> bool:
        """
        Whether the queue is short; who was told no is told when it is again.
        """
        hasRoom = len(self.down) < self.capacity
        self.awaited = self.awaited or not hasRoom
        return hasRoom

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)

    def carryDown(self, phone: PhoneMuxer, count: int) -> None:
        """
        Give the phone some packets.
        """
        for _ in range(min(count, len(self.down))):
            phone.hostPacket(self.down.popleft())
        if self.awaited and len(self.down) < self.capacity:
            self.awaited = False
            assert self.receiver is not None
            self.receiver.roomAvailable()

    def carryUp(self, count: int, chunk: int) -> None:
        """
        Give the host some of the phone's packets in one wake-up, cut into
        transfers of C{chunk} bytes.
        """
        packets: list[memoryview] = []
        for _ in range(min(count, len(self.up))):
            packet = self.up.popleft()
            for start in range(0, len(packet), chunk):
                piece = memoryview(packet[start : start + chunk])
                packets += self.assembler.feed(piece, chunk)
            if len(packet) % chunk == 0:
                packets += self.assembler.feed(memoryview(b""), chunk)
        if packets:
            assert self.receiver is not None
            self.receiver.packetsReceived(packets)


class Conversation:
    """
    Both muxers, a session with each port, and what was said.
    """

    def __init__(self, version: int) -> None:
        self.clock = Clock()
        self.cable = Cable()
        self.services = {port: Service() for port in PORTS}
        self.phone = PhoneMuxer(
            self.clock,
            self.cable.up.append,
            self.services,
            mux=version,
            window=WINDOW,
            packetSize=1400,
        )
        self.phone.faults.firstSequence = NEAR_WRAP
        limits = Limits(receiveWindow=WINDOW, sendBuffer=4096, acknowledgeAt=2048)
        self.host = Muxer(self.clock, "phone", limits)
        self.hosts = [Recorder() for _ in PORTS]
        self.host.handshake(self.cable)
        self.settle()
        for port, recorder in zip(PORTS, self.hosts, strict=True):
            self.host.connect(port, RecorderFactory(recorder))
        self.settle()
        self.fromHost = [b"" for _ in PORTS]
        self.fromPhone = [b"" for _ in PORTS]
        self.serial = 0

    def text(self, size: int) -> bytes:
        """
        Bytes unlike those before.
        """
        start, self.serial = self.serial, self.serial + size
        return bytes((start + i) * 167 >> 3 & 0xFF for i in range(size))

    def settle(self) -> None:
        """
        Carry everything that there is.
        """
        while self.cable.down or self.cable.up:
            self.cable.carryDown(self.phone, 1000)
            self.cable.carryUp(1000, TRANSFER)
        self.clock.advance(0)

    def step(self, kind: str, which: int, amount: int) -> None:
        """
        Let one thing happen.
        """
        host = self.hosts[which].session
        service = self.services[PORTS[which]].recorder.transport
        assert isinstance(service, PhoneSession)
        if kind == "host writes":
            data = self.text(amount)
            self.fromHost[which] += data
            host.write(data)
        elif kind == "phone writes":
            data = self.text(amount)
            self.fromPhone[which] += data
            service.write(data)
        elif kind == "down":
            self.cable.carryDown(self.phone, amount % 7)
        elif kind == "up":
            self.cable.carryUp(amount % 7, TRANSFER << amount % 3)
        elif kind == "capacity":
            self.cable.capacity = amount % 5
        elif kind == "time":
            self.clock.advance(0.03)
        elif kind == "host pauses":
            host.pauseProducing()
        elif kind == "host resumes":
            host.resumeProducing()
        elif kind == "phone pauses":
            service.pauseProducing()
        elif kind == "phone resumes":
            service.resumeProducing()

    def finish(self) -> None:
        """
        Let everybody read, and carry what there is until nothing moves.
        """
        self.cable.capacity = 4
        for which in range(len(PORTS)):
            self.step("host resumes", which, 0)
            self.step("phone resumes", which, 0)
        for _ in range(200):
            self.cable.carryDown(self.phone, 1000)
            self.cable.carryUp(1000, TRANSFER)
            self.clock.advance(0.03)


kinds = st.sampled_from(
    [
        "host writes",
        "phone writes",
        "down",
        "down",
        "up",
        "up",
        "capacity",
        "time",
        "host pauses",
        "host resumes",
        "phone pauses",
        "phone resumes",
    ]
)
scripts = st.lists(
    st.tuples(kinds, st.integers(0, len(PORTS) - 1), st.integers(1, 6000)), max_size=60
)
quietly = settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow]
)


class ConversationTests(SynchronousTestCase):
    """
    Whatever happens on the cable.
    """

    def setUp(self) -> None:
        """
        Let all sequence numbers begin shortly before they wrap.
        """

        class LateWindow(SendWindow):
            def __init__(window) -> None:
                super().__init__()
                window.next = window.acknowledged = NEAR_WRAP

        self.patch(opening, "SendWindow", LateWindow)

    def test_nearWrap(self) -> None:
        """
        They do.
        """
        for recorder in Conversation(2).hosts:
            self.assertEqual(recorder.session.session.send.next, NEAR_WRAP + 1)
            self.assertEqual(recorder.session.session.receive.expected, NEAR_WRAP + 1)

    def play(self, talk: Conversation, script: list[tuple[str, int, int]]) -> None:
        """
        Go through a script, and check what must hold at every step.
        """
        for kind, which, amount in script:
            talk.step(kind, which, amount)
            for one, recorder in enumerate(talk.hosts):
                held = recorder.session._held or ()
                self.assertLessEqual(sum(map(len, held)), WINDOW)
                self.assertTrue(talk.fromPhone[one].startswith(recorder.data))
                service = talk.services[PORTS[one]].recorder
                self.assertTrue(talk.fromHost[one].startswith(service.data))
                inFlight = recorder.session.session.send.inFlight()
                self.assertLessEqual(inFlight, WINDOW)
        self.assertEqual(talk.phone.violations, [])

    @given(st.sampled_from((1, 2)), scripts)
    @quietly
    def test_everythingArrives(self, version: int, script: list[tuple[str, int, int]]) -> None:
        """
        Once everybody reads again, every byte has arrived, in order, and every
        byte is acknowledged.
        """
        talk = Conversation(version)
        self.play(talk, script)
        talk.finish()
        for one, recorder in enumerate(talk.hosts):
            self.assertEqual(recorder.data, talk.fromPhone[one])
            self.assertEqual(talk.services[PORTS[one]].recorder.data, talk.fromHost[one])
            self.assertTrue(recorder.session.session.isQuiet())
            self.assertEqual(recorder.session.session.receive.due(), 0)
            self.assertEqual(recorder.lost, [])
        self.assertEqual(talk.phone.violations, [])
        counters = talk.host.counters
        wrong = (
            counters.malformed,
            counters.counterGaps,
            counters.duplicates,
            counters.sequenceGaps,
            counters.overruns,
            counters.badAcknowledgements,
            counters.unexpectedFlags,
            counters.strays,
        )
        self.assertEqual(wrong, (0,) * 8)

    @given(st.sampled_from((1, 2)), scripts)
    @quietly
    def test_linkLost(self, version: int, script: list[tuple[str, int, int]]) -> None:
        """
        If the cable breaks, what had reached the host is delivered, and then
        every session hears of its loss.
        """
        talk = Conversation(version)
        self.play(talk, script)
        received = [recorder.session.session.bytesReceived for recorder in talk.hosts]
        talk.host.linkLost(Failure(ConnectionLost("unplugged")))
        for one, recorder in enumerate(talk.hosts):
            recorder.session.resumeProducing()
            self.assertEqual(recorder.data, talk.fromPhone[one][: received[one]])
            (reason,) = recorder.lost
            reason.trap(ConnectionLost)
        talk.clock.advance(60)
        self.assertEqual(talk.clock.getDelayedCalls(), [])

    @given(st.sampled_from((1, 2)), scripts)
    @quietly
    def test_hostCloses(self, version: int, script: list[tuple[str, int, int]]) -> None:
        """
        C{loseConnection} delivers every byte that was written before it ends
        the session, cleanly.
        """
        talk = Conversation(version)
        self.play(talk, script)
        for recorder in talk.hosts:
            recorder.session.loseConnection()
        talk.finish()
        for one, recorder in enumerate(talk.hosts):
            self.assertEqual(talk.services[PORTS[one]].recorder.data, talk.fromHost[one])
            (reason,) = recorder.lost
            reason.trap(ConnectionDone)
        self.assertEqual(talk.phone.violations, [])
        talk.clock.advance(60)
        self.assertEqual(talk.clock.getDelayedCalls(), [])

    @given(scripts)
    @quietly
    def test_phoneCloses(self, script: list[tuple[str, int, int]]) -> None:
        """
        A phone that closes when it has said everything loses none of it, even
        if the host was not reading.
        """
        talk = Conversation(2)
        self.play(talk, script)
        for which in range(len(PORTS)):
            service = talk.services[PORTS[which]].recorder.transport
            assert service is not None
            service.loseConnection()
        talk.finish()
        for one, recorder in enumerate(talk.hosts):
            self.assertEqual(recorder.data, talk.fromPhone[one])
            (reason,) = recorder.lost
            reason.trap(ConnectionDone)
        self.assertEqual(talk.phone.violations, [])
