# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
Tests of L{muxd.tunnel.tcp}, L{muxd.tunnel.stack} and L{muxd.tunnel.transport}: two ends with a pipe
between them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionLost,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import IConsumer, IPushProducer, IStreamClientEndpoint, ITransport
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.tunnel.contracts import ITCPUser
from muxd.tunnel.packets import ACK, FIN, RST, SYN, Segment, readPacket, writePacket
from muxd.tunnel.stack import TunnelEndpoint
from muxd.tunnel.states import CLOSED, ESTABLISHED, TIME_WAIT, TRANSITIONS, TCPState
from muxd.wire.sequence import distance
from tests.running.properties import examples
from tests.tunnel.ends import HOST, PHONE, PORT, SMALL, Ends, HalfTalker, Making, Talker, isDone

BYTES = bytes(range(256)) * 400


class Slow(Talker):
    """
    One that takes nothing until it is told to.
    """

    def connectionMade(self) -> None:
        """
        Take nothing.
        """
        self.wire.pauseProducing()


class OpeningTests(SynchronousTestCase):
    """
    How connections begin.
    """

    def test_interfaces(self) -> None:
        """
        The transport and the endpoint are what they say.
        """
        ends = Ends()
        host, _ = ends.connect()
        for interface in (ITransport, IConsumer, IPushProducer, ITCPUser):
            verifyObject(interface, host.transport)
        verifyObject(IStreamClientEndpoint, TunnelEndpoint(ends.host, PORT))
        verifyObject(IPushProducer, ends.host)
        self.assertEqual((host.wire.getPeer().host, host.wire.getPeer().port), (str(PHONE), PORT))
        self.assertEqual(host.wire.getHost().host, str(HOST))

    def test_refused(self) -> None:
        """
        Where nothing listens, the connection is refused.
        """
        ends = Ends()
        factory = Making()
        connecting = TunnelEndpoint(ends.host, 9).connect(factory)
        ends.run()
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.assertEqual((factory.made, factory.stops), ([], 1))
        self.assertTrue(ends.isEmpty())

    def test_silence(self) -> None:
        """
        A port that does not answer is waited for until the time-out, and its SYN is sent again.
        """
        ends = Ends()
        ends.lose = lambda: True
        connecting = TunnelEndpoint(ends.host, PORT).connect(Making())
        ends.run(SMALL.connectTimeout + 0.1)
        self.failureResultOf(connecting, TimeoutError)
        self.assertGreater(ends.host.counters.again, 1)
        self.assertTrue(ends.isEmpty())

    def test_cancelled(self) -> None:
        """
        An attempt can be cancelled, and nothing is left.
        """
        ends = Ends()
        ends.lose = lambda: True
        connecting = TunnelEndpoint(ends.host, PORT).connect(Making())
        connecting.cancel()
        self.failureResultOf(connecting, ConnectingCancelledError)
        self.assertTrue(ends.isEmpty())

    def test_tooMany(self) -> None:
        """
        There is a limit, at either end.
        """
        ends = Ends(limits=replace(SMALL, tunnelSessions=1))
        ends.connect()
        connecting = TunnelEndpoint(ends.host, PORT).connect(Making())
        self.failureResultOf(connecting, ConnectError)
        ends.host.limits = SMALL
        connecting = TunnelEndpoint(ends.host, PORT).connect(Making())
        ends.run()
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_noProtocol(self) -> None:
        """
        A factory that wants no connection gets none; nor one that raises.
        """
        ends = Ends()
        factory = Making()
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        connecting = TunnelEndpoint(ends.host, PORT).connect(factory)
        ends.run()
        self.failureResultOf(connecting, NoProtocol)
        self.assertTrue(ends.isEmpty())

    def test_lostHandshake(self) -> None:
        """
        Each packet of the handshake may be lost once.
        """
        for number in range(3):
            ends = Ends()
            left = [False] * number + [True]
            ends.lose = lambda left=left: left.pop(0) if left else False  # type: ignore[misc]
            client = Making()
            TunnelEndpoint(ends.host, PORT).connect(client)
            ends.run(3.0)
            client.made[0].wire.write(b"x")
            ends.run()
            self.assertEqual(ends.server.made[0].heard, b"x", number)


