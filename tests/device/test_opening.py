"""
Tests of L{muxd.device.opening}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.deadlines import Deadlines
from muxd.device.opening import PendingSession
from muxd.device.session import Session
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
from tests.device.sessionends import RecordingEnd


class Request:
    """
    What asks for a session, and notes what it is told.

    @ivar told: What, and the flags of what the phone had been sent by then.
    """

    def __init__(self, phone: ScriptedPhone) -> None:
        self.phone = phone
        self.told: list[tuple[str, list[int]]] = []

    def _note(self, what: str) -> None:
        self.told.append((what, [one.flags for one in self.phone.take()]))

    def accepted(self) -> None:
        """
        The phone has accepted.
        """
        self._note("accepted")

    def established(self, session: Session) -> None:
        """
        There is a session.
        """
        session.end = RecordingEnd(session)
        self._note("established")

    def refused(self, reason: Failure) -> None:
        """
        There is none.
        """
        self._note(type(reason.value).__name__)


class RequestTests(SynchronousTestCase):
    """
    What is told to what has asked for sessions, and when.
    """

    def setUp(self) -> None:
        """
        A phone that has not been asked for anything.
        """
        self.phone = ScriptedPhone.ready()

    def open(self) -> tuple[Request, PendingSession]:
        """
        Ask for a session.
        """
        request = Request(self.phone)
        opening = self.phone.muxer.open(LOCKDOWN, request)
        self.phone.take()
        return request, opening

    def accept(self, opening: PendingSession) -> None:
        """
        The phone accepts.
        """
        self.phone.deliver(
            self.phone.segment(LOCKDOWN, opening.sourcePort, 0, 1, SYN_ACK, b"", WINDOW)
        )

    def test_acceptedFirst(self) -> None:
        """
        What waits for the answer hears it before the phone is told that it has been heard,
        and that before there is a session to send with.
        """
        request, opening = self.open()
        self.accept(opening)
        self.assertEqual(request.told, [("accepted", []), ("established", [ACK])])

    def test_refused(self) -> None:
        """
        It is not accepted first when it is refused.
        """
        request, opening = self.open()
        self.phone.deliver(self.phone.segment(LOCKDOWN, opening.sourcePort, 0, 1, RST))
        self.assertEqual(request.told, [("ConnectionRefusedError", [])])

    def test_deadlines(self) -> None:
        """
        Each has its own deadline, whatever becomes of those before it, and one timer does
        for all.
        """
        begun = []
        for _ in range(4):
            begun.append(self.open())
            self.phone.clock.advance(1)
        self.assertEqual(len(self.phone.clock.getDelayedCalls()), 1)
        self.accept(begun[0][1])
        begun[2][1].cancel()
        self.phone.clock.advance(6.75)
        self.assertEqual(begun[1][0].told, [])
        self.phone.clock.advance(0.25)
        self.assertEqual([told[0] for told in begun[1][0].told], ["TimeoutError"])
        self.phone.clock.advance(1.75)
        self.assertEqual(begun[3][0].told, [])
        self.phone.clock.advance(0.25)
        self.assertEqual([told[0] for told in begun[3][0].told], ["TimeoutError"])
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])
        self.assertEqual(self.phone.muxer.counters.connectTimeouts, 2)

    def test_metDeadlines(self) -> None:
        """
        The timer of those that are met finds nothing to do, and is not made anew; it is
        there for those that come meanwhile, and is gone when the muxer has ended.
        """
        _, opening = self.open()
        self.accept(opening)
        (timer,) = self.phone.clock.getDelayedCalls()
        self.phone.clock.advance(6)
        late, _ = self.open()
        self.assertEqual(self.phone.clock.getDelayedCalls(), [timer])
        self.phone.clock.advance(9.75)
        self.assertEqual(late.told, [])
        self.phone.clock.advance(0.25)
        self.assertEqual([told[0] for told in late.told], ["TimeoutError"])
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])
        self.open()
        self.phone.muxer.stop()
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_deadlineRaises(self) -> None:
        """
        A request that raises when it is told takes no other's deadline away.
        """
        first, _ = self.open()
        second, _ = self.open()
        self.patch(first, "refused", lambda reason: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.phone.clock.advance, 10)
        self.phone.clock.advance(0)
        self.assertEqual([told[0] for told in second.told], ["TimeoutError"])


class Patient:
    """
    What has a deadline, and does something when it is missed.
    """

    def __init__(self, missed: Callable[[], None]) -> None:
        self.timedOut = missed


class StoppedDeadlinesTests(SynchronousTestCase):
    """
    L{Deadlines} that are stopped.
    """

    def test_byOne(self) -> None:
        """
        One whose time is over may stop them all: no other is told any more, and no timer
        is left.
        """
        clock = Clock()
        deadlines = Deadlines(clock, 10)
        told: list[str] = []
        one, other, later = (
            Patient(deadlines.stop),
            Patient(lambda: told.append("other")),
            Patient(lambda: told.append("later")),
        )
        deadlines.add(one, 0)
        deadlines.add(other, 0)
        deadlines.add(later, 1)
        clock.advance(10)
        self.assertEqual((told, clock.getDelayedCalls()), ([], []))


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
        self.assertEqual(self.phone.timers(), [])
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
        self.assertEqual(self.phone.timers(), [])

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
        A caller that cancels has the session reset.
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
