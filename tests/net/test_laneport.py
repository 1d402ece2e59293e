"""
Tests of L{muxd.net.laneport}, with real sockets.
"""

from __future__ import annotations

import socket
import sys
from errno import EMFILE
from typing import Any
from unittest import skipUnless

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.eventloop import EventLoop
from muxd.net.laneport import LanePort, peerAddress
from muxd.net.loopreactor import LoopReactor
from muxd.net.streams import Acceptor, StreamSocket
from tests.net.eventloops import ClockAround


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class LanePortTests(SynchronousTestCase):
    """
    Tests of L{LanePort}.
    """

    def setUp(self) -> None:
        """
        A port, and a stand-in for it.
        """
        clock = ClockAround()
        self.loop = EventLoop(clock)
        self.arrived: list[tuple[StreamSocket, int]] = []
        self.errors: list[OSError] = []
        reactor = LoopReactor(clock, self.loop)
        port: Any = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        self.lane = LanePort(self.loop, port, self.errors.append, self.come)
        self.addCleanup(self.cleanUp)

    def come(self, client: StreamSocket, family: int) -> None:
        """
        A client is there.
        """
        self.arrived.append((client, family))

    def cleanUp(self) -> None:
        """
        Nothing is watched when it has stopped.
        """
        self.lane.stopListening()
        self.assertEqual(self.loop.owners, [])
        for client, _ in self.arrived:
            client.close()

    def connect(self, count: int = 1) -> None:
        """
        Have clients, and a turn.
        """
        host: Any = self.lane.getHost()
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", host.port), 5)
            self.addCleanup(client.close)
        self.loop.doRead()

    def test_interface(self) -> None:
        """
        It is a port.
        """
        verifyObject(IListeningPort, self.lane)

    def test_arrived(self) -> None:
        """
        Each client is a bare socket.
        """
        self.lane.startListening()
        self.connect(3)
        self.assertEqual([family for _, family in self.arrived], [socket.AF_INET] * 3)

    def test_paused(self) -> None:
        """
        Clients wait while it does not read, and fewer come at once if that is asked for.
        """
        self.lane.stopReading()
        self.lane.stopReading()
        self.connect(2)
        self.assertEqual(self.arrived, [])
        self.lane.startReading()
        self.lane.startReading()
        most, self.lane.numberAccepts = self.lane.numberAccepts, 1
        self.lane.happened(1)
        self.assertEqual((len(self.arrived), self.lane.numberAccepts), (1, most))

    def test_stopsWithin(self) -> None:
        """
        When one client is the last that there is room for, no other one is let in.
        """

        def come(client: StreamSocket, family: int) -> None:
            self.come(client, family)
            self.lane.stopReading()

        self.lane._arrived = come
        self.connect(3)
        self.assertEqual(len(self.arrived), 1)

    def test_short(self) -> None:
        """
        A shortage is told.
        """

        class Short(Acceptor):
            def accept(self) -> None:
                self.error = EMFILE

        with socket.socket() as unused:
            self.lane._acceptor = Short(unused)
            self.lane.happened(1)
        self.assertEqual([error.errno for error in self.errors], [EMFILE])

    def test_mistake(self) -> None:
        """
        A client that is lost to a mistake is the only one.
        """

        def fail(client: StreamSocket, family: int) -> None:
            client.close()
            raise ValueError("a mistake")

        self.lane._arrived = fail
        self.connect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.lane._arrived = self.come
        self.connect()
        self.assertEqual(len(self.arrived), 1)


class PeerTests(SynchronousTestCase):
    """
    Tests of L{peerAddress}.
    """

    def test_addresses(self) -> None:
        """
        TCP sockets' peers have addresses, and UNIX sockets' have none that say anything.
        """
        for host, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                listening = socket.create_server((host, 0), family=family)
            except OSError:
                continue  # a machine without IPv6
            client = socket.create_connection(listening.getsockname()[:2], 5)
            with listening, client, listening.accept()[0] as accepted:
                expected = kind("TCP", host, client.getsockname()[1])
                self.assertEqual(peerAddress(accepted), expected)
        near, far = socket.socketpair()
        with near, far:
            self.assertEqual(peerAddress(near), UNIXAddress(None))
