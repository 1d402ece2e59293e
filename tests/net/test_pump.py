"""
Tests of L{muxd.net.pump}, and that the long way between two sockets does the same.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.eventloop import EventLoop
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch
from muxd.net.loopreactor import LoopReactor
from muxd.net.packetmemory import PacketMemory
from muxd.net.pipe import Pipe, PipeState
from muxd.net.pump import canPump
from tests.net.eventloops import ClockAround

SIZE = 4096
LIMIT = 10_000
PATIENCE = 15.0


class _Arrival(Factory):
    """
    Gives the first end of a pipe to what connects.
    """

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def buildProtocol(self, addr: object) -> Any:
        """
        That end.
        """
        return self.pipe.first


class _Departure(ClientFactory):
    """
    Gives the second end to what it has connected to.
    """

    noisy = False

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def buildProtocol(self, addr: object) -> Any:
        """
        That end.
        """
        return self.pipe.second


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class JoinedSocketsTests(SynchronousTestCase):
    """
    Two sockets joined by a pipe, whose peers are the test's: on the short way.

    @cvar memory: What the pipe may use.
    """

    memory: PacketMemory | None = PacketMemory(SIZE)

    def setUp(self) -> None:
        """
        A client, a server, and a pipe between them.
        """
        self.clock = ClockAround()
        self.loop = EventLoop(self.clock)
        self.reactor = LoopReactor(self.clock, self.loop)
        self.reasons: list[Failure] = []
        self.pipe = Pipe(
            self.clock,
            PATIENCE,
            self.reasons.append,
            LIMIT,
            HangUpWatch(self.clock, PATIENCE),
            HalfClosedWatch(self.clock, 1.0, PATIENCE),
            self.memory,
        )
        self.ends = (self.pipe.first, self.pipe.second)
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        path, other = self.mktemp(), self.mktemp()
        listening.bind(path)
        listening.listen()
        port: Any = self.reactor.listenUNIX(other, _Arrival(self.pipe))
        self.client = self.near(socket.socket(socket.AF_UNIX))
        self.client.connect(other)
        self.turn()
        port.stopListening()
        self.reactor.connectUNIX(path, _Departure(self.pipe))
        self.turn()
        listening.settimeout(5)
        self.server = self.near(listening.accept()[0])
        self.addCleanup(self.cleanUp)
        self.assertIs(self.pipe.state, PipeState.JOINED)

    def near(self, one: socket.socket) -> socket.socket:
        """
        Have a socket of the test's not block.
        """
        one.settimeout(0)
        self.addCleanup(one.close)
        return one

    def cleanUp(self) -> None:
        """
        The pipe ends, and leaves neither descriptors nor timers.
        """
        self.client.close()
        self.server.close()
        self.turn()
        self.clock.pump([PATIENCE] * 10)
        self.assertIs(self.pipe.state, PipeState.CLOSED)
        self.assertEqual(len(self.reasons), 1)
        self.assertEqual(self.loop.owners, [])

    def turn(self) -> None:
        """
        Have everything done that there is to do.
        """
        for _ in range(3):
            self.loop.doRead()
            self.clock.advance(0)

    def take(self, one: socket.socket) -> bytes:
        """
        All that has come to a socket, and comes while it is taken.
        """
        found = b""
        while True:
            try:
                data = one.recv(1 << 16)
            except BlockingIOError:
                self.turn()
                try:
                    data = one.recv(1 << 16)
                except BlockingIOError:
                    return found
            if not data:
                return found
            found += data

    def test_isShort(self) -> None:
        """
        Both transports read on the short way, if there is memory for it.
        """
        for end in self.ends:
            self.assertTrue(canPump(end))
            self.assertEqual("doRead" in vars(end.transport), self.memory is not None)

    def test_bothWays(self) -> None:
        """
        What one says the other hears, and it is counted.
        """
        self.client.sendall(b"question")
        self.turn()
        self.assertEqual(self.take(self.server), b"question")
        self.server.sendall(b"an answer")
        self.turn()
        self.assertEqual(self.take(self.client), b"an answer")
        self.assertEqual((self.pipe.first.received, self.pipe.second.received), (8, 9))

    def test_many(self) -> None:
        """
        More than any buffer holds arrives as it was sent, in both directions at once.
        """
        data = [os.urandom(1 << 20), os.urandom(1 << 20)]
        near, sent, heard = (self.client, self.server), [0, 0], [b"", b""]
        while heard != [data[1], data[0]]:
            for which, one in enumerate(near):
                try:
                    sent[which] += one.send(data[which][sent[which] :])
                except BlockingIOError:
                    pass
                try:
                    heard[which] += one.recv(5000)
                except BlockingIOError:
                    pass
            self.turn()
        self.assertEqual([end.received for end in self.ends], [1 << 20, 1 << 20])

    def test_backPressure(self) -> None:
        """
        A peer that does not read stops the other, and nothing is lost when it does.
        """
        sent = 0
        data = os.urandom(1 << 22)
        while True:
            try:
                sent += self.client.send(data[sent : sent + (1 << 16)])
            except BlockingIOError:
                before = self.pipe.first.received
                self.turn()
                if self.pipe.first.received == before:
                    break
        held = self.pipe.first.received
        self.assertLess(held, sent)
        transport: Any = self.pipe.second.transport
        waiting = len(transport.dataBuffer) + transport._tempDataLen
        self.assertGreater(waiting, LIMIT)
        self.assertLessEqual(waiting, LIMIT + 2 * SIZE if self.memory else 1 << 20)
        self.assertEqual(self.take(self.server), data[:sent])

    def test_halfClosed(self) -> None:
        """
        A client that has finished sending gets its answer.
        """
        self.client.sendall(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.take(self.server), b"question")
        self.assertEqual(self.server.recv(1), b"")
        self.server.sendall(b"answer")
        self.turn()
        self.assertEqual(self.take(self.client), b"answer")
        self.assertEqual(self.reasons, [])
        self.server.close()
        self.turn()
        self.assertEqual(self.client.recv(1), b"")
        self.assertEqual(len(self.reasons), 1)

    def test_lastWords(self) -> None:
        """
        What one says before it closes is heard, whatever was waiting.
        """
        data = os.urandom(1 << 18)
        sent = 0
        while sent < len(data):
            try:
                sent += self.server.send(data[sent:])
            except BlockingIOError:
                self.turn()
        self.server.close()
        self.turn()
        self.assertEqual(self.take(self.client), data)
        self.assertEqual(self.client.recv(1), b"")

    def test_gone(self) -> None:
        """
        A client that goes takes the other with it.
        """
        self.client.close()
        self.turn()
        self.assertEqual(self.server.recv(1), b"")
        self.assertEqual(len(self.reasons), 1)

    def test_goneBeforeItsAnswer(self) -> None:
        """
        What is said to one that has gone is the end, and no error of ours.
        """
        self.pipe.first.transport.pauseProducing()  # type: ignore[union-attr]
        self.client.close()
        self.server.sendall(b"answer")
        self.turn()
        self.assertEqual(len(self.reasons), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nothingLeft(self) -> None:
        """
        Sockets that are closed are closed once: their numbers may be others' by then.
        """
        descriptors = [end.transport.fileno() for end in self.ends]  # type: ignore[union-attr]
        self.client.close()
        self.turn()
        others = [self.near(socket.socket(socket.AF_UNIX)) for _ in range(8)]
        self.assertTrue({one.fileno() for one in others} & set(descriptors))
        self.turn()
        del self.ends
        for one in others:
            one.getsockname()


class LongWayTests(JoinedSocketsTests):
    """
    The same without memory for the short way.
    """

    memory = None


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class ResetTests(SynchronousTestCase):
    """
    What becomes of a reset, over TCP.
    """

    def assertReset(self, memory: PacketMemory | None) -> None:
        """
        One that is reset takes the other with it, and the reason says so.
        """
        clock = ClockAround()
        loop = EventLoop(clock)
        reactor = LoopReactor(clock, loop)
        reasons: list[Failure] = []
        pipe = Pipe(clock, PATIENCE, reasons.append, memory=memory)

        def turn() -> None:
            for _ in range(3):
                loop.doRead()
                clock.advance(0)

        with socket.create_server(("127.0.0.1", 0)) as listening:
            port: Any = reactor.listenTCP(0, _Arrival(pipe))
            client = socket.create_connection(("127.0.0.1", port.getHost().port), 5)
            turn()
            port.stopListening()
            reactor.connectTCP("127.0.0.1", listening.getsockname()[1], _Departure(pipe))
            turn()
            server = listening.accept()[0]
        server.settimeout(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        turn()
        self.assertEqual(server.recv(1), b"")
        server.close()
        turn()
        (reason,) = reasons
        reason.trap(ConnectionLost)
        self.assertEqual(loop.owners, [])

    def test_short(self) -> None:
        """
        On the short way.
        """
        self.assertReset(PacketMemory(SIZE))

    def test_long(self) -> None:
        """
        On the long way.
        """
        self.assertReset(None)


class OtherTransportsTests(SynchronousTestCase):
    """
    Ends that are no plain sockets.
    """

    def test_memory(self) -> None:
        """
        Any other transport is read as it is.
        """
        pipe = Pipe(ClockAround(), PATIENCE, memory=PacketMemory(SIZE))
        for end in (pipe.first, pipe.second):
            end.makeConnection(StringTransport())
            self.assertFalse(canPump(end))
        self.assertIs(pipe.state, PipeState.JOINED)
