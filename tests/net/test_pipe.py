"""
Tests of L{muxd.net.pipe}.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport, ITransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from muxd.net import pipe as pipeModule
from muxd.net import sockets
from muxd.net.halfclosed import FinishedPeer, HalfClosedWatch
from muxd.net.peers import Presence
from muxd.net.pipe import LOOKS, Pipe, PipeEnd, PipeState
from muxd.testing import BudgetTransport
from tests.net.test_socketwriter import Socket

FLUSH = 15.0


class SuddenTransport(StringTransport):
    """
    Reports its loss from within C{loseConnection}.
    """

    protocol: PipeEnd

    def loseConnection(self) -> None:
        """
        Be gone.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))


class PlainTransport:
    """
    A transport with no more than it needs to be closed.
    """

    def __init__(self) -> None:
        self.closes = 0

    def unregisterProducer(self) -> None:
        """
        There is none.
        """

    def loseConnection(self) -> None:
        """
        Count.
        """
        self.closes += 1


class PipeCase(SynchronousTestCase):
    """
    A pipe and what it reports.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.clock = Clock()
        self.reasons: list[Failure] = []
        self.pipe = Pipe(self.clock, FLUSH, self.reasons.append)

    def connect(self, end: PipeEnd, budget: int | None = None) -> BudgetTransport:
        """
        Connect an end to a new transport.
        """
        transport = BudgetTransport(self.clock, budget, end)
        end.makeConnection(transport)
        return transport

    def join(
        self, first: int | None = None, second: int | None = None
    ) -> tuple[BudgetTransport, BudgetTransport]:
        """
        Connect both.
        """
        one, two = self.connect(self.pipe.first, first), self.connect(self.pipe.second, second)
        self.clock.advance(0)
        return one, two

    def assertClosed(self, reason: type[Exception]) -> None:
        """
        The pipe has reported its end, once, and left no timer.
        """
        self.clock.advance(0)
        (failure,) = self.reasons
        failure.trap(reason)
        self.assertIs(self.pipe.state, PipeState.CLOSED)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class JoiningTests(PipeCase):
    """
    Until both ends are there.
    """

    def test_interface(self) -> None:
        """
        An end can be half-closed.
        """
        verifyObject(IHalfCloseableProtocol, self.pipe.first)

    def test_waits(self) -> None:
        """
        Whichever end is first is paused until the other comes; then everything
        flows.
        """
        for name in ("first", "second"):
            pipe = Pipe(self.clock, FLUSH)
            end: PipeEnd = getattr(pipe, name)
            early = self.connect(end)
            self.assertTrue(early.paused)
            early.deliver(b"hello")
            late = self.connect(end.peer)
            self.clock.advance(0)
            self.assertEqual(late.value(), b"hello")
            self.assertIs(pipe.state, PipeState.JOINED)

    def test_both(self) -> None:
        """
        Bytes flow both ways, and are counted.
        """
        one, two = self.join()
        one.deliver(b"ping")
        two.deliver(b"pong!")
        self.assertEqual((two.value(), one.value()), (b"ping", b"pong!"))
        self.assertEqual((self.pipe.first.received, self.pipe.second.received), (4, 5))

    def test_lostWhileWaiting(self) -> None:
        """
        If the first is lost before the second comes, the second is closed when
        it does.
        """
        self.connect(self.pipe.first).lose()
        self.assertIs(self.pipe.state, PipeState.CLOSING)
        self.assertEqual(self.reasons, [])
        late = self.connect(self.pipe.second)
        self.assertTrue(late.disconnecting)
        self.assertClosed(ConnectionLost)

    def test_finishedWhileWaiting(self) -> None:
        """
        One that finishes sending before there is anybody to send to is closed.
        """
        one = self.connect(self.pipe.first)
        one.finish()
        self.assertTrue(one.disconnecting)

    def test_abandoned(self) -> None:
        """
        If the second never comes, the first is closed, after what was written
        to it, and the reason is why.
        """
        one = self.connect(self.pipe.first, 2)
        one.write(b"sorry")
        self.pipe.abandon(Failure(ConnectionAborted()))
        self.clock.advance(0)
        self.assertEqual(self.reasons, [])
        self.assertEqual(one.take(), b"sorry")
        self.assertClosed(ConnectionAborted)

    def test_abandonedSecond(self) -> None:
        """
        It does not matter which end it is.
        """
        two = self.connect(self.pipe.second)
        self.pipe.abandon(Failure(ConnectionAborted()))
        self.assertTrue(two.disconnecting)
        self.assertClosed(ConnectionAborted)

    def test_abandonedByBoth(self) -> None:
        """
        If the first has gone as well, all is over; its reason is the one.
        """
        self.connect(self.pipe.first).lose()
        self.pipe.abandon(Failure(ConnectionAborted()))
        self.pipe.abandon(Failure(ConnectionAborted()))
        self.assertClosed(ConnectionLost)

    def test_nobodyAsks(self) -> None:
        """
        A pipe of whose end nothing is to be told ends all the same.
        """
        pipe = Pipe(self.clock, FLUSH)
        pipe.abandon(Failure(ConnectionAborted()))
        self.assertIs(pipe.state, PipeState.CLOSED)


class PressureTests(PipeCase):
    """
    A reader that does not read pauses the writer on the far side.
    """

    def test_backPressure(self) -> None:
        """
        It does so both ways, and what waits is bounded.
        """
        one, two = self.join(first=0, second=0)
        for source, sink in ((one, two), (two, one)):
            for _ in range(100):
                source.deliver(b"x" * 16384)
            self.assertTrue(source.paused)
            self.assertLessEqual(sink.pending, 65536 + 16384)
            sink.allow(sink.pending)
            self.clock.advance(0)
            self.assertTrue(source.paused)
            sink.allow()
            self.clock.advance(0)
            self.assertFalse(source.paused)
            self.assertEqual(len(sink.value()), 100 * 16384)

    def test_independent(self) -> None:
        """
        One direction that is stuck does not stop the other.
        """
        one, two = self.join(second=0)
        one.deliver(b"x" * 100_000)
        two.deliver(b"still here")
        self.assertEqual(one.value(), b"still here")


class ClosingTests(PipeCase):
    """
    When an end is lost, the other takes what is left and is closed.
    """

    def test_lost(self) -> None:
        """
        What was received before is delivered first.
        """
        one, two = self.join(second=3)
        one.deliver(b"last words")
        one.lose(ConnectionDone())
        self.clock.advance(0)
        self.assertIs(self.pipe.state, PipeState.CLOSING)
        self.assertFalse(two.disconnected)
        self.assertEqual(two.take(), b"last words")
        self.assertClosed(ConnectionDone)

    def test_aborted(self) -> None:
        """
        One that is aborted delivers nothing more, and both ends are gone.
        """
        one, two = self.join(first=0, second=0)
        one.deliver(b"last words")
        two.deliver(b"and these")
        self.pipe.abort()
        self.clock.advance(0)
        self.assertTrue(one.aborted and two.aborted)
        self.assertEqual((one.take(), two.take()), (b"", b""))
        self.assertClosed(ConnectionAborted)
        self.pipe.abort()

    def test_abortedEarly(self) -> None:
        """
        The end that is there goes, if the other has not come yet.
        """
        one = self.connect(self.pipe.first)
        self.pipe.abort()
        self.clock.advance(0)
        self.assertTrue(one.aborted)

    def test_pausedProducer(self) -> None:
        """
        The end is closed even if it had paused the other: one that stayed
        registered would be resumed instead, for ever (twisted 2.5).
        """
        one, two = self.join(second=0)
        one.deliver(b"x" * 100_000)
        self.assertTrue(one.paused)
        one.lose()
        self.assertIsNone(two.producer)
        self.assertEqual(len(two.take()), 100_000)
        self.assertClosed(ConnectionLost)

    def test_deadline(self) -> None:
        """
        An end that does not take its last bytes is aborted.
        """
        one, two = self.join(second=0)
        one.deliver(b"x")
        one.lose()
        self.clock.advance(FLUSH - 0.1)
        self.assertFalse(two.aborted)
        self.clock.advance(0.1)
        self.assertTrue(two.aborted)
        self.assertClosed(ConnectionLost)

    def test_noDeadline(self) -> None:
        """
        A transport that has closed within the call needs none, and says so.
        """
        one, two = self.join()
        vars(two)["connected"] = False
        one.lose()
        late = [call for call in self.clock.getDelayedCalls() if call.getTime() > 0]
        self.assertEqual(late, [])

    def test_slowly(self) -> None:
        """
        An end that takes something now and then may take the rest, too.
        """
        two = self.connect(self.pipe.second)
        socket = Socket()
        self.pipe.first.makeConnection(cast("ITransport", socket))
        two.deliver(bytes(100))
        two.lose(ConnectionDone())
        for _ in range(20):
            self.clock.advance(FLUSH - 1)
            socket.turn(1)
        self.assertEqual(len(socket.sent), 20)
        aborted: list[bool] = []
        vars(socket)["abortConnection"] = lambda: aborted.append(True)
        self.clock.advance(FLUSH)
        self.assertEqual(aborted, [])
        self.clock.advance(FLUSH)
        self.assertEqual(aborted, [True])

    def test_unseen(self) -> None:
        """
        Where it does not show at once that somebody takes something, it is looked at some
        times more.
        """
        two = self.connect(self.pipe.second)
        socket = Socket()
        aborted: list[bool] = []
        vars(socket)["abortConnection"] = lambda: aborted.append(True)
        self.patch(sockets, "heldByKernel", lambda descriptor: 36864)
        self.pipe.first.makeConnection(cast("ITransport", socket))
        two.deliver(bytes(100))
        two.lose(ConnectionDone())
        for _ in range(LOOKS):
            self.assertEqual(aborted, [])
            self.clock.advance(FLUSH)
        self.assertEqual(aborted, [True])

    def test_deadlineWithoutAbort(self) -> None:
        """
        One that cannot be aborted is asked to close again.
        """
        transport = PlainTransport()
        self.pipe.first.transport = cast("ITransport", transport)
        self.pipe.abandon(Failure(ConnectionDone()))
        self.assertEqual(transport.closes, 1)
        self.clock.advance(FLUSH)
        self.assertEqual(transport.closes, 2)

    def test_sudden(self) -> None:
        """
        Transports that report their loss from within C{loseConnection} are
        closed once each.
        """
        for end in (self.pipe.first, self.pipe.second):
            transport = SuddenTransport()
            transport.protocol = end
            end.makeConnection(transport)
        self.pipe.second.ended = True
        self.pipe.first.readConnectionLost()
        self.assertClosed(ConnectionDone)

    def test_afterwards(self) -> None:
        """
        Bytes for an end that has gone are dropped.
        """
        one, two = self.join(second=0)
        two.deliver(b"")
        one.lose()
        self.pipe.second.dataReceived(b"late")
        self.assertEqual(one.value(), b"")


class HalfClosingTests(PipeCase):
    """
    One direction ends before the other.
    """

    def test_requestAndAnswer(self) -> None:
        """
        A side that finishes sending still gets the answer, either way.
        """
        for name in ("first", "second"):
            pipe = Pipe(self.clock, FLUSH, self.reasons.append)
            end: PipeEnd = getattr(pipe, name)
            one, two = self.connect(end), self.connect(end.peer, 3)
            one.deliver(b"request")
            self.clock.advance(0)
            one.finish()
            self.assertFalse(two.writeClosed)
            self.assertEqual(two.take(), b"request")
            self.assertTrue(two.writeClosed)
            two.deliver(b"answer")
            self.assertEqual(one.value(), b"answer")
            two.finish()
            self.clock.advance(0)
            self.assertTrue(one.disconnected and two.disconnected)
            self.reasons.clear()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pausedMeanwhile(self) -> None:
        """
        Back-pressure on the answer still works.
        """
        one, two = self.join(first=0)
        one.finish()
        two.deliver(b"x" * 100_000)
        self.assertTrue(two.paused)
        self.assertEqual(len(one.take()), 100_000)
        self.clock.advance(0)
        self.assertFalse(two.paused)

    def test_noHalfClose(self) -> None:
        """
        A transport that cannot be half-closed is closed, if nothing will notice that the
        other peer has gone.
        """
        one = self.connect(self.pipe.first)
        transport = StringTransport()
        self.pipe.second.makeConnection(transport)
        one.finish()
        self.assertTrue(transport.disconnecting)

    def test_tls(self) -> None:
        """
        TLS is such a transport, though it looks as if it could be: it passes on
        what it does not know to the TCP beneath.
        """
        one, two = self.join()
        directlyProvides(two, ISSLTransport)
        one.finish()
        self.assertFalse(two.writeClosed)
        self.assertTrue(two.disconnecting)

    def test_whileClosing(self) -> None:
        """
        An end that finishes sending while it is being closed changes nothing.
        """
        one, two = self.join(second=0)
        one.deliver(b"x")
        one.lose()
        two.finish()
        self.assertEqual(two.take(), b"x")
        self.assertClosed(ConnectionLost)

    def test_writeLost(self) -> None:
        """
        That a transport takes no more is not yet the end.
        """
        one, _ = self.join()
        self.pipe.first.writeConnectionLost()
        self.assertIs(self.pipe.state, PipeState.JOINED)
        self.assertFalse(one.disconnecting)


class OpenTransport(BudgetTransport):
    """
    TLS whose peer goes on when it has heard of the end.

    @ivar hasClosed: Whether it has heard.
    """

    hasClosed = False

    def loseConnection(self) -> None:
        """
        Say so, and wait for its end.
        """
        self.hasClosed = True


class HeldWatch(HalfClosedWatch):
    """
    Knows that all peers are still there.
    """

    def add(self, peer: FinishedPeer, descriptor: int) -> Presence:
        """
        It is.
        """
        return Presence.HELD


class EndsOverTLSTests(PipeCase):
    """
    One direction ends where the other end is TLS, and the peer that has finished is there.
    """

    def connect(self, end: PipeEnd, budget: int | None = None) -> OpenTransport:
        """
        Connect an end to a new transport.
        """
        transport = OpenTransport(self.clock, budget, end)
        end.makeConnection(transport)
        return transport

    def join(
        self, first: int | None = None, second: int | None = None
    ) -> tuple[OpenTransport, OpenTransport]:
        """
        Connect both.
        """
        return self.connect(self.pipe.first, first), self.connect(self.pipe.second, second)

    def setUp(self) -> None:
        """
        Have a watch.
        """
        super().setUp()
        self.begin()

    def begin(self, tellsLate: bool = True) -> None:
        """
        Make a pipe.
        """
        self.watch = HeldWatch(self.clock, 1.0, FLUSH)
        self.pipe = Pipe(
            self.clock,
            FLUSH,
            self.reasons.append,
            halfClosed=self.watch,
            tellsLate=tellsLate,
        )

    def pump(self, seconds: float) -> None:
        """
        Let that much time pass, as a reactor does.
        """
        self.clock.pump([0.125] * round(seconds * 8))

    def test_first(self) -> None:
        """
        A client over TLS hears at once that its target has finished sending, however long
        that waits for the client's own end, and what the client still says arrives.
        """
        for watch in (self.watch, HalfClosedWatch(self.clock, 1.0, FLUSH)):
            self.pipe = Pipe(self.clock, FLUSH, self.reasons.append, halfClosed=watch)
            one, two = self.join()
            directlyProvides(one, ISSLTransport)
            two.deliver(b"all of it")
            two.finish()
            self.assertEqual(one.value(), b"all of it")
            self.assertTrue(one.hasClosed)
            one.deliver(b"thanks")
            self.assertEqual(two.value(), b"thanks")
            one.lose(ConnectionDone())
            self.assertTrue(two.hasClosed)
            two.lose(ConnectionDone())
            watch.stop()
            self.assertClosed(ConnectionDone)
            self.reasons.clear()

    def test_second(self) -> None:
        """
        A target over TLS that waits for the client's end hears of it when nothing has moved
        for as long as an end has to take its last bytes, and what it says then arrives.
        """
        one, two = self.join()
        directlyProvides(two, ISSLTransport)
        one.deliver(b"upload")
        one.finish()
        self.pump(FLUSH / 2)
        two.deliver(b"100 ")
        self.pump(FLUSH)
        self.assertFalse(two.hasClosed)
        self.pump(FLUSH)
        self.assertTrue(two.hasClosed)
        two.deliver(b"201")
        self.assertEqual(one.value(), b"100 201")
        two.lose(ConnectionDone())
        self.assertTrue(one.hasClosed)
        one.lose(ConnectionDone())
        self.assertClosed(ConnectionDone)

    def test_slowReader(self) -> None:
        """
        It is not told while the client has not read what there is.
        """
        socket = Socket(100)
        two = self.connect(self.pipe.second)
        directlyProvides(two, ISSLTransport)
        self.pipe.first.makeConnection(cast("ITransport", socket))
        two.deliver(bytes(sockets.READ_SIZE + 200))
        self.pipe.first.readConnectionLost()
        self.pump(4 * FLUSH)
        self.assertFalse(two.hasClosed)
        self.pipe.first.connectionLost()
        self.assertTrue(two.hasClosed)
        two.lose(ConnectionDone())
        self.assertClosed(ConnectionDone)

    def test_goneBefore(self) -> None:
        """
        It is told nothing more when it has gone before.
        """
        one, two = self.join()
        directlyProvides(two, ISSLTransport)
        one.finish()
        two.lose(ConnectionDone())
        self.assertTrue(one.hasClosed)
        one.lose(ConnectionDone())
        self.assertClosed(ConnectionDone)

    def test_takesSlowly(self) -> None:
        """
        An end over TLS that is closed has its last bytes, as long as it takes some.
        """
        self.patch(pipeModule, "unsent", lambda transport: getattr(transport, "pending", 0))
        one, two = self.join(second=3)
        directlyProvides(two, ISSLTransport)
        one.deliver(b"request")
        one.lose(ConnectionDone())
        for _ in range(4):
            self.pump(FLUSH * 0.75)
            two.allow(1)
        self.assertEqual((two.value(), two.aborted), (b"request", False))
        two.lose(ConnectionDone())
        self.assertClosed(ConnectionDone)

    def test_phone(self) -> None:
        """
        A phone need not know before the client has gone, and may be silent as long as it likes.
        """
        self.begin(tellsLate=False)
        one, two = self.join()
        directlyProvides(two, ISSLTransport)
        one.finish()
        self.pump(10 * FLUSH)
        self.assertFalse(two.hasClosed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        two.deliver(b"a line of its log")
        self.assertEqual(one.value(), b"a line of its log")


class GraceTests(PipeCase):
    """
    A peer that has finished sending, and of which it is not known whether it is still there.
    """

    GRACE = 1.0

    def setUp(self) -> None:
        """
        Have a watch that gives it a grace.
        """
        super().setUp()
        self.begin(self.GRACE)

    def begin(self, grace: float) -> None:
        """
        Make a pipe with that grace.
        """
        self.watch = HalfClosedWatch(self.clock, grace, FLUSH)
        self.pipe = Pipe(self.clock, FLUSH, self.reasons.append, halfClosed=self.watch)

    def pump(self, seconds: float) -> None:
        """
        Let that much time pass, as a reactor does.
        """
        self.clock.pump([0.125] * round(seconds * 8))

    def test_answered(self) -> None:
        """
        It gets the answer, and each byte earns another grace; then both ends are closed,
        whichever of them it is.
        """
        for name in ("first", "second"):
            self.begin(self.GRACE)
            end: PipeEnd = getattr(self.pipe, name)
            one, two = self.connect(end), self.connect(end.peer)
            one.finish()
            for _ in range(5):
                self.pump(0.75)
                two.deliver(b"x")
            self.assertEqual(one.value(), b"xxxxx")
            self.assertFalse(two.disconnecting)
            self.pump(1.25)
            self.assertTrue(one.disconnected and two.disconnected)
            self.assertEqual(len(self.watch), 0)
            self.pump(1)
            self.assertClosed(ConnectionDone)
            self.reasons.clear()

    def test_withoutWords(self) -> None:
        """
        So it does where the other end has no words for the end of one direction alone, such as
        TLS: that end is closed when the peer has gone, and not before it has answered.
        """
        one, two = self.join()
        directlyProvides(two, ISSLTransport)
        one.deliver(b"request")
        one.finish()
        self.pump(0.75)
        self.assertFalse(two.disconnecting or two.writeClosed)
        two.deliver(b"answer")
        self.assertEqual((two.value(), one.value()), (b"request", b"answer"))
        self.pump(0.75)
        self.assertFalse(two.disconnecting)
        self.pump(0.5)
        self.assertTrue(one.disconnected and two.disconnected)
        self.assertClosed(ConnectionDone)

    def test_notTakenByTLS(self) -> None:
        """
        So it has where the other end is TLS, which is never told of the end of one direction.
        """
        one, two = self.join(second=3)
        self.patch(pipeModule, "unsent", lambda transport: transport.pending)
        directlyProvides(two, ISSLTransport)
        one.deliver(b"request")
        one.finish()
        self.pump(FLUSH / 2)
        self.assertFalse(one.disconnecting)
        self.assertEqual(two.take(), b"request")
        self.pump(self.GRACE + 0.5)
        self.assertClosed(ConnectionDone)

    def test_notTaken(self) -> None:
        """
        While what it has sent is not taken it has as long as an end has to take its last
        bytes.
        """
        one, two = self.join(second=3)
        one.deliver(b"request")
        one.finish()
        self.pump(FLUSH / 2)
        self.assertFalse(one.disconnecting)
        self.assertEqual(two.take(), b"request")
        self.pump(FLUSH)
        self.assertClosed(ConnectionDone)

    def test_late(self) -> None:
        """
        What it has not read when its grace is over is delivered nevertheless, if it
        reads.
        """
        one, two = self.join(first=0)
        one.finish()
        two.deliver(b"answer")
        self.pump(2)
        self.assertTrue(two.disconnected)
        self.assertFalse(one.disconnected)
        self.assertEqual(one.take(), b"answer")
        self.assertClosed(ConnectionDone)

    def test_paused(self) -> None:
        """
        That nothing moves because it reads too slowly does not count: there is more for
        it.
        """
        socket = Socket(100)
        two = self.connect(self.pipe.second)
        self.pipe.first.makeConnection(cast("ITransport", socket))
        two.deliver(bytes(sockets.READ_SIZE + 200))
        self.assertTrue(two.paused)
        self.pipe.first.readConnectionLost()
        self.pump(10 * FLUSH)
        self.assertIs(self.pipe.state, PipeState.JOINED)
        self.assertFalse(two.disconnecting)
        self.pipe.first.connectionLost()
        self.assertTrue(two.disconnecting)

    def test_noGrace(self) -> None:
        """
        Without a grace that is the end of both; what came before is delivered.
        """
        self.begin(0)
        one, two = self.join(first=3, second=3)
        two.deliver(b"answer")
        one.deliver(b"request")
        one.finish()
        self.assertEqual((one.take(), two.take()), (b"answer", b"request"))
        self.assertClosed(ConnectionDone)

    def test_lost(self) -> None:
        """
        One that is lost meanwhile is not looked at any more.
        """
        one, two = self.join()
        one.finish()
        self.assertEqual(len(self.watch), 1)
        two.lose()
        self.assertEqual(len(self.watch), 0)
        self.pump(1)
        self.assertClosed(ConnectionLost)

    def test_bothFinish(self) -> None:
        """
        When both have finished sending there is nothing to wait for.
        """
        one, two = self.join()
        one.finish()
        two.finish()
        self.assertEqual(len(self.watch), 0)
        self.pump(1)
        self.assertClosed(ConnectionDone)
