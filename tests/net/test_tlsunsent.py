"""
Tests of L{muxd.net.tlsunsent}, with TLS of Twisted on both sides of a socket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.net.tlsunsent import unsent
from muxd.testing import BudgetTransport
from tests.net.test_socketwriter import Socket

try:
    from twisted.protocols.tls import TLSMemoryBIOFactory

    from muxd.net.mutualtls import MutualClient, MutualServer
    from tests.net.tlsfarm import TLSFarm
except ImportError:
    TLSFarm = None  # type: ignore[assignment,misc]

HOST = "rack1.example.org"


class UnsentTests(SynchronousTestCase):
    """
    L{unsent}.
    """

    def setUp(self) -> None:
        """
        Make both sides, not yet connected.
        """
        if TLSFarm is None:
            raise SkipTest("pyOpenSSL is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        farm = TLSFarm(directory)
        self.clock = Clock()
        client = MutualClient(farm.issue("ci"), HOST, self.clock)
        server = MutualServer(self.clock, farm.host(HOST))
        self.sockets = Socket(1 << 20), Socket(1 << 20)
        self.ends: list[Any] = []
        for creator in (client, server):
            factory = Factory.forProtocol(Protocol)
            tls = TLSMemoryBIOFactory(creator, creator is client, factory, clock=self.clock)
            self.ends.append(tls.buildProtocol(None))

    def shakeHands(self) -> None:
        """
        Carry what each side says to the other one.
        """
        for end, socket in zip(self.ends, self.sockets, strict=True):
            end.makeConnection(cast("Any", socket))
        for _ in range(4):
            for number, socket in enumerate(self.sockets):
                socket.turn(0)
                said, socket.sent = socket.sent, b""
                if said:
                    self.ends[1 - number].dataReceived(said)

    def test_taken(self) -> None:
        """
        There is something while the socket takes nothing, encrypted, until it has taken all.
        """
        self.shakeHands()
        client, socket = self.ends[0], self.sockets[0]
        socket.turn(0)
        self.assertEqual(unsent(client), 0)
        socket.budget = 0
        client.write(bytes(50_000))
        self.clock.advance(0)
        self.assertGreater(unsent(client), 50_000)
        socket.turn(40_000)
        left = unsent(client)
        self.assertTrue(10_000 < left < 20_000, left)
        socket.turn(left)
        self.assertEqual(unsent(client), 0)

    def test_shaking(self) -> None:
        """
        What is written before TLS is there is held.
        """
        client, socket = self.ends[0], self.sockets[0]
        client.makeConnection(cast("Any", socket))
        client.write(b"hello")
        self.clock.advance(0)
        socket.turn(0)
        self.assertEqual(unsent(client), 5)

    def test_begunLater(self) -> None:
        """
        TLS that was begun on a transport is looked at beneath it.
        """
        self.shakeHands()
        client, socket = self.ends[0], self.sockets[0]
        socket.budget = 0
        client.write(b"hello")
        self.clock.advance(0)
        plain: Any = socket
        plain.TLS, plain.protocol = True, client
        self.assertGreater(unsent(plain), 5)

    def test_others(self) -> None:
        """
        Of other transports, and of none, nothing is known.
        """
        transport = BudgetTransport(self.clock, 0)
        transport.write(b"hello")
        for each in (transport, Socket(), None):
            self.assertEqual(unsent(each), 0)
