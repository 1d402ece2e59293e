"""
Tests of L{muxd.net.loopreactor}.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorFDSet,
    IReactorTCP,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.net.eventloop import EventLoop
from muxd.net.loopreactor import LoopReactor, loopBeneath, onLoop
from tests.net.eventloops import ClockAround, closeReactor

LINUX = sys.platform.startswith("linux")


def tcpPair() -> tuple[socket.socket, socket.socket]:
    """
    Two TCP sockets that are connected.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = socket.create_connection(listening.getsockname(), 5)
        return listening.accept()[0], far


def factoryOf(protocol: Protocol) -> Factory:
    """
    What has this protocol.
    """
    return Factory.forProtocol(lambda: protocol)


class Hearer(Protocol):
    """
    A protocol that remembers what it has heard.

    @ivar heard: What came.
    @ivar lost: Why its connection ended, once for each time that it was told.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Something has come.
        """
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.lost.append(reason)


@implementer(IHalfCloseableProtocol)
class HalfCloseableHearer(Hearer):
    """
    One that is told of half an end.

    @ivar ended: How often it was told that its peer has finished sending.
    """

    ended = 0

    def readConnectionLost(self) -> None:
        """
        The peer has finished sending.
        """
        self.ended += 1

    def writeConnectionLost(self) -> None:
        """
        It has taken all.
        """


