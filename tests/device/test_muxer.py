"""
Tests of L{muxd.device.muxer} once it is active, and of its end.
"""

from __future__ import annotations

from twisted.internet.error import ConnectError, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.errors import NoFreePort
from muxd.testing.packets import Packet
from muxd.wire.mux import MuxProtocol, encodePacketV1, encodeVersion
from tests.device.links import (
    ACK,
    LOCKDOWN,
    RST,
    SYN,
    Recorder,
    RecorderFactory,
    ScriptedPhone,
)


class PacketTests(SynchronousTestCase):
    """
    What the phone sends once the muxer is ACTIVE.
    """

    def setUp(self) -> None:
        """
        A phone that has done the handshake.
        """
        self.phone = ScriptedPhone.ready()
        self.muxer = self.phone.muxer
        self.counters = self.muxer.counters

    def sent(self) -> list[Packet]:
        """
        The packets sent.
        """
        return [Packet.decode(one, 2) for one in self.phone.link.sent]

    def test_laterVersion(self) -> None:
        """
        A second VERSION changes nothing, and has no counter to look at.
        """
        self.phone.deliver(encodeVersion(1))
        self.assertEqual((self.muxer.version, self.counters.malformed), (2, 1))
        self.phone.open()
        self.assertEqual(self.counters.counterGaps, 0)

    def test_anyMagic(self) -> None:
        """
        What the phone writes for a magic is not looked at (protocol 9, edge 18).
        """
        session = self.phone.open()
        packet = bytearray(session.packet(b"hello"))
        packet[8:12] = b"\x12\x34\x56\x78"
        self.phone.deliver(bytes(packet))
        self.assertEqual(session.recorder.data, b"hello")
        self.assertEqual(self.counters.malformed, 0)

    def test_control(self) -> None:
        """
        CONTROL is understood under the negotiated framing, and counts.
        """
        for version in (1, 2):
            phone = ScriptedPhone.ready(version)
            said: list[bytes] = []
            self.patch(
                phone.muxer.phoneLog, "controlReceived", lambda b, s=said: s.append(bytes(b))
            )
            side = phone.open()
            phone.deliver(phone.packet(MuxProtocol.CONTROL, b"\x05hot"), side.packet(b"x"))
            self.assertEqual(said, [b"\x05hot"])
            self.assertEqual(phone.muxer.counters.counterGaps, 0)

    def test_malformed(self) -> None:
        """
        Packets that are too short, of no known kind, or with TCP options are
        dropped and counted, and those behind them are not.
        """
        side = self.phone.open()
        segment = bytearray(side.packet(b"options"))
        side.seq -= 7
        segment[28] = 0x60
        self.phone.deliver(
            b"\0\0\0\6",
            encodePacketV1(MuxProtocol.TCP, b"short"),
            bytes(segment),
            self.phone.packet(MuxProtocol.TCP, bytes(19)),
            self.phone.packet(MuxProtocol.SETUP, b"\7"),
            self.phone.packet(99, bytes(40)),
            self.phone.packet(MuxProtocol.CONTROL, b""),
            side.packet(b"fine"),
        )
        self.assertEqual(self.counters.malformed, 7)
        self.assertEqual(side.recorder.data, b"fine")

    def test_counters(self) -> None:
        """
        What we say we received last is the phone's last counter, not what it
        says it received of ours.
        """
        self.phone.counter = 0xFFFE
        side = self.phone.open()
        side.say(b"x")
        self.assertEqual(self.sent()[-1].received, 0xFFFF)
        side.say(b"y")
        self.assertEqual(self.sent()[-1].received, 0)
        self.assertEqual(self.counters.counterGaps, 0)

    def test_counterGap(self) -> None:
        """
        A jump of the phone's counter is counted, and does no harm.
        """
        side = self.phone.open()
        self.phone.counter += 5
        side.say(b"x")
        self.phone.counter += 5
        self.phone.deliver(self.phone.packet(MuxProtocol.CONTROL, b"\7"))
        self.assertEqual(self.counters.counterGaps, 2)
        self.assertEqual(side.recorder.data, b"x")

    def test_counterWrap(self) -> None:
        """
        Our counter wraps after 65535.
        """
        side = self.phone.open()
        self.muxer._framing.transmitted = 0xFFFF
        side.session.write(b"a")
        side.session.write(b"b")
        self.assertEqual([one.transmitted for one in self.sent()], [0xFFFF, 0])

    def test_stray(self) -> None:
        """
        A segment for no session is answered by a RST from nobody: ports
        swapped, seq 0, its seq as ack, no window.
        """
        for version in (1, 2):
            phone = ScriptedPhone.ready(version)
            phone.deliver(phone.segment(LOCKDOWN, 7, 1234, 99, ACK, b"late"))
            (rst,) = phone.take()
            self.assertEqual((rst.sourcePort, rst.destinationPort), (7, LOCKDOWN))
            self.assertEqual((rst.seq, rst.ack, rst.flags, rst.window), (0, 1234, RST, 0))
            self.assertEqual(rst.payload, b"")
            self.assertEqual(phone.muxer.counters.strays, 1)

    def test_strayReset(self) -> None:
        """
        A RST is never answered, or two muxers would reset each other for ever.
        """
        for flags in (RST, RST | ACK, 0xFF):
            self.phone.deliver(self.phone.segment(LOCKDOWN, 7, 1, 1, flags, b"why"))
        self.assertEqual(self.phone.take(), [])
        self.assertEqual(self.counters.strays, 3)

    def test_bothPorts(self) -> None:
        """
        A session is known by both of its ports.
        """
        side = self.phone.open()
        self.phone.deliver(self.phone.segment(side.port + 1, side.hostPort, 1, 1, ACK, b"x"))
        self.assertEqual(side.recorder.data, b"")
        self.assertEqual([one.flags for one in self.phone.take()], [RST])

    def test_phoneConnects(self) -> None:
        """
        A phone that opens a session of its own is refused like any stray.
        """
        self.phone.deliver(self.phone.segment(5000, 80, 0, 0, SYN))
        self.assertEqual([one.flags for one in self.phone.take()], [RST])

    def test_straysBounded(self) -> None:
        """
        Answers to strays that the link does not take are bounded in number.
        """
        phone = ScriptedPhone.ready(controlQueue=3)
        phone.link.room = 0
        phone.deliver(*(phone.segment(1, 2 + seq, seq, 0) for seq in range(10)))
        self.assertEqual(phone.muxer.counters.straysUnanswered, 7)
        phone.link.makeRoom()
        self.assertEqual([one.ack for one in phone.take()], [0, 1, 2])

    def test_oneAcknowledgementPerBatch(self) -> None:
        """
        All segments of one wake-up are acknowledged by one.
        """
        side, other = self.phone.open(), self.phone.open(port=22)
        self.phone.deliver(side.packet(b"a"), other.packet(b"b"), side.packet(b"c" * 9))
        acks = [(one.destinationPort, one.ack, one.payload) for one in self.phone.take()]
        self.assertEqual(acks, [(LOCKDOWN, 11, b""), (22, 2, b"")])
        self.assertEqual(self.counters.acknowledgements, 2)
        self.assertEqual(self.counters.bytesReceived, 11)

    def test_answerAcknowledges(self) -> None:
        """
        A session that answers in its batch sends no acknowledgement besides.
        """
        side = self.phone.open()
        side.recorder.onData = side.session.write
        side.say(b"echo")
        self.assertEqual([(s.payload, s.ack) for s in side.take()], [(b"echo", 5)])
        self.assertEqual(self.counters.acknowledgements, 0)