class StreamTests(SynchronousTestCase):
    """
    What is sent arrives.
    """

    def test_bothWays(self) -> None:
        """
        More than a window, both ways.
        """
        ends = Ends()
        host, phone = ends.connect()
        host.wire.write(BYTES)
        phone.wire.writeSequence([BYTES[:50], BYTES[50:]])
        ends.run(2.0)
        self.assertEqual((phone.heard, host.heard), (BYTES, BYTES))
        self.assertEqual(ends.host.counters.again + ends.phone.counters.again, 0)

    def test_acknowledgedOnce(self) -> None:
        """
        What one turn of the reactor brings is acknowledged once.
        """
        ends = Ends()
        host, _ = ends.connect()
        before = ends.phone.counters.sent
        host.wire.write(bytes(10 * 1220))
        ends.deliver()
        ends.run()
        self.assertEqual(ends.phone.counters.sent - before, 1)

    def test_paused(self) -> None:
        """
        A reader that takes nothing costs one window and stops the sender; what was held arrives
        when it goes on.
        """
        ends = Ends(Slow)
        host, phone = ends.connect()
        host.wire.write(BYTES)
        ends.run(30.0)
        (connection,) = ends.phone.connections.values()
        self.assertEqual(phone.heard, b"")
        self.assertLessEqual(connection.unread, SMALL.tunnelWindow)
        phone.wire.resumeProducing()
        ends.run(30.0, lambda: len(phone.heard) == len(BYTES))
        self.assertEqual(phone.heard, BYTES)

    def test_small(self) -> None:
        """
        Many small writes cost few segments if they are not acknowledged, and little memory if they
        are not taken.
        """
        ends = Ends(Slow)
        host, phone = ends.connect()
        for _ in range(1000):
            host.wire.write(b"x")
        (connection,) = ends.host.connections.values()
        self.assertEqual(len(connection._flight), 64)
        ends.run(1.0)
        self.assertEqual(len(phone.transport._held), 1)
        phone.wire.resumeProducing()
        self.assertEqual(phone.heard, b"x" * 1000)

    def test_pausedWithin(self) -> None:
        """
        A protocol may pause in the middle of what it is given.
        """
        ends = Ends()
        host, phone = ends.connect()

        def dataReceived(data: bytes) -> None:
            phone.heard += data
            phone.wire.pauseProducing()

        phone.dataReceived = dataReceived
        host.wire.write(BYTES[:5000])
        ends.run()
        self.assertEqual(len(phone.heard), 1220)
        for _ in range(4):
            phone.wire.resumeProducing()
        self.assertEqual(phone.heard, BYTES[:5000])

    def test_producer(self) -> None:
        """
        A producer is paused above the mark and resumed below.
        """
        ends = Ends(Slow, limits=replace(SMALL, tunnelSendBuffer=1000))
        host, phone = ends.connect()
        asked: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                asked.append("pause")

            def resumeProducing(self) -> None:
                asked.append("resume")

            def stopProducing(self) -> None:
                asked.append("stop")

        host.wire.registerProducer(Producer(), True)
        host.wire.write(BYTES)
        ends.run(1.0)
        self.assertEqual(asked, ["pause"])
        phone.wire.resumeProducing()
        ends.run(30.0, lambda: len(asked) > 1)
        self.assertEqual(asked, ["pause", "resume"])
        phone.wire.abortConnection()
        ends.run()
        self.assertEqual(asked, ["pause", "resume", "stop"])

    def test_held(self) -> None:
        """
        While what carries the tunnel has no room nothing is sent, and what comes is answered
        later; afterwards all goes on.
        """
        ends = Ends(Echo)
        host, _ = ends.connect()
        ends.host.pauseProducing()
        before = ends.host.counters.sent
        host.wire.write(BYTES)
        ends.phone.connections[PORT, host.wire.getHost().port].write(b"hello")
        ends.run(1.0)
        self.assertEqual(ends.host.counters.sent, before)
        self.assertEqual(host.heard, b"hello")
        ends.host.resumeProducing()
        ends.run(30.0, lambda: len(host.heard) == len(BYTES) + 5)
        self.assertEqual(host.heard[5:], BYTES)

    def test_turns(self) -> None:
        """
        After a pause all connections have their turn.
        """
        ends = Ends()
        first, _ = ends.connect()
        second, _ = ends.connect()
        ends.host.pauseProducing()
        first.wire.write(BYTES)
        second.wire.write(BYTES)
        sent: list[int] = []

        def write(packet: bytes) -> None:
            sent.append(readPacket(packet, HOST.packed, PHONE.packed).source)
            ends.host.pauseProducing()

        ends.host._write = write
        ends.host.resumeProducing()
        ends.host.resumeProducing()
        self.assertEqual(len(set(sent)), 2)

    @settings(deadline=None, max_examples=examples(15))
    @given(
        st.integers(0, 2**16),
        st.floats(0, 0.12),
        st.floats(0, 0.3),
        st.lists(st.integers(1, 9000), min_size=1, max_size=6),
    )
    def test_badPipe(self, seed: int, loss: float, swaps: float, sizes: list[int]) -> None:
        """
        Whatever a pipe loses and confuses, what is written arrives once and in order, and both
        ends end.
        """
        ends = Ends(Echo, seed=seed)
        host, _ = ends.connect()
        ends.lose = lambda: ends.random.random() < loss
        ends.swap = lambda: ends.random.random() < swaps
        written = b""
        for size in sizes:
            piece = ends.random.randbytes(size)
            written += piece
            host.wire.write(piece)
            ends.deliver()
        ends.run(600.0, lambda: len(host.heard) == len(written))
        self.assertEqual(host.heard, written)
        ends.lose = lambda: False
        host.wire.loseConnection()
        ends.run(20.0, ends.isEmpty)
        self.assertTrue(isDone(host.lost))
        self.assertTrue(ends.isEmpty())


