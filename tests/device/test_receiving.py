"""
Tests of L{muxd.device.transport}: what a session makes of the phone's segments.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.chunks import SMALL
from muxd.device.errors import ProtocolViolation
from muxd.device.transport import SessionTransport
from tests.device.links import ACK, RST, WINDOW, PhoneSide, ScriptedPhone

WRAP = 2**32
ONE, TWO, THREE, FOUR = (figure * SMALL for figure in (b"1", b"2", b"3", b"4"))


def heldBytes(session: SessionTransport) -> int:
    """
    How much a session holds back.
    """
    return sum(map(len, session._held or ()))


class SequenceTests(SynchronousTestCase):
    """
    Every number of every segment is checked, also where they wrap.
    """

    def setUp(self) -> None:
        """
        A session whose phone began just before the wrap, and another one.
        """
        self.phone = ScriptedPhone.ready()
        self.counters = self.phone.muxer.counters
        self.side = self.phone.open(seq=WRAP - 4)
        self.other = self.phone.open(port=22)

    def assertViolated(self, side: PhoneSide) -> None:
        """
        This session, and only this one, was reset as the phone has lost the
        thread.
        """
        (reset,) = self.phone.take()
        self.assertEqual((reset.flags, reset.sourcePort), (RST, side.hostPort))
        side.recorder.lost[0].trap(ProtocolViolation)
        self.assertEqual(side.factory.stops, 1)
        self.other.say(b"unharmed")
        self.assertEqual(self.other.recorder.chunks.pop(), b"unharmed")

    def test_wrap(self) -> None:
        """
        Bytes on both sides of 2^32 are delivered and acknowledged.
        """
        for payload in (b"ab", b"cd", b"ef"):
            self.side.say(payload)
        self.assertEqual(self.side.recorder.data, b"abcdef")
        self.assertEqual([one.ack for one in self.side.take()], [WRAP - 1, 1, 3])
        self.assertEqual(self.side.session.session.bytesReceived, 6)

    def test_duplicate(self) -> None:
        """
        A segment that has come before is dropped and counted.
        """
        for _ in range(2):
            self.side.seq = WRAP - 3
            self.side.say(b"hello")
        self.assertEqual(self.side.recorder.data, b"hello")
        self.assertEqual(self.counters.duplicates, 1)
        self.assertEqual(len(self.side.take()), 1)

    def test_overlap(self) -> None:
        """
        Of a segment that has come in part, the rest is delivered.
        """
        self.side.say(b"hello")
        self.side.seq -= 3
        self.side.say(b"llo, phone")
        self.assertEqual(self.side.recorder.data, b"hello, phone")
        self.assertEqual(self.side.take()[-1].ack, 9)

    def test_gap(self) -> None:
        """
        A segment behind missing bytes ends the session: they never come.
        """
        self.side.seq = (self.side.seq + 5) % WRAP
        self.side.say(b"hello")
        self.assertViolated(self.side)
        self.assertEqual(self.side.recorder.data, b"")
        self.assertEqual(self.counters.sequenceGaps, 1)

    def test_oddSequenceOfNothing(self) -> None:
        """
        A segment without bytes loses none, whatever its number.
        """
        for seq in (self.side.seq - 1, self.side.seq + 1):
            self.phone.deliver(self.phone.segment(self.side.port, self.side.hostPort, seq, 1))
        self.assertEqual(self.counters.duplicates, 2)
        self.side.say(b"hello")
        self.assertEqual(self.side.recorder.data, b"hello")

    def test_windowFilled(self) -> None:
        """
        A paused session takes exactly a window.
        """
        self.side.session.pauseProducing()
        self.side.say(b"x" * 65536)
        self.side.say(b"y" * 65536)
        self.assertEqual(heldBytes(self.side.session), WINDOW)
        self.assertEqual(self.side.take(), [])

    def test_overrun(self) -> None:
        """
        A byte more ends the session; what is held is still delivered.
        """
        self.side.session.pauseProducing()
        self.side.say(b"x" * 131072)
        self.side.say(b"y")
        (reset,) = self.side.take()
        self.assertEqual(reset.flags, RST)
        self.assertEqual(self.counters.overruns, 1)
        self.assertEqual(self.side.recorder.lost, [])
        self.side.session.resumeProducing()
        self.assertEqual(len(self.side.recorder.data), 131072)
        self.side.recorder.lost[0].trap(ProtocolViolation)

    def test_overrunAtOnce(self) -> None:
        """
        So does one segment that is larger than the window.
        """
        phone = ScriptedPhone.ready(receiveWindow=512)
        side = phone.open()
        side.say(b"x" * 513)
        side.recorder.lost[0].trap(ProtocolViolation)

    def test_acknowledgedTooMuch(self) -> None:
        """
        An acknowledgement of what was never sent is counted and ignored.
        """
        self.side.acknowledge(1)
        self.assertEqual(self.counters.badAcknowledgements, 1)
        self.assertTrue(self.side.session.session.isQuiet())
        self.side.ack = 1
        self.side.session.write(b"ab")
        self.side.acknowledge(2)
        self.assertEqual(self.counters.badAcknowledgements, 1)
        self.assertTrue(self.side.session.session.isQuiet())

    def test_oddFlags(self) -> None:
        """
        Segments of a session have the flag ACK and no other, or RST among any.
        """
        for flags in (0, 0x01, 0x02, 0x12, 0x18, 0x11, 0x30):
            side = self.phone.open(port=80)
            side.say(b"x", flags=flags)
            self.assertViolated(side)
            self.assertEqual(side.recorder.data, b"")
            self.phone.take()
        self.assertEqual(self.counters.unexpectedFlags, 7)

    def test_reset(self) -> None:
        """
        A RST ends the session cleanly, is not answered, and its text is the
        reason's.
        """
        for flags in (RST, RST | ACK):
            side = self.phone.open(port=80)
            side.say(b"amnesia", flags=flags)
            side.recorder.lost[0].trap(ConnectionDone)
            self.assertIn("amnesia", side.recorder.lost[0].getErrorMessage())
            self.assertEqual(self.phone.take(), [])

    def test_resetWithoutText(self) -> None:
        """
        A RST need not say why.
        """
        self.side.say(flags=RST)
        self.assertEqual(str(self.side.recorder.lost[0].value), "Connection was closed cleanly.")

    def test_lateSegment(self) -> None:
        """
        What comes for a session that has ended is answered by a RST.
        """
        self.side.session.abortConnection()
        self.phone.take()
        self.side.say(b"late")
        self.assertEqual([one.flags for one in self.phone.take()], [RST])
        self.assertEqual(self.side.recorder.data, b"")

    def test_memory(self) -> None:
        """
        What is delivered or held is a copy: the link uses its memory again.
        """
        self.side.say(b"direct")
        self.side.session.pauseProducing()
        self.side.say(b" and held")
        self.side.session.resumeProducing()
        self.assertEqual(self.side.recorder.data, b"direct and held")


class PausingTests(SynchronousTestCase):
    """
    Back-pressure on the phone.
    """

    def setUp(self) -> None:
        """
        A session.
        """
        self.phone = ScriptedPhone.ready()
        self.side = self.phone.open()
        self.recorder = self.side.recorder
        self.session = self.side.session

    def test_held(self) -> None:
        """
        Nothing is delivered while paused; then all of it, in order.
        """
        self.session.pauseProducing()
        self.session.pauseProducing()
        self.side.say(ONE)
        self.side.say(TWO)
        self.assertEqual(self.recorder.chunks, [])
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [ONE, TWO])
        self.assertIsNone(self.session._held)

    def test_tinyHeld(self) -> None:
        """
        Tiny segments are put together: each would need more memory than it
        holds, and the phone chooses their size.
        """
        self.session.pauseProducing()
        data = bytes(range(256)) * 64
        for start in range(0, len(data), 2):
            self.side.say(data[start : start + 2])
        self.side.say(ONE)
        self.side.say(b"t")
        self.side.say(b"wo")
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, data + ONE + b"two")
        self.assertEqual(self.recorder.chunks[-2:], [ONE, b"two"])
        self.assertEqual([len(one) for one in self.recorder.chunks], [SMALL] * 5 + [3])
        self.assertEqual({type(chunk) for chunk in self.recorder.chunks}, {bytes})
        self.assertEqual(self.side.take()[-1].ack, len(data) + SMALL + 4)

    def test_pausedMidBatch(self) -> None:
        """
        A protocol that pauses in C{dataReceived} gets no more of the batch, and
        nothing is acknowledged.
        """
        self.recorder.onData = lambda data: self.session.pauseProducing()
        self.phone.deliver(self.side.packet(b"one"), self.side.packet(b"two"))
        self.assertEqual(self.recorder.chunks, [b"one"])
        self.assertEqual(self.side.take(), [])
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [b"one", b"two"])
        self.assertEqual(self.side.take(), [])
        self.session.resumeProducing()
        self.phone.clock.advance(0.03)
        self.assertEqual([one.ack for one in self.side.take()], [7])

    def test_othersGoOn(self) -> None:
        """
        While one session is paused with a whole window held, another one of the same phone
        gets its bytes, in the same batch even, and acknowledges them (protocol 9, edge 38).
        """
        other = self.phone.open(port=22)
        self.session.pauseProducing()
        for _ in range(8):
            self.phone.deliver(self.side.packet(b"x" * 16384), other.packet(b"y" * 16384))
        self.assertEqual(self.recorder.chunks, [])
        segments = self.phone.take()
        self.assertEqual(other.recorder.data, b"y" * 131072)
        acks = [
            each.ack for each in segments if each.sourcePort == other.session.session.sourcePort
        ]
        self.assertEqual(acks[-1], 131072 + 1)
        self.assertEqual(len(acks), len(segments))

    def test_pausedMidResumption(self) -> None:
        """
        So it is when it pauses while held bytes are delivered.
        """
        self.session.pauseProducing()
        for payload in (ONE, TWO, THREE):
            self.side.say(payload)
        self.recorder.onData = lambda data: self.session.pauseProducing()
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [ONE])
        self.side.say(FOUR)
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [ONE, TWO])
        self.assertEqual(self.session.session.receive.owed(), 2 * SMALL)

    def test_resumedWithin(self) -> None:
        """
        Pausing and resuming within C{dataReceived} delivers nothing out of
        order and nothing from within.
        """
        depth: list[int] = []
        deepest: list[int] = []

        def both(data: bytes) -> None:
            depth.append(1)
            deepest.append(len(depth))
            self.session.pauseProducing()
            self.session.resumeProducing()
            depth.pop()

        self.session.pauseProducing()
        for payload in (ONE, TWO, THREE):
            self.side.say(payload)
        self.recorder.onData = both
        self.session.resumeProducing()
        self.side.say(FOUR)
        self.assertEqual(self.recorder.chunks, [ONE, TWO, THREE, FOUR])
        self.assertEqual(max(deepest), 1)

    def test_writesGoOn(self) -> None:
        """
        A paused session still sends, and takes the phone's acknowledgements;
        what it sends acknowledges nothing new.
        """
        self.session.pauseProducing()
        self.side.say(b"question")
        self.session.write(b"a" * 200_000)
        self.side.acknowledge(131072)
        sent = self.side.take()
        self.assertEqual(sum(len(one.payload) for one in sent), 200_000)
        self.assertEqual({one.ack for one in sent}, {1})

    def test_loseWhileDelivering(self) -> None:
        """
        A protocol that has enough gets nothing more: of what is held, nor of
        the batch.
        """
        self.session.pauseProducing()
        self.side.say(ONE)
        self.side.say(TWO)
        self.recorder.onData = lambda data: self.session.loseConnection()
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [ONE])
        self.assertEqual([(one.flags, one.ack) for one in self.side.take()], [(RST, 2 * SMALL + 1)])

    def test_abortWhileDelivering(self) -> None:
        """
        Nor does one that aborts.
        """
        self.recorder.onData = lambda data: self.session.abortConnection()
        self.phone.deliver(self.side.packet(b"one"), self.side.packet(b"two"))
        self.assertEqual(self.recorder.chunks, [b"one"])
        self.assertEqual([one.flags for one in self.phone.take()], [RST, RST])
        self.assertEqual(self.recorder.lost, [])
        self.phone.clock.advance(0)
        self.recorder.lost[0].trap(ConnectionAborted)

    def test_raising(self) -> None:
        """
        A protocol that raises loses its session; others get their bytes.
        """
        other = self.phone.open(port=22)
        self.recorder.onData = lambda data: 1 / 0
        self.phone.deliver(
            self.side.packet(b"one"), other.packet(b"hello"), self.side.packet(b"two")
        )
        self.phone.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.recorder.lost[0].trap(ZeroDivisionError)
        self.assertEqual(other.recorder.data, b"hello")
        self.assertEqual(self.recorder.chunks, [b"one"])
        self.assertIn(RST, [one.flags for one in self.side.take()])

    def test_raisingWhileResuming(self) -> None:
        """
        So it does when it raises on held bytes, and who resumed it is spared.
        """
        self.session.pauseProducing()
        self.side.say(ONE)
        self.side.say(TWO)
        self.recorder.onData = lambda data: 1 / 0
        self.session.resumeProducing()
        self.assertEqual(self.recorder.chunks, [ONE])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_afterTheEnd(self) -> None:
        """
        Pausing and resuming a session that has ended does nothing.
        """
        self.side.say(flags=RST)
        self.session.pauseProducing()
        self.session.resumeProducing()
        self.assertEqual(len(self.recorder.lost), 1)
