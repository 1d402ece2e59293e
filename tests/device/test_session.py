"""
Tests of L{muxd.device.session}: how a session ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    ILoggingContext,
    IPushProducer,
    ITransport,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.address import DeviceAddress, HostAddress
from muxd.device.states import SessionState
from muxd.interfaces import Buffer
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import Flags, MuxProtocol
from tests.device.links import ACK, LOCKDOWN, RST, UDID, Recorder, RecordingProducer, ScriptedPhone


class SessionCase(SynchronousTestCase):
    """
    One session.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        self.phone = ScriptedPhone.ready()
        self.clock = self.phone.clock
        self.side = self.phone.open(self.makeProtocol())
        self.session = self.side.session
        self.lost = self.side.recorder.lost

    def makeProtocol(self) -> Recorder:
        """
        Whose session it is.
        """
        return Recorder()

    def flags(self) -> list[int]:
        """
        The flags of what was sent.
        """
        return [one.flags for one in self.phone.take()]

    def assertGone(self, reason: type[Exception]) -> None:
        """
        The protocol was told once, and nothing is left.
        """
        self.clock.advance(0)
        (failure,) = self.lost
        failure.trap(reason)
        self.assertEqual(self.phone.timers(), [])
        self.assertEqual(list(self.phone.muxer.sessions), [])
        self.assertEqual(self.side.factory.stops, 1)
        self.assertIs(self.session.state, SessionState.CLOSED)


class TransportTests(SessionCase):
    """
    A session as a transport.
    """

    def test_interfaces(self) -> None:
        """
        It provides what it says.
        """
        for interface in (ITransport, IConsumer, IPushProducer, ILoggingContext):
            verifyObject(interface, self.session)

    def test_addresses(self) -> None:
        """
        Its ends have addresses, and the log a name for it.
        """
        self.assertEqual(self.session.getPeer(), DeviceAddress(UDID, LOCKDOWN))
        self.assertEqual(self.session.getHost(), HostAddress(UDID, 1))
        self.assertEqual(self.session.logPrefix(), f"Session 1->{LOCKDOWN} on {UDID}")

    def test_flags(self) -> None:
        """
        It says whether it is connected and whether it is being closed.
        """
        self.assertEqual((self.session.connected, self.session.disconnecting), (True, False))
        self.session.write(b"x")
        self.session.loseConnection()
        self.assertEqual((self.session.connected, self.session.disconnecting), (True, True))
        self.side.acknowledge(1)
        self.assertEqual((self.session.connected, self.session.disconnecting), (False, True))

    def test_raisingLoss(self) -> None:
        """
        A protocol that raises in C{connectionLost} is logged, and its factory
        stopped all the same.
        """
        self.side.recorder.onLost = lambda: 1 / 0
        self.side.say(flags=RST)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGone(ConnectionDone)