class EndTests(SynchronousTestCase):
    """
    How connections end.
    """

    def test_closed(self) -> None:
        """
        What was written arrives, both protocols are told, and nothing is left.
        """
        ends = Ends()
        host, phone = ends.connect()
        host.wire.write(BYTES)
        host.wire.loseConnection()
        host.wire.write(b"too late")
        self.assertTrue(host.wire.disconnecting)
        ends.run(5.0)
        self.assertEqual(phone.heard, BYTES)
        self.assertTrue(isDone(host.lost) and isDone(phone.lost))
        self.assertTrue(ends.isEmpty())

    def test_both(self) -> None:
        """
        Both ends may close at once.
        """
        ends = Ends()
        host, phone = ends.connect()
        host.wire.loseConnection()
        phone.wire.loseConnection()
        ends.run(5.0)
        self.assertTrue(isDone(host.lost) and isDone(phone.lost))
        self.assertTrue(ends.isEmpty())

    def test_half(self) -> None:
        """
        One direction may end before the other.
        """
        ends = Ends(HalfTalker)
        host, phone = ends.connect(HalfTalker)
        host.wire.write(b"question")
        host.wire.loseWriteConnection()
        ends.run()
        self.assertEqual(
            (phone.heard, phone.events, host.events), (b"question", ["read"], ["write"])
        )
        phone.wire.write(b"answer")
        phone.wire.loseConnection()
        ends.run(5.0)
        self.assertEqual((host.heard, host.events), (b"answer", ["write", "read"]))
        self.assertTrue(isDone(host.lost) and isDone(phone.lost))
        self.assertTrue(ends.isEmpty())

    def test_heldAtTheEnd(self) -> None:
        """
        What a paused protocol has not been given yet belongs to it, also when all is over.
        """
        ends = Ends(Slow)
        host, phone = ends.connect()
        host.wire.write(b"last words")
        host.wire.loseConnection()
        ends.run(1.0)
        self.assertIsNone(phone.lost)
        phone.wire.resumeProducing()
        self.assertEqual(phone.heard, b"last words")
        ends.run(5.0)
        self.assertTrue(isDone(phone.lost))

    def test_reset(self) -> None:
        """
        An abort resets the other end.
        """
        ends = Ends()
        host, phone = ends.connect()
        phone.wire.abortConnection()
        self.assertTrue(phone.lost.check(ConnectionAborted))
        ends.run()
        self.assertTrue(host.lost.check(ConnectionLost))
        self.assertTrue(ends.isEmpty())

    def test_talkedTo(self) -> None:
        """
        An end that is closed and is talked to for ever resets the connection.
        """
        ends = Ends(HalfTalker)
        host, phone = ends.connect()
        host.wire.loseConnection()
        ends.run()
        phone.wire.write(b"and another thing")
        ends.run()
        self.assertTrue(isDone(host.lost))
        self.assertTrue(phone.lost.check(ConnectionLost))
        self.assertTrue(ends.isEmpty())

    def test_neverTaken(self) -> None:
        """
        A close is not waited for beyond the flush time-out.
        """
        ends = Ends(Slow)
        host, _ = ends.connect()
        host.wire.write(BYTES)
        ends.run(1.0)
        host.wire.loseConnection()
        ends.run(SMALL.flushTimeout + 1)
        self.assertTrue(host.lost.check(ConnectionLost))

    def test_gone(self) -> None:
        """
        An end that is not there any more is given up, by the end that has something to say.
        """
        ends = Ends()
        host, _ = ends.connect()
        ends.lose = lambda: True
        host.wire.write(b"x")
        ends.run(200.0, lambda: host.lost is not None)
        self.assertTrue(host.lost.check(TimeoutError))

    def test_carrierLost(self) -> None:
        """
        With the tunnel everything in it ends, and nothing begins.
        """
        ends = Ends()
        host, _ = ends.connect()
        ends.host.stop(Failure(ConnectionLost()))
        self.assertTrue(host.lost.check(ConnectionLost))
        failed = TunnelEndpoint(ends.host, PORT).connect(Making())
        self.failureResultOf(failed, ConnectError)
        self.assertEqual(ends.host.connections, {})

    def test_raises(self) -> None:
        """
        A protocol that raises ends its connection, and no other.
        """
        ends = Ends()
        host, phone = ends.connect()
        other, _ = ends.connect()
        host.dataReceived = lambda data: 1 / 0
        phone.wire.write(b"x")
        ends.run()
        self.assertTrue(host.lost.check(ZeroDivisionError))
        self.assertIsNone(other.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SegmentTests(SynchronousTestCase):
    """
    Segments that no honest end sends.
    """

    def setUp(self) -> None:
        """
        A connection whose host is played by the test.
        """
        self.ends = Ends()
        self.client, self.server = self.ends.connect()
        (self.key,) = self.ends.phone.connections
        self.connection: Any = self.ends.phone.connections[self.key]

    def say(self, offset: int, flags: int, payload: bytes = b"", ack: int | None = None) -> None:
        """
        Send the phone a segment, so far from what it expects.
        """
        connection = self.connection
        segment = Segment(
            self.key[1],
            self.key[0],
            (connection._expected + offset) % 2**32,
            connection._next if ack is None else ack % 2**32,
            flags,
            100,
            payload,
        )
        packet = writePacket(HOST.packed, PHONE.packed, segment)
        self.ends.phone.packetReceived(packet)

    def test_resetElsewhere(self) -> None:
        """
        A RST counts where it is expected, and nowhere else.
        """
        for offset in (-1, 1, 1 << 20):
            self.say(offset, RST)
            self.assertIs(self.connection.state, ESTABLISHED)
        self.say(0, RST)
        self.assertIs(self.connection.state, CLOSED)

    def test_again(self) -> None:
        """
        What has come already is not given twice, and what overlaps it only once.
        """
        self.say(0, ACK, b"abc")
        self.say(-3, ACK, b"abc")
        self.say(-1, ACK, b"cd")
        self.assertEqual(self.server.heard, b"abcd")

    def test_gap(self) -> None:
        """
        What has overtaken other bytes waits for them, and a FIN does so too.
        """
        self.say(3, ACK | FIN, b"def")
        self.say(6, ACK, b"x")
        self.assertEqual(self.server.heard, b"")
        self.say(0, ACK, b"abc")
        self.assertEqual(self.server.heard, b"abcdef" + b"x")

    def test_beyond(self) -> None:
        """
        What lies beyond the window is not taken, and holds no memory.
        """
        window = distance(self.connection._expected, self.connection._edge)
        self.say(window + 1, ACK, b"x")
        self.assertEqual(self.connection._loose.size, 0)
        self.say(window - 1, ACK, b"xyz")
        self.assertEqual(self.connection._loose.size, 1)

    def test_pieces(self) -> None:
        """
        Many small pieces cost no more than is allowed.
        """
        for offset in range(1, 4000, 2):
            self.say(offset, ACK, b"x")
        self.assertLessEqual(len(self.connection._loose._pieces), 256)
        self.assertGreater(self.ends.phone.counters.dropped["no room"], 1000)

    def test_unsent(self) -> None:
        """
        What was never sent cannot be acknowledged.
        """
        self.say(0, ACK, b"abc", ack=self.connection._next + 1)
        self.assertEqual(self.connection._acknowledged, self.connection._next)

    def test_syn(self) -> None:
        """
        A SYN within a connection changes nothing.
        """
        self.say(0, SYN)
        self.assertIs(self.connection.state, ESTABLISHED)

    def test_stray(self) -> None:
        """
        What belongs to no connection is answered by RST; a RST never is.
        """
        ends = self.ends
        for flags, answered in ((ACK, 1), (SYN, 1), (RST, 0), (RST | ACK, 0)):
            before = ends.phone.counters.sent
            segment = Segment(9999, 99, 5, 6, flags, 0)
            ends.phone.packetReceived(writePacket(HOST.packed, PHONE.packed, segment))
            self.assertEqual(ends.phone.counters.sent - before, answered, flags)

    def test_heldStrays(self) -> None:
        """
        They are dropped while there is no room for answers.
        """
        self.ends.phone.pauseProducing()
        segment = Segment(9999, 99, 5, 6, ACK, 0)
        self.ends.phone.packetReceived(writePacket(HOST.packed, PHONE.packed, segment))
        self.assertEqual(self.ends.phone.counters.dropped["stray"], 1)

    def test_garbage(self) -> None:
        """
        Packets that are no segments are counted and dropped.
        """
        self.ends.phone.packetReceived(bytes(40))
        self.assertEqual(self.ends.phone.counters.dropped["version"], 1)

    @settings(deadline=None, max_examples=examples(15))
    @given(
        st.lists(
            st.tuples(
                st.integers(-70000, 70000),
                st.integers(0, 63),
                st.binary(max_size=20),
                st.one_of(st.none(), st.integers(0, 2**32 - 1)),
            ),
            max_size=30,
        )
    )
    def test_anything(self, segments: list[tuple[int, int, bytes, int | None]]) -> None:
        """
        Whatever comes, a connection goes only where the table leads, and holds no more than a
        window.
        """
        self.setUp()
        for offset, flags, payload, ack in segments:
            before = self.connection.state
            self.say(offset, flags, payload, ack)
            self.ends.clock.advance(0.01)
            after = self.connection.state
            reached = {before} | TRANSITIONS[before]
            for state in tuple(reached):
                reached |= TRANSITIONS[state]
            self.assertIn(after, reached)
            self.assertLessEqual(self.connection._loose.size, SMALL.tunnelWindow)
        self.ends.phone.stop(Failure(ConnectionLost()))
        self.ends.host.stop(Failure(ConnectionLost()))
        self.assertEqual(self.ends.clock.getDelayedCalls(), [])


class StateTests(SynchronousTestCase):
    """
    The table.
    """

    def test_complete(self) -> None:
        """
        Every state is in it, can be reached but for those that begin, and ends in CLOSED.
        """
        self.assertEqual(set(TRANSITIONS), set(TCPState))
        for state in set(TCPState) - {CLOSED}:
            self.assertIn(CLOSED, TRANSITIONS[state])
        reached = set().union(*TRANSITIONS.values())
        self.assertEqual(set(TCPState) - reached, {TCPState.SYN_SENT, TCPState.SYN_RECEIVED})

    def test_checked(self) -> None:
        """
        A connection does not go where it knows no way.
        """
        ends = Ends()
        ends.connect()
        (connection,) = ends.host.connections.values()
        self.assertRaises(AssertionError, connection._enter, TIME_WAIT)
