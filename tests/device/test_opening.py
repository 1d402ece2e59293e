"""
Tests of L{muxd.device.opening}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import IProtocol
from twisted.trial.unittest import SynchronousTestCase

from tests.device.links import (
    ACK,
    LOCKDOWN,
    RST,
    SYN,
    SYN_ACK,
    WINDOW,
    Recorder,
    RecorderFactory,
    ScriptedPhone,
)


class OpeningTests(SynchronousTestCase):
    """
    From SYN to the phone's answer.
    """

    def setUp(self) -> None:
        """
        A session that is being opened.
        """
        self.phone = ScriptedPhone.ready()
        self.counters = self.phone.muxer.counters
        self.recorder = Recorder()
        self.factory = RecorderFactory(self.recorder)
        self.result: Deferred[IProtocol] = self.phone.muxer.connect(LOCKDOWN, self.factory)

    def answer(
        self, flags: int, seq: int = 0, ack: int = 1, payload: bytes = b"", window: int = WINDOW
    ) -> None:
        """
        The phone answers.
        """
        self.phone.deliver(self.phone.segment(LOCKDOWN, 1, seq, ack, flags, payload, window))

    def flags(self) -> list[int]:
        """
        The flags of what was sent.
        """
        return [one.flags for one in self.phone.take()]

    def assertOver(self) -> None:
        """
        Nothing is left of the attempt.
        """
        self.assertEqual((self.factory.starts, self.factory.stops), (1, 1))
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.phone.muxer._sessions), 0)
        self.assertEqual(len(self.phone.muxer._ports), 0)

    def test_syn(self) -> None:
        """
        A SYN has seq 0, ack 0 and the window as every other segment.
        """
        (syn,) = self.phone.take()
        self.assertEqual((syn.seq, syn.ack, syn.flags, syn.window), (0, 0, SYN, WINDOW))
        self.assertEqual((syn.sourcePort, syn.destinationPort), (1, LOCKDOWN))
        self.assertEqual(list(self.phone.muxer.sessions), [])

    def test_accepted(self) -> None:
        """
        SYN|ACK is acknowledged, and the protocol is connected before the result
        fires.
        """
        self.phone.take()
        order: list[object] = []
        self.recorder.onMade = lambda: order.append("made")
        self.result.addCallback(order.append)
        self.answer(SYN_ACK)
        self.assertEqual(order, ["made", self.recorder])
        (ack,) = self.phone.take()
        self.assertEqual((ack.seq, ack.ack, ack.flags, ack.payload), (1, 1, ACK, b""))
        self.assertEqual(self.counters.sessionsOpened, 1)
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_initialSequence(self) -> None:
        """
        The phone's first number is its own to choose, the last one included.
        """
        self.phone.take()
        self.answer(SYN_ACK, seq=2**32 - 1)
        self.assertEqual(self.phone.take()[0].ack, 0)
        self.answer(ACK, 0, 1, b"hello")
        self.assertEqual(self.recorder.data, b"hello")
        self.assertEqual(self.phone.take()[0].ack, 5)

    def test_payloadIgnored(self) -> None:
        """
        A payload of SYN|ACK means nothing.
        """
        self.answer(SYN_ACK, payload=b"early")
        self.answer(ACK, 1, 1, b"hello")
        self.assertEqual(self.recorder.data, b"hello")

    def test_badAcknowledgement(self) -> None:
        """
        SYN|ACK for something that was not sent is counted.
        """
        self.answer(SYN_ACK, ack=77)
        self.assertEqual(self.counters.badAcknowledgements, 1)
        self.successResultOf(self.result)

    def test_refused(self) -> None:
        """
        A RST refuses with the phone's text, and is not answered.
        """
        self.phone.take()
        self.answer(RST | ACK, payload=b"no such service\n")
        failure = self.failureResultOf(self.result, ConnectionRefusedError)
        self.assertIn("no such service", failure.getErrorMessage())
        self.assertEqual(self.flags(), [])
        self.assertEqual(self.counters.sessionsRefused, 1)
        self.assertOver()

    def test_refusedWithoutText(self) -> None:
        """
        A phone need not say why.
        """
        self.answer(RST)
        failure = self.failureResultOf(self.result, ConnectionRefusedError)
        self.assertIn("no reason", failure.getErrorMessage())

    def test_oddAnswers(self) -> None:
        """
        Anything but exactly SYN|ACK or a RST refuses, and is reset.
        """
        for flags in (ACK, SYN, SYN_ACK | 8, 0, SYN_ACK | 1):
            phone = ScriptedPhone.ready()
            result = phone.muxer.connect(LOCKDOWN, RecorderFactory())
            phone.take()
            phone.deliver(phone.segment(LOCKDOWN, 1, 0, 1, flags))
            self.failureResultOf(result, ConnectionRefusedError)
            (rst,) = phone.take()
            self.assertEqual((rst.flags, rst.seq, rst.window), (RST, 1, WINDOW))

    def test_timeout(self) -> None:
        """
        No answer within ten seconds is a time-out, and is reset; the answer
        that comes later is a stray.
        """
        self.phone.take()
        self.phone.clock.advance(9.9)
        self.assertNoResult(self.result)
        self.phone.clock.advance(0.1)
        self.failureResultOf(self.result, TimeoutError)
        self.assertEqual(self.flags(), [RST])
        self.assertEqual(self.counters.connectTimeouts, 1)
        self.answer(SYN_ACK)
        self.assertEqual(self.flags(), [RST])
        self.assertEqual(self.counters.strays, 1)
        self.assertOver()

    def test_cancel(self) -> None:
        """
        Who is not interested any more has the session reset.
        """
        self.phone.take()
        self.result.cancel()
        self.failureResultOf(self.result, CancelledError)
        self.assertEqual(self.flags(), [RST])
        self.assertOver()

    def test_noProtocol(self) -> None:
        """
        A factory that makes no protocol has the session reset.
        """
        self.factory.recorder = None
        self.phone.take()
        self.answer(SYN_ACK)
        self.failureResultOf(self.result, NoProtocol)
        self.assertEqual(self.flags(), [ACK, RST])
        self.assertOver()

    def test_raisingFactory(self) -> None:
        """
        So has one that raises; the rest of the batch is dispatched.
        """
        other = self.phone.open(port=22)
        self.patch(self.factory, "buildProtocol", lambda addr: 1 / 0)
        self.phone.deliver(self.phone.segment(LOCKDOWN, 1, 0, 1, SYN_ACK), other.packet(b"hello"))
        self.failureResultOf(self.result, ZeroDivisionError)
        self.assertEqual(other.recorder.data, b"hello")
        self.assertEqual(self.factory.stops, 1)

    def test_raisingProtocol(self) -> None:
        """
        And one whose protocol raises when it is connected.
        """
        self.recorder.onMade = lambda: 1 / 0
        self.phone.take()
        self.answer(SYN_ACK)
        self.failureResultOf(self.result, ZeroDivisionError)
        self.assertEqual(self.flags(), [ACK, RST])
        self.assertOver()

    def test_raisingStart(self) -> None:
        """
        A factory that does not start costs no port and no SYN.
        """
        self.phone.take()
        factory = RecorderFactory()
        self.patch(factory, "startFactory", lambda: 1 / 0)
        self.failureResultOf(self.phone.muxer.connect(22, factory), ZeroDivisionError)
        self.assertEqual(self.flags(), [])
        self.assertEqual(len(self.phone.muxer._ports), 1)
        self.assertEqual(len(self.phone.clock.getDelayedCalls()), 1)

    def test_raisingStop(self) -> None:
        """
        A factory that does not stop is logged, and harms nobody else.
        """
        self.patch(self.factory, "stopFactory", lambda: 1 / 0)
        self.answer(RST)
        self.failureResultOf(self.result, ConnectionRefusedError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancelWhileConnecting(self) -> None:
        """
        An attempt that is given up from within C{connectionMade} ends the
        session as an abort does.
        """
        self.phone.take()
        self.recorder.onMade = self.result.cancel
        self.answer(SYN_ACK)
        self.failureResultOf(self.result, CancelledError)
        self.assertEqual(self.flags(), [ACK, RST])
        self.phone.clock.advance(0)
        self.recorder.lost[0].trap(ConnectionAborted)
        self.assertOver()

    def test_cancelWhileBuilding(self) -> None:
        """
        Given up from within C{buildProtocol}, the protocol is not connected.
        """

        def build(addr: object) -> Recorder:
            self.result.cancel()
            return self.recorder

        self.patch(self.factory, "buildProtocol", build)
        self.answer(SYN_ACK)
        self.failureResultOf(self.result, CancelledError)
        self.phone.clock.advance(0)
        self.assertIsNone(self.recorder.transport)
        self.assertEqual(self.recorder.lost, [])
        self.assertOver()

    def test_endedWhileBuilding(self) -> None:
        """
        A phone that is let go of from within C{buildProtocol} fails the
        attempt.
        """

        def build(addr: object) -> Recorder:
            self.phone.muxer.stop()
            return self.recorder

        self.patch(self.factory, "buildProtocol", build)
        self.answer(SYN_ACK)
        self.failureResultOf(self.result, ConnectionAborted)
        self.assertIsNone(self.recorder.transport)
        self.assertOver()