class LoseConnectionTests(SessionCase):
    """
    Closing with everything delivered.
    """

    def test_nothingToSend(self) -> None:
        """
        With nothing on its way the phone is reset at once, and the protocol
        told afterwards: never from within its own call.
        """
        self.session.loseConnection()
        self.assertEqual([(s.flags, s.seq, s.ack) for s in self.phone.take()], [(RST, 1, 1)])
        self.assertEqual(self.lost, [])
        self.assertGone(ConnectionDone)

    def test_flushes(self) -> None:
        """
        What was written is sent as the window allows, and the RST follows the
        last byte's acknowledgement.
        """
        data = bytes(range(256)) * 1000
        self.session.write(data)
        self.session.loseConnection()
        self.session.loseConnection()
        sent = self.phone.take()
        self.side.acknowledge(131072)
        sent += self.phone.take()
        self.assertEqual(b"".join(one.payload for one in sent), data)
        self.assertEqual({one.flags for one in sent}, {ACK})
        self.side.acknowledge(len(data) - 131072 - 1)
        self.assertEqual((self.flags(), self.lost), ([], []))
        self.side.acknowledge(1)
        self.assertEqual(self.flags(), [RST])
        self.assertGone(ConnectionDone)

    def test_flagsOfALife(self) -> None:
        """
        Whatever a session does, its segments are SYN, ACK or RST and nothing besides: a
        FIN or PSH makes a phone abort it (protocol 9, edge 26).
        """
        sent: list[bytes] = []
        send = self.phone.link.send

        def record(parts: Sequence[Buffer]) -> None:
            sent.append(b"".join(parts))
            send(parts)

        self.phone.link.send = record  # type: ignore[method-assign]
        self.session.write(b"x" * 200000)
        self.side.acknowledge(131072)
        self.session.loseWriteConnection()
        self.side.say(b"y" * 40000)
        self.side.acknowledge(200000 - 131072)
        self.clock.advance(1)
        self.session.loseConnection()
        self.clock.advance(1)
        other = self.phone.open(port=22)
        other.session.abortConnection()
        self.phone.deliver(self.side.packet(b"late"))
        segments = [
            Segment.decode(packet.body)
            for packet in (Packet.decode(data, 2) for data in sent)
            if packet.protocol == MuxProtocol.TCP
        ]
        self.assertEqual({segment.flags for segment in segments}, {Flags.SYN, ACK, RST})

    def test_deadline(self) -> None:
        """
        A phone that takes nothing of it within 15 seconds is reset; the reason
        says how much it missed.
        """
        self.session.write(b"x" * 200_000)
        self.session.loseConnection()
        self.phone.take()
        self.clock.advance(14.9)
        self.assertEqual(self.flags(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.flags(), [RST])
        self.assertIn("200000 bytes", self.lost[0].getErrorMessage())
        self.assertGone(ConnectionLost)

    def test_slowly(self) -> None:
        """
        A phone that takes something now and then may take all of it; what it says
        meanwhile earns it no time.
        """
        self.session.write(b"x" * 10_000)
        self.session.loseConnection()
        for _ in range(9):
            self.clock.advance(14)
            self.side.acknowledge(1000)
        self.assertNotIn(RST, self.flags())
        self.assertEqual(self.session.progress, 1 + 9000)
        for _ in range(4):
            self.clock.advance(7.5)
            self.side.say(b"y" * 100)
        self.assertEqual(self.flags()[-1], RST)
        self.assertIn("1000 bytes", self.lost[0].getErrorMessage())
        self.assertGone(ConnectionLost)

    def test_deadlineOfProducer(self) -> None:
        """
        The deadline holds for a producer that never unregisters, too.
        """
        producer = RecordingProducer()
        self.session.registerProducer(producer, True)
        self.session.loseConnection()
        self.clock.advance(15)
        self.assertEqual(producer.told, ["stop"])
        self.assertGone(ConnectionLost)

    def test_phoneGoesOn(self) -> None:
        """
        What the phone says meanwhile is not delivered, but acknowledged, so
        that it is not stuck with our last bytes unread.
        """
        self.session.write(b"x")
        self.session.pauseProducing()
        self.side.say(b"held")
        self.session.loseConnection()
        self.clock.advance(0.03)
        self.assertEqual(self.phone.take()[-1].ack, 5)
        self.side.say(b"y" * 131072)
        self.assertEqual(self.phone.take()[-1].ack, 131072 + 5)
        self.session.resumeProducing()
        self.assertEqual(self.side.recorder.data, b"")
        self.side.acknowledge(1)
        self.assertGone(ConnectionDone)

    def test_phoneResets(self) -> None:
        """
        The phone may end the session first.
        """
        self.session.write(b"x")
        self.session.loseConnection()
        self.phone.take()
        self.side.say(flags=RST)
        self.assertEqual(self.flags(), [])
        self.assertGone(ConnectionDone)

    def test_stopProducing(self) -> None:
        """
        When the consumer of its bytes has gone, what was written still reaches
        the phone.
        """
        self.session.write(b"last words")
        self.session.stopProducing()
        self.assertEqual([one.payload for one in self.phone.take()], [b"last words"])
        self.side.acknowledge(10)
        self.assertGone(ConnectionDone)

    def test_afterwards(self) -> None:
        """
        Nothing that is called afterwards does anything.
        """
        self.session.loseConnection()
        self.phone.take()
        for call in (
            self.session.loseConnection,
            self.session.abortConnection,
            self.session.loseWriteConnection,
            self.session.stopProducing,
            self.session.pauseProducing,
            self.session.resumeProducing,
            self.session.unregisterProducer,
        ):
            call()
        self.session.write(b"x")
        self.assertEqual(self.flags(), [])
        self.assertGone(ConnectionDone)

    def test_withinConnectionMade(self) -> None:
        """
        A protocol may close as soon as it is connected, with a last word.
        """
        recorder = Recorder()

        def made() -> None:
            recorder.session.write(b"bye")
            recorder.session.loseConnection()

        recorder.onMade = made
        result = self.phone.muxer.connect(22, factory := self.side.factory)
        factory.recorder = recorder
        self.phone.take()
        self.phone.deliver(self.phone.segment(22, 2, 0, 1, 0x12))
        self.assertIs(self.successResultOf(result), recorder)
        self.assertEqual([one.payload for one in self.phone.take()], [b"", b"bye"])
        self.phone.deliver(self.phone.segment(22, 2, 1, 4))
        recorder.lost[0].trap(ConnectionDone)

    def test_withinResumption(self) -> None:
        """
        A producer may end its session when it is resumed.
        """
        producer = RecordingProducer()
        self.side.say(window=0)
        self.session.registerProducer(producer, True)
        self.session.write(b"x" * 70_000)

        def finish() -> None:
            self.session.write(b"end")
            self.session.unregisterProducer()
            self.session.loseConnection()

        producer.onResume = finish
        self.side.say(window=131072)
        sent = b"".join(one.payload for one in self.phone.take())
        self.assertEqual(sent, b"x" * 70_000 + b"end")
        self.side.acknowledge(70_003)
        self.assertGone(ConnectionDone)
        self.assertEqual(producer.told, ["pause", "resume"])


class AbortConnectionTests(SessionCase):
    """
    Ending at once.
    """

    def test_abort(self) -> None:
        """
        What was not sent is dropped, the phone reset, the protocol told later,
        all of it once.
        """
        self.side.say(window=0)
        self.session.write(b"dropped")
        self.session.abortConnection()
        self.session.abortConnection()
        self.assertEqual(self.flags(), [RST])
        self.assertEqual(self.lost, [])
        self.assertGone(ConnectionAborted)

    def test_whileFlushing(self) -> None:
        """
        It also ends what C{loseConnection} waits for.
        """
        self.session.write(b"x")
        self.session.loseConnection()
        self.session.abortConnection()
        self.assertEqual(self.flags(), [ACK, RST])
        self.assertGone(ConnectionAborted)

    def test_held(self) -> None:
        """
        What is held is not delivered.
        """
        self.session.pauseProducing()
        self.side.say(b"held")
        self.session.abortConnection()
        self.session.resumeProducing()
        self.assertEqual(self.side.recorder.data, b"")
        self.assertGone(ConnectionAborted)

    def test_withinResumption(self) -> None:
        """
        A producer may abort its session when it is resumed.
        """
        producer = RecordingProducer()
        self.side.say(window=0)
        self.session.registerProducer(producer, True)
        self.session.write(b"x" * 70_000)
        producer.onResume = self.session.abortConnection
        self.side.say(window=131072)
        self.assertEqual(producer.told, ["pause", "resume", "stop"])
        self.assertGone(ConnectionAborted)