@skipUnless(LINUX, "there is no epoll")
class LoopReactorTests(SynchronousTestCase):
    """
    Twisted's own transports on a loop.
    """

    def setUp(self) -> None:
        """
        A loop that the test gives its turns.
        """
        self.clock = ClockAround()
        self.loop = EventLoop(self.clock)
        self.reactor = LoopReactor(self.clock, self.loop)
        self.addCleanup(self.cleanUp)

    def cleanUp(self) -> None:
        """
        Leave nothing open.
        """
        for each in self.reactor.removeAll():
            each.connectionLost(Failure(ConnectionDone()))
        self.turn()
        self.assertEqual(self.loop.owners, [])

    def turn(self) -> None:
        """
        Have everything done that there is to do.
        """
        for _ in range(3):
            self.loop.doRead()
            self.clock.advance(0)

    def connected(self, accepted: Hearer) -> tuple[Any, socket.socket]:
        """
        A protocol that has let a client in.

        @return: its transport, and the client.
        """
        port: Any = self.reactor.listenTCP(0, Factory.forProtocol(lambda: accepted))
        client = socket.create_connection(("127.0.0.1", port.getHost().port), 5)
        self.addCleanup(client.close)
        self.turn()
        port.stopListening()
        self.turn()
        return accepted.transport, client

    def test_interfaces(self) -> None:
        """
        It is a reactor for sockets, and all that the one behind it is.
        """
        for interface in (IReactorFDSet, IReactorTCP, IReactorUNIX):
            verifyObject(interface, self.reactor)
        self.assertTrue(IReactorTime.providedBy(self.reactor))
        self.assertEqual(self.reactor.seconds(), self.clock.seconds())

    def test_adopted(self) -> None:
        """
        A socket that is connected already gets a transport of the loop's, for a copy of it.
        """
        for kind in (socket.AF_UNIX, socket.AF_INET):
            near, far = socket.socketpair() if kind == socket.AF_UNIX else tcpPair()
            far.settimeout(5)
            self.addCleanup(far.close)
            hearer = Hearer()
            near.setblocking(False)
            self.reactor.adoptStreamConnection(near.fileno(), kind, factoryOf(hearer))
            near.close()
            far.sendall(b"hello")
            self.turn()
            self.assertEqual(hearer.heard, b"hello")
            transport: Any = hearer.transport
            transport.write(b"answer")
            self.turn()
            self.assertEqual(far.recv(10), b"answer")

    def test_beneath(self) -> None:
        """
        It is known which loop is beneath a reactor, if one is.
        """
        self.assertIs(loopBeneath(self.reactor), self.loop)
        self.assertIs(loopBeneath(self.clock), None)

    def assertConversation(self, port: Any, connect: Any) -> None:
        """
        A client connects, hears and is heard, and both are told of the end.
        """
        server, client = Hearer(), Hearer()
        factory = ClientFactory()
        factory.protocol = lambda: client
        port.factory.protocol = lambda: server
        connect(factory)
        self.turn()
        client.transport.write(b"question")  # type: ignore[union-attr]
        self.turn()
        server.transport.write(b"answer")  # type: ignore[union-attr]
        self.turn()
        self.assertEqual((server.heard, client.heard), (b"question", b"answer"))
        client.transport.loseConnection()  # type: ignore[union-attr]
        self.turn()
        for end in (server, client):
            (reason,) = end.lost
            reason.trap(ConnectionDone)
        port.stopListening()
        self.turn()
        self.assertEqual(self.loop.owners, [])

    def test_tcp(self) -> None:
        """
        TCP, both ends here.
        """
        port: Any = self.reactor.listenTCP(0, Factory())
        number = port.getHost().port
        self.assertConversation(
            port, lambda factory: self.reactor.connectTCP("127.0.0.1", number, factory)
        )

    def test_unix(self) -> None:
        """
        UNIX sockets, both ends here.
        """
        path = self.mktemp()
        self.assertConversation(
            self.reactor.listenUNIX(path, Factory()),
            lambda factory: self.reactor.connectUNIX(path, factory),
        )

    def test_refused(self) -> None:
        """
        A connection that is refused fails, and leaves nothing.
        """
        failed: list[Failure] = []
        factory = ClientFactory()
        factory.clientConnectionFailed = lambda _, reason: failed.append(reason)  # type: ignore
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.reactor.connectTCP("127.0.0.1", free.getsockname()[1], factory)
            self.turn()
        self.assertEqual(len(failed), 1)
        self.assertEqual(self.loop.owners, [])

    def test_halfClosed(self) -> None:
        """
        A peer that has finished sending still gets its answer, if that is wanted.
        """
        hearer = HalfCloseableHearer()
        transport, client = self.connected(hearer)
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual((hearer.heard, hearer.ended, hearer.lost), (b"last words", 1, []))
        transport.write(b"answer")
        transport.loseConnection()
        self.turn()
        self.assertEqual(client.recv(100), b"answer")
        self.assertEqual(len(hearer.lost), 1)

    def test_closed(self) -> None:
        """
        For a protocol that knows no such thing it is the end.
        """
        hearer = Hearer()
        _, client = self.connected(hearer)
        client.shutdown(socket.SHUT_WR)
        self.turn()
        (reason,) = hearer.lost
        reason.trap(ConnectionDone)

    def test_reset(self) -> None:
        """
        A reset is not an orderly end.
        """
        hearer = Hearer()
        _, client = self.connected(hearer)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        self.turn()
        (reason,) = hearer.lost
        self.assertFalse(reason.check(ConnectionDone))

    def test_resetWhilePaused(self) -> None:
        """
        One that is not read from hears of it when it has something to write.
        """
        hearer = Hearer()
        transport, client = self.connected(hearer)
        transport.pauseProducing()
        transport.write(bytes(1 << 24))
        self.turn()
        self.assertEqual(hearer.lost, [])
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        self.turn()
        (reason,) = hearer.lost
        reason.trap(ConnectionLost)

    def test_raises(self) -> None:
        """
        A protocol that raises is told that this was its end, and others go on.
        """
        raising, other = Hearer(), Hearer()
        _, client = self.connected(raising)
        _, another = self.connected(other)
        raising.dataReceived = lambda data: 1 / 0  # type: ignore
        client.sendall(b"x")
        another.sendall(b"y")
        self.turn()
        (reason,) = raising.lost
        reason.trap(ZeroDivisionError)
        self.assertEqual(other.heard, b"y")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_paused(self) -> None:
        """
        A paused transport is not read, and what came meanwhile is not lost.
        """
        hearer = Hearer()
        transport, client = self.connected(hearer)
        transport.pauseProducing()
        self.assertEqual(self.loop.owners, [])
        client.sendall(b"waits")
        self.turn()
        self.assertEqual(hearer.heard, b"")
        transport.resumeProducing()
        self.turn()
        self.assertEqual(hearer.heard, b"waits")

    def test_both(self) -> None:
        """
        It is known what reads and what writes, and all can be let go of.
        """
        hearer = Hearer()
        transport, _ = self.connected(hearer)
        self.assertEqual((self.reactor.getReaders(), self.reactor.getWriters()), ([transport], []))
        transport.write(bytes(1 << 24))
        self.assertEqual(self.reactor.getWriters(), [transport])
        self.reactor.removeReader(transport)
        self.reactor.removeReader(transport)
        self.assertEqual((self.reactor.getReaders(), self.reactor.getWriters()), ([], [transport]))
        self.assertEqual(self.reactor.removeAll(), [transport])
        self.assertEqual(self.loop.owners, [])
        self.reactor.removeWriter(transport)
        transport.connectionLost(connectionDone)


class OnLoopTests(SynchronousTestCase):
    """
    Tests of L{onLoop}.
    """

    @skipUnless(LINUX, "there is no epoll")
    def test_epoll(self) -> None:
        """
        A reactor that has a loop.
        """
        from twisted.internet.epollreactor import EPollReactor

        reactor = EPollReactor()
        self.addCleanup(closeReactor, reactor)
        self.assertIsInstance(onLoop(reactor), LoopReactor)

    def test_others(self) -> None:
        """
        Any other reactor is used as it is.
        """
        clock = Clock()
        self.assertIs(onLoop(clock), clock)
