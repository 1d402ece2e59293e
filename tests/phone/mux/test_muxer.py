"""
Tests of L{muxd.phone.mux.muxer}: the handshake, and which segment belongs to whom.
"""

from __future__ import annotations

import gc
from struct import pack
from weakref import ref

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.mux.muxer import MuxState
from muxd.phone.services.inet import ServiceFactory
from muxd.testing.packets import Segment
from muxd.wire.mux import SETUP_BODY, Flags, MuxProtocol, encodeVersion
from tests.phone.mux.host import SERVICES, ManualHost, ManualSession


class HandshakeTests(SynchronousTestCase):
    """
    VERSION and SETUP.
    """

    def test_version2(self) -> None:
        """
        A phone of version 2 is active after SETUP.
        """
        host = ManualHost(SERVICES)
        host.muxer.hostPacket(encodeVersion(2))
        self.assertEqual(host.raw, [encodeVersion(2)])
        self.assertIdentical(host.muxer.state, MuxState.VERSION_AGREED)
        host.muxer.hostPacket(bytes.fromhex("0000000200000011feedface0000ffff07"))
        self.assertIdentical(host.muxer.state, MuxState.ACTIVE)
        self.assertEqual(host.violations, [])

    def test_version1(self) -> None:
        """
        A phone of version 1 is active after VERSION, and SETUP is a fault.
        """
        host = ManualHost(SERVICES, mux=1).handshake()
        self.assertIdentical(host.muxer.state, MuxState.ACTIVE)
        session = host.connect(7)
        session.send(payload=b"hello")
        self.assertEqual(session.poll(), b"hello")
        self.assertEqual(host.violations, [])
        host.send(MuxProtocol.SETUP, SETUP_BODY)
        self.assertEqual(host.violations, ["SETUP under version 1"])

    def test_again(self) -> None:
        """
        A host that begins anew, as a restarted daemon does, is no fault; its
        old sessions are lost.
        """
        lost: list[Failure] = []

        class Service(Protocol):
            def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # no default
                lost.append(reason)

        host = ManualHost({1: ServiceFactory(Service)}).handshake()
        host.connect(1)
        host.handshake()
        self.assertEqual([reason.type for reason in lost], [ConnectionLost])
        self.assertEqual(host.muxer.sessions, {})
        host.connect(1)
        self.assertEqual(host.violations, [])
        self.assertEqual(host.muxer.handshakes, 2)

    def test_silent(self) -> None:
        """
        A phone can be made to ignore VERSION, and to answer any version.
        """
        host = ManualHost(SERVICES)
        host.muxer.faults.silent = True
        host.muxer.hostPacket(encodeVersion(2))
        self.assertEqual(host.raw, [])
        host.muxer.faults.silent = False
        host.muxer.faults.version = 3
        host.muxer.hostPacket(encodeVersion(2))
        self.assertEqual(host.raw, [encodeVersion(3)])

    def test_counters(self) -> None:
        """
        Every packet of the phone counts, and says what came last.
        """
        host = ManualHost(SERVICES).handshake()
        host.muxer.sendControl(7, b"hello")
        host.muxer.complain(b"no")
        session = host.connect(7)
        session.send(payload=b"x")
        packets = host.packets()
        self.assertEqual([(p.transmitted, p.received) for p in packets], [(3, 3)])

    def test_counterWraps(self) -> None:
        """
        The counters have 16 bits.
        """
        host = ManualHost(SERVICES).handshake()
        session = host.connect(9)
        for _ in range(0x10000):
            session.send()
        session.send(payload=b"x")
        self.assertEqual(host.violations, [])
        self.assertEqual(len(host.segments()), 1)