class EndTests(SynchronousTestCase):
    """
    How a muxer ends.
    """

    def setUp(self) -> None:
        """
        A phone with two sessions.
        """
        self.phone = ScriptedPhone.ready()
        self.muxer = self.phone.muxer
        self.sides = [self.phone.open(), self.phone.open(port=22)]

    def lose(self) -> None:
        """
        Unplug the phone.
        """
        self.muxer.linkLost(Failure(ConnectionLost("unplugged")))

    def test_linkLost(self) -> None:
        """
        Sessions end without a RST, opening ones too, and the reason says why.
        """
        opening = self.muxer.connect(80, RecorderFactory(Recorder()))
        self.phone.take()
        lost = self.muxer.whenLost()
        self.lose()
        for side in self.sides:
            (reason,) = side.recorder.lost
            reason.trap(ConnectionLost)
            self.assertIn("unplugged", reason.getErrorMessage())
            self.assertEqual((side.factory.starts, side.factory.stops), (1, 1))
        self.failureResultOf(opening, ConnectionLost)
        self.assertEqual(self.phone.take(), [])
        self.assertEqual(list(self.muxer.sessions), [])
        for one in (lost, self.muxer.whenLost()):
            self.assertIn("unplugged", self.failureResultOf(one).getErrorMessage())
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        A stop resets every session, and answers nothing afterwards.
        """
        self.assertEqual(len(list(self.muxer.sessions)), 2)
        self.muxer.stop()
        self.assertEqual([(s.flags, s.seq, s.ack) for s in self.phone.take()], [(RST, 1, 1)] * 2)
        self.sides[0].say(b"late")
        self.phone.deliver(self.phone.packet(MuxProtocol.CONTROL, b"\3text"))
        self.assertEqual(self.phone.take(), [])
        self.assertEqual(self.sides[0].recorder.data, b"")

    def test_stopWithoutRoom(self) -> None:
        """
        The RSTs of a stop go to the link even when it has no room, as nothing
        comes after them.
        """
        self.phone.link.room = 0
        self.muxer.stop()
        self.assertEqual([one.flags for one in self.phone.take()], [RST, RST])

    def test_connectAfterwards(self) -> None:
        """
        There are no sessions afterwards.
        """
        self.lose()
        failure = self.failureResultOf(self.muxer.connect(22, RecorderFactory()), ConnectionLost)
        self.assertIn("not there any more", failure.getErrorMessage())

    def test_connectMeanwhile(self) -> None:
        """
        Nor for an application that connects anew as soon as it has lost its
        session.
        """
        again = []
        self.sides[0].recorder.onLost = lambda: again.append(
            self.muxer.connect(22, RecorderFactory())
        )
        self.lose()
        self.failureResultOf(again[0], ConnectionLost)
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_cancelMeanwhile(self) -> None:
        """
        An application that ends other sessions, or gives up connecting, when it
        loses one, does not keep the rest from being told.
        """
        factory = RecorderFactory(Recorder())
        opening = self.muxer.connect(80, factory)
        opening.addErrback(lambda failure: None)
        last = self.muxer.connect(81, RecorderFactory())

        def giveUp() -> None:
            self.sides[1].session.abortConnection()
            opening.cancel()

        self.sides[0].recorder.onLost = giveUp
        self.lose()
        self.phone.clock.advance(0)
        self.assertEqual(len(self.sides[1].recorder.lost), 1)
        self.assertEqual((factory.starts, factory.stops), (1, 1))
        self.failureResultOf(last, ConnectionLost)

    def test_stopWhileReceiving(self) -> None:
        """
        A muxer can be stopped from within what it delivers.
        """
        self.sides[0].recorder.onData = lambda data: self.muxer.stop()
        self.phone.deliver(self.sides[0].packet(b"a"), self.sides[1].packet(b"b"))
        self.assertEqual([one.flags for one in self.phone.take()], [RST, RST])
        self.assertEqual(self.sides[1].recorder.data, b"")

    def test_stopLeavesNoTimer(self) -> None:
        """
        A muxer that is stopped so sees to nothing that came in the same batch:
        no acknowledgement waits for its timer.
        """
        phone = ScriptedPhone.ready(acknowledgeAt=16384)
        first, last = phone.open(), phone.open(port=22)
        last.recorder.onData = lambda data: phone.muxer.stop()
        phone.deliver(first.packet(b"x"), last.packet(b"y"))
        self.assertEqual([each.flags for each in phone.take()], [RST, RST])
        phone.clock.advance(0)
        self.assertEqual(phone.timers(), [])

    def test_endWithLastBytes(self) -> None:
        """
        Nor is anything kept of a session that ends in the batch which brought its
        last bytes.
        """
        phone = ScriptedPhone.ready(acknowledgeAt=16384)
        for ending in (b"x" * 17000, b"x"):
            read, held = phone.open(), phone.open(port=22)
            held.session.pauseProducing()
            for side in (read, held):
                phone.deliver(side.packet(ending), side.packet(flags=RST))
            self.assertEqual(phone.take(), [])
            held.session.resumeProducing()
        delayed = phone.muxer.delayed
        self.assertEqual((dict(delayed._owing), dict(delayed.sharing._next)), ({}, {}))
        self.assertEqual(phone.timers(), [])


class LimitTests(SynchronousTestCase):
    """
    What one phone may cost.
    """

    def test_sessions(self) -> None:
        """
        Above the limit of sessions there is none; one that ends makes room.
        """
        phone = ScriptedPhone.ready(sessionsPerPhone=2)
        side = phone.open()
        phone.open()
        factory = RecorderFactory(Recorder())
        self.failureResultOf(phone.muxer.connect(22, factory), NoFreePort)
        self.assertEqual((factory.starts, factory.stops), (0, 0))
        side.say(flags=RST)
        phone.open()

    def test_backlog(self) -> None:
        """
        A phone that takes nothing is not asked for ever more sessions that are
        given up again.
        """
        phone = ScriptedPhone.ready(sessionsPerPhone=10)
        phone.link.room = 0
        for _ in range(100):
            opening = phone.muxer.connect(22, RecorderFactory())
            opening.cancel()
            failure = self.failureResultOf(opening)
        self.assertLessEqual(phone.muxer.outbound.backlog, 12)
        self.assertIsInstance(failure.value, ConnectError)
