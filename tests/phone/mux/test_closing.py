"""
Tests of L{muxd.phone.mux.session}: how sessions end.
"""

from __future__ import annotations

from functools import partial

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Factory, Protocol

from muxd.phone.mux.flow import ASKING, SEND_BUFFER
from muxd.phone.mux.muxer import WINDOW
from muxd.phone.services.inet import ServiceFactory
from muxd.wire.mux import Flags
from tests.phone.mux.host import ManualHost, ManualSession
from tests.phone.mux.onsession import Producer, SessionTestCase


class ClosingTests(SessionTestCase):
    """
    How sessions end.
    """

    def test_loseConnection(self) -> None:
        """
        A service that closes has its last bytes sent, as far as the window
        allows, and then an RST.
        """
        session = self.service.session
        session.write(bytes(200000))
        session.loseConnection()
        session.loseConnection()
        session.write(b"too late")
        self.assertTrue(session.disconnecting)
        self.assertEqual((len(self.session.poll()), self.session.reset), (131072, None))
        self.session.send(payload=b"ignored")
        self.assertEqual(len(self.session.end()), 200000 - 131072)
        assert self.session.reset is not None
        self.assertEqual(self.session.reset.flags, Flags.RST)
        self.assertEqual(self.service.received, b"")
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_loseConnectionWithPullProducer(self) -> None:
        """
        The end waits for a producer that is asked for more, until it has no more.
        """
        session = self.service.session
        producer = Producer(session, b"more")
        session.registerProducer(producer, False)
        session.loseConnection()
        self.assertNotEqual(self.session.end(), b"")
        self.assertIsNone(self.session.reset)
        session.unregisterProducer()
        self.session.send()
        self.session.end()
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_loseConnectionWithProducer(self) -> None:
        """
        It does not wait for one that writes when it likes and may do so, as nothing says
        that it will; what that writes in the same turn is sent.
        """
        session = self.service.session
        producer = Producer(session)
        session.registerProducer(producer, True)
        session.loseConnection()
        session.write(b"the rest")
        self.assertEqual((self.session.poll(), self.session.reset), (b"the rest", None))
        self.session.end()
        self.assertIdentical(self.ended(), ConnectionDone)
        self.assertEqual(producer.calls, ["stop"])
        self.assertEqual(self.host.clock.getDelayedCalls(), [])

    def test_loseConnectionWhileFull(self) -> None:
        """
        One that is paused writes on when there is room again, and then it ends.
        """
        session = self.service.session
        producer = Producer(session, b"the rest")
        session.registerProducer(producer, True)
        session.write(bytes(WINDOW + SEND_BUFFER))
        session.loseConnection()
        self.assertEqual(producer.calls, ["pause"])
        self.assertEqual((len(self.session.end()), self.session.reset), (WINDOW, None))
        self.session.send()
        self.assertEqual(self.session.poll(), bytes(SEND_BUFFER) + b"the rest")
        self.assertEqual((producer.calls, self.service.reasons), (["pause", "resume"], []))
        self.session.end()
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_loseConnectionWithSlowProducer(self) -> None:
        """
        It may take its time to write then.
        """
        session = self.service.session
        producer = Producer(session)
        session.registerProducer(producer, True)
        session.write(bytes(WINDOW + SEND_BUFFER))
        session.loseConnection()
        self.session.end()
        self.session.send()
        self.session.poll()
        self.session.send()
        self.host.clock.advance(ASKING - 0.1)
        self.assertEqual((producer.calls, self.service.reasons), (["pause", "resume"], []))
        session.write(b"the rest")
        self.assertEqual(self.session.poll(), b"the rest")
        self.session.send()
        self.session.end()
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_loseConnectionAfterAsking(self) -> None:
        """
        One that was asked before has said what it had to.
        """
        session = self.service.session
        producer = Producer(session)
        session.registerProducer(producer, True)
        session.write(bytes(WINDOW + SEND_BUFFER))
        self.session.end()
        self.session.send()
        self.session.poll()
        self.session.send()
        self.assertEqual(producer.calls, ["pause", "resume"])
        session.loseConnection()
        self.session.end()
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_loseConnectionAtOnce(self) -> None:
        """
        A service may close before it has been given anything.
        """

        class Brief(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"bye")
                self.transport.loseConnection()

        host = ManualHost({2: ServiceFactory(Brief)}).handshake()
        session = host.connect(2)
        self.assertEqual(session.end(), b"bye")
        assert session.reset is not None

    def test_notWithin(self) -> None:
        """
        A service hears of its end after it has returned from what brought it
        about, as TLS relies upon.
        """
        session = self.service.session
        session.write(b"last")
        session.loseConnection()
        self.assertEqual(self.service.reasons, [])
        self.assertEqual((self.session.poll(), self.session.reset), (b"last", None))
        self.host.clock.advance(0)
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_unregisteredProducer(self) -> None:
        """
        So it does when the last to produce something takes its leave.
        """
        session = self.service.session
        session.registerProducer(Producer(session), True)
        session.loseConnection()
        session.unregisterProducer()
        self.assertEqual(self.service.reasons, [])
        self.session.send(payload=b"ignored")
        self.host.clock.advance(0)
        self.assertIdentical(self.ended(), ConnectionDone)
        self.assertEqual(self.service.received, b"")

    def test_stopProducing(self) -> None:
        """
        To stop a session is to close it in order.
        """
        self.service.session.write(b"last")
        self.service.session.stopProducing()
        self.assertEqual(self.session.end(), b"last")
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_abort(self) -> None:
        """
        To abort is to forget what was not sent, and to reset in the next turn.
        """
        session = self.service.session
        session.write(bytes(200000))
        session.abortConnection()
        session.abortConnection()
        session.write(b"too late")
        self.assertEqual(self.service.reasons, [])
        self.host.clock.advance(0)
        self.assertEqual(len(self.session.poll()), 131072)
        assert self.session.reset is not None
        self.assertIdentical(self.ended(), ConnectionAborted)
        session.abortConnection()
        self.assertEqual(self.host.clock.getDelayedCalls(), [])

    def test_hostCloses(self) -> None:
        """
        The host's RST ends the session without an answer.
        """
        producer = Producer(self.service.session)
        self.service.session.registerProducer(producer, False)
        self.session.send(payload=b"last")
        self.session.send(Flags.RST)
        self.assertEqual(self.service.received, b"last")
        self.assertIdentical(self.ended(), ConnectionDone)
        self.assertEqual([s.flags for s in self.host.segments()], [Flags.ACK])
        self.assertEqual(producer.calls, ["stop"])
        self.assertEqual(self.host.violations, [])
        self.assertEqual(self.host.clock.getDelayedCalls(), [])

    def test_hostClosesWhilePaused(self) -> None:
        """
        What the host sent before its RST still reaches a paused service, and
        then the end does.
        """
        session = self.service.session
        session.pauseProducing()
        self.session.send(payload=b"last")
        self.session.send(Flags.RST)
        self.assertEqual(self.service.reasons, [])
        producer = Producer(session)
        session.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["stop"])
        session.resumeProducing()
        self.assertEqual(self.service.received, b"last")
        self.assertIdentical(self.ended(), ConnectionDone)
        self.assertEqual(self.host.segments(), [])

    def test_pausedServiceGivesUp(self) -> None:
        """
        A paused service may as well close, or abort, once the host has.
        """
        for close in ("loseConnection", "abortConnection"):
            self.setUp()
            self.service.session.pauseProducing()
            self.session.send(payload=b"last")
            self.session.send(Flags.RST)
            getattr(self.service.session, close)()
            self.host.clock.advance(0)
            self.assertEqual((self.service.received, len(self.service.reasons)), (b"", 1))
            self.assertEqual(self.host.segments(), [])

    def test_strangeReset(self) -> None:
        """
        An RST with other flags, numbers or window is noted, and heeded.
        """
        self.session.window = 256
        self.session.send(Flags.RST | Flags.ACK, skew=5)
        self.assertEqual(
            self.host.violations,
            [
                "session 1->1: flags 0x14 of a reset, expected 0x04",
                "session 1->1: seq 6 of a reset, expected 1",
                "session 1->1: window 256, expected 131072 as before",
            ],
        )
        self.assertIdentical(self.ended(), ConnectionDone)

    def test_hostClosesInHandshake(self) -> None:
        """
        A host may give up before the service hears of it.
        """
        early = ManualSession(self.host, 5, 1, 131072)
        early.send(Flags.SYN)
        early.seq = 1
        early.send(Flags.RST)
        self.assertEqual((len(self.services), self.host.violations), (1, []))
        self.assertEqual(list(self.host.muxer.sessions), [(1, 1)])

    def test_scriptedReset(self) -> None:
        """
        A test may reset a session in the middle, with any text.
        """
        self.service.session.reset(b"connection reset by script")
        self.service.session.reset()
        (answer,) = self.host.segments()
        self.assertEqual((answer.flags, answer.payload), (4, b"connection reset by script"))
        self.assertIdentical(self.ended(), ConnectionAborted)

    def test_noService(self) -> None:
        """
        A factory may decline.
        """

        class Declining(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> None:
                return None

        host = ManualHost({2: Declining()}).handshake()
        session = host.connect(2)
        session.poll()
        assert session.reset is not None
        self.assertEqual(host.muxer.sessions, {})

    def test_serviceFails(self) -> None:
        """
        A service that raises costs its own session, wherever it does.
        """

        class Failing(Protocol):
            def __init__(self, where: str) -> None:
                self.where = where

            def fail(self, where: str) -> None:
                if where == self.where:
                    raise RuntimeError(where)

            def connectionMade(self) -> None:
                self.fail("made")

            def dataReceived(self, data: bytes) -> None:
                self.fail("data")

            def connectionLost(self, reason: object = None) -> None:
                self.fail("lost")

        for where in ("made", "data", "lost"):
            host = ManualHost({2: ServiceFactory(partial(Failing, where))})
            session = host.handshake().connect(2)
            session.send(payload=b"x")
            if where == "lost":
                session.send(Flags.RST)
            session.poll()
            self.assertEqual(host.muxer.sessions, {})
            self.assertEqual(host.violations, [])
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