class DispatchTests(SynchronousTestCase):
    """
    Which segment belongs to whom.
    """

    def setUp(self) -> None:
        """
        A phone that is active.
        """
        self.host = ManualHost(dict(SERVICES)).handshake()

    def segment(self, flags: int, hostPort: int = 1, port: int = 7, **numbers: int) -> None:
        """
        Send a segment.
        """
        seq, ack = numbers.get("seq", 0), numbers.get("ack", 0)
        segment = Segment(hostPort, port, seq, ack, flags, 131072)
        self.host.send(MuxProtocol.TCP, segment.encode())

    def test_refused(self) -> None:
        """
        A port where nobody listens refuses with a text; a test can say which.
        """
        self.segment(Flags.SYN, port=1)
        self.host.muxer.faults.refusals[7] = b"not today"
        self.segment(Flags.SYN)
        answers = [(s.flags, s.ack, s.payload) for s in self.host.segments()]
        flags = Flags.RST | Flags.ACK
        self.assertEqual(answers, [(flags, 1, b"connection refused"), (flags, 1, b"not today")])
        self.assertEqual(self.host.violations, [])

    def test_deaf(self) -> None:
        """
        A port can be made never to answer; the host's giving up is no fault.
        """
        self.host.muxer.faults.deaf.add(7)
        self.segment(Flags.SYN)
        self.segment(Flags.RST, seq=1)
        self.assertEqual(self.host.segments(), [])
        self.assertEqual(self.host.violations, [])

    def test_unknown(self) -> None:
        """
        A segment of a session that never was is a fault, and is answered with
        an RST; an RST is neither.
        """
        self.segment(Flags.RST)
        self.assertEqual((self.host.segments(), self.host.violations), ([], []))
        self.segment(Flags.ACK, seq=5, ack=6)
        (answer,) = self.host.segments()
        self.assertEqual((answer.flags, answer.seq, answer.ack), (Flags.RST, 6, 5))
        self.assertEqual(self.host.violations, ["session 1->7: unknown, flags 0x10"])

    def test_late(self) -> None:
        """
        Segments for a session that the phone has closed may be on their way:
        they are answered, and are no fault.
        """
        session = self.host.connect(7)
        self.host.muxer.sessions[1, 7].reset(b"bye")
        session.send(payload=b"late")
        flags = [s.flags for s in self.host.segments()]
        self.assertEqual(flags, [Flags.RST, Flags.RST])
        self.assertEqual(self.host.violations, [])

    def test_lateIsForgotten(self) -> None:
        """
        Only so many closed sessions are remembered.
        """
        for hostPort in range(1, 1030):
            self.host.connect(7, hostPort)
            self.host.muxer.sessions[hostPort, 7].reset()
            self.host.packets()
        self.segment(Flags.ACK, hostPort=1)
        self.assertEqual(self.host.violations, ["session 1->7: unknown, flags 0x10"])

    def test_synTwice(self) -> None:
        """
        A SYN on an open session ends it.
        """
        self.host.connect(7)
        self.segment(Flags.SYN)
        self.assertEqual([s.flags for s in self.host.segments()], [Flags.RST])
        self.assertEqual(self.host.violations, ["session 1->7: SYN while it is open"])

    def test_strangeSyn(self) -> None:
        """
        A SYN acknowledges nothing, has no payload, and comes from a port.
        """
        self.segment(Flags.SYN, ack=1)
        self.segment(Flags.SYN, hostPort=0)
        self.assertEqual(
            self.host.violations,
            [
                "SYN of 1->7 with ack 1 and 0 bytes",
                "SYN of 0->7 with ack 0 and 0 bytes",
            ],
        )

    def test_factoriesStartAndStop(self) -> None:
        """
        A service's factory is started with its first session and stopped with its last, or
        with the phone.
        """
        calls = []

        class Service(Factory):
            protocol = Echo
            noisy = False

            def startFactory(self) -> None:
                calls.append("start")

            def stopFactory(self) -> None:
                calls.append("stop")

        self.host.muxer.services[5] = Service()  # type: ignore[index]  # a dictionary
        first, second = (self.host.connect(5, number) for number in (1, 2))
        first.send(Flags.RST)
        self.assertEqual(calls, ["start"])
        second.send(Flags.RST)
        self.assertEqual(calls, ["start", "stop"])
        self.host.connect(5, 3)
        self.host.muxer.lost()
        self.assertEqual(calls, ["start", "stop"] * 2)

    def test_factoryForgotten(self) -> None:
        """
        Nobody holds a factory when its sessions have ended and it is on no port any more.
        """
        factory = ServiceFactory(Echo)
        session = self.connectTo(factory)
        del self.host.muxer.services[5]  # type: ignore[attr-defined]  # a dictionary
        session.send(Flags.RST)
        held = ref(factory)
        del factory
        gc.collect()
        self.assertIsNone(held())

    def test_factoryFails(self) -> None:
        """
        A factory that cannot be started or stopped costs its own session, and nobody else
        anything.
        """

        class Failing(Factory):
            protocol = Echo
            noisy = False

            def __init__(self, fails: str) -> None:
                self.fails = fails

            def startFactory(self) -> None:
                if self.fails == "start":
                    raise RuntimeError("start")

            def stopFactory(self) -> None:
                raise RuntimeError("stop")

        for fails in ("start", "stop"):
            session = self.connectTo(Failing(fails))
            session.send(Flags.RST) if fails == "stop" else session.poll()
            self.assertEqual(self.host.muxer.sessions, {})
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.host.violations, [])

    def connectTo(self, factory: Factory) -> ManualSession:
        """
        Open a session with a service of this factory.
        """
        self.host.muxer.services[5] = factory  # type: ignore[index]  # a dictionary
        return self.host.connect(5)

    def test_fairness(self) -> None:
        """
        Sessions with much to send take turns, and wait together for room.
        """
        self.host.room = False
        sessions = [self.host.connect(7, n) for n in (1, 2)]
        for session in sessions:
            session.send(payload=bytes(49000))
            session.send(payload=bytes(49000))
        acknowledgements = self.host.segments()
        self.assertEqual({len(s.payload) for s in acknowledgements}, {0})
        self.host.room = True
        self.host.muxer.roomAvailable()
        ports = [s.destinationPort for s in self.host.segments()]
        self.assertEqual(ports, [1, 2, 1, 2, 1, 2, 1, 2])

    def test_faults(self) -> None:
        """
        Counters and sequence numbers can be made to jump once.
        """
        session = self.host.connect(7)
        self.host.muxer.faults.skipCounter = 3
        self.host.muxer.faults.skipSequence = 10
        session.send(payload=b"a")
        session.send(payload=b"b")
        tails = [raw[12:14] + raw[20:24] for raw in self.host.raw]
        self.assertEqual(tails, [pack(">HI", 4, 11), pack(">HI", 5, 2)])

    def test_answerFromWithin(self) -> None:
        """
        A host that answers from within the phone's send is heard in order.
        """
        session = self.host.connect(7)
        answered: list[bool] = []

        def answer(packet: bytes) -> None:
            self.host.raw.append(packet)
            if not answered:
                answered.append(True)
                session.send(payload=b"second")

        self.host.muxer._sendRaw = answer
        session.send(payload=b"first")
        self.assertEqual(session.poll(), b"firstsecond")
        self.assertEqual(self.host.violations, [])
