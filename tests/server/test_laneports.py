"""
Tests of L{muxd.server.fastlane} at listening sockets.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from errno import EAGAIN, EMFILE
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.tcp import Port
from twisted.internet.testing import AccumulatingProtocol
from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import TestCase

from muxd.net.eventloop import READABLE, loopOf
from muxd.net.laneport import LanePort
from muxd.net.streams import Acceptor, StreamSocket
from muxd.service import MuxService
from muxd.wire.messages import (
    Message,
    plistMessage,
)
from tests.device.links import LOCKDOWN
from tests.server.lanes import LINUX, LaneCase
from tests.server.serving import connectRequest


class AcceptingTests(LaneCase):
    """
    How many are let in.
    """

    def setUp(self) -> None:
        """
        A port that nothing listens at.
        """
        super().setUp()
        self.listening = socket.socketpair()[0]
        self.addCleanup(self.listening.close)
        self.failures: list[OSError] = []
        port: Any = SimpleNamespace(
            socket=self.listening, fileno=self.listening.fileno, stopReading=lambda: None
        )
        arrived = partial(self.lane._arrived, self.entrance)
        self.port = LanePort(self.loop, port, self.failures.append, arrived)
        self.addCleanup(self.port.stopReading)
        self.port._acceptor = self.acceptor = Waiting(100)

    def tearDown(self) -> None:
        """
        All that came are gone.
        """
        self.port.stopReading()
        self.acceptor.closeAll()
        self.loop.doRead()
        super().tearDown()

    def test_atOnce(self) -> None:
        """
        Some are let in, then everything else has its turn; so many as is said, the next time
        only.
        """
        atOnce = self.port.numberAccepts
        self.port.happened(READABLE)
        self.assertEqual(len(self.server.clients), atOnce)
        self.port.numberAccepts = 1
        self.port.happened(READABLE)
        self.assertEqual(len(self.server.clients), atOnce + 1)
        self.port.happened(READABLE)
        self.assertEqual(len(self.server.clients), 2 * atOnce + 1)

    def test_paused(self) -> None:
        """
        None more when the one that was let in was one too many.
        """
        self.acceptor.taken = self.port.stopReading
        self.port.happened(READABLE)
        self.assertEqual(len(self.server.clients), 1)

    def test_errors(self) -> None:
        """
        That descriptors are short is told, with the error; that there is no client is not.
        """
        self.acceptor.left = 0
        for error in (EAGAIN, EMFILE):
            self.acceptor.error = error
            self.port.happened(READABLE)
        self.assertEqual([each.errno for each in self.failures], [EMFILE])


class Waiting(Acceptor):
    """
    So many clients that wait to be let in.
    """

    def __init__(self, left: int) -> None:
        with socket.socket() as nothing:
            super().__init__(nothing)
        self.left = left
        self.taken: Callable[[], None] = lambda: None
        self.error = EAGAIN
        self._clients: list[socket.socket] = []

    def accept(self) -> StreamSocket | None:
        """
        The next one.
        """
        if not self.left:
            return None
        self.left -= 1
        self.taken()
        client, ours = socket.socketpair()
        self._clients.append(client)
        return StreamSocket(ours.detach())

    def closeAll(self) -> None:
        """
        They go.
        """
        for each in self._clients:
            each.close()


@skipUnless(LINUX, "there is no epoll")
class PortTests(TestCase):
    """
    A daemon's real listening sockets.
    """

    def setUp(self) -> None:
        """
        Not for other reactors.
        """
        if loopOf(reactor) is None:
            self.skipTest("another reactor")
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.path = f"{self.directory}/socket"

    def start(self, *listen: Any) -> MuxService:
        """
        A daemon.
        """
        service = MuxService(
            reactor, listen=listen, sources=["simulated:1"], configDir=self.directory
        )
        service.startService()
        self.addCleanup(lambda: service.stopService() if service.running else None)
        return service

    async def ask(self, request: Message) -> bytes:
        """
        What a client gets as an answer.
        """
        protocol = AccumulatingProtocol()
        protocol.closedDeferred = closed = Deferred[None]()
        factory: Any = Factory()
        factory.buildProtocol = lambda addr: protocol
        factory.protocolConnectionMade = None
        protocol.factory = factory
        endpoint = UNIXClientEndpoint(reactor, self.path)
        await endpoint.connect(factory)
        assert protocol.transport is not None
        protocol.transport.write(request.encode())
        while not protocol.data:
            await deferLater(reactor, 0.001)
        protocol.transport.loseConnection()
        await closed
        return protocol.data

    async def test_both(self) -> None:
        """
        A socket's clients are served on the lane, and others as ever.
        """
        service = self.start(f"unix:{self.path}")
        (listening,) = service._places.listening
        self.assertIsInstance(listening._port, LanePort)
        self.assertIn(
            b"DeviceList", await self.ask(plistMessage({"MessageType": "ListDevices"}, 1))
        )
        while not service.registry.attached():
            await deferLater(reactor, 0.001)
        self.assertIn(b"<integer>0</integer>", await self.ask(connectRequest(1, LOCKDOWN)))
        counters = service._factory.counters
        self.assertEqual((counters.connections, counters.connects), (2, 1))

    async def test_paused(self) -> None:
        """
        Clients can be left waiting, and are let in one by one after that.
        """
        service = self.start(f"unix:{self.path}")
        (listening,) = service._places.listening
        listening.pause()
        listening.pause()
        asked = Deferred.fromCoroutine(self.ask(plistMessage({"MessageType": "ListDevices"}, 1)))
        await deferLater(reactor, 0.01)
        self.assertEqual(service._factory.counters.connections, 0)
        listening.resume()
        assert isinstance(listening._port, LanePort)
        self.assertEqual(listening._port.numberAccepts, 1)
        await asked

    async def test_stopped(self) -> None:
        """
        Nothing is watched, and the socket's file is gone, when the daemon has stopped.
        """
        service = self.start(f"unix:{self.path}", "tcp:0:interface=127.0.0.1")
        await service.stopService()
        loop = loopOf(reactor)
        assert loop is not None
        self.assertEqual([one for one in loop.owners if isinstance(one, LanePort)], [])
        self.assertEqual(os.listdir(self.directory), [])

    async def test_wrapped(self) -> None:
        """
        Where clients need more than a socket, as with TLS, Twisted lets them in.
        """

        class Wrapping(TCP4ServerEndpoint):
            def listen(self, protocolFactory: Any) -> Any:
                return super().listen(WrappingFactory(protocolFactory))

        service = self.start(
            Wrapping(reactor, 0, interface="127.0.0.1"), UNIXServerEndpoint(reactor, self.path)
        )
        self.assertEqual(
            [type(listening._port) for listening in service._places.listening], [Port, LanePort]
        )

    async def test_asManyAsWaited(self) -> None:
        """
        As many are let in at once as waited the last time, and all of those that wait when the
        loop says at once that there are more: one that comes alone is not followed by a look
        for another.
        """
        service = self.start(f"unix:{self.path}")
        (listening,) = service._places.listening
        port = listening._port
        assert isinstance(port, LanePort)
        listening.pause()
        looked = []

        class Looking(Acceptor):
            def accept(self) -> StreamSocket | None:
                found = super().accept()
                looked.append(found is not None)
                return found

        port._acceptor = Looking(port._port.socket)
        port._isReading = True
        clients = []
        for count, turns, expected in (
            (1, 5, [True]),
            (3, 5, [True]),
            (0, 1, [True, True, False]),
            (3, 5, [True, True]),
            (0, 1, [True, False]),
            (1, 5, [True]),
        ):
            for _ in range(count):
                clients.append(self.enterContext(socket.socket(socket.AF_UNIX)))
                clients[-1].connect(self.path)
            port._loop.turns += turns
            port.happened(1)
            self.assertEqual(looked, expected)
            looked.clear()
        self.assertEqual(len(service._factory.clients), len(clients))
        port._isReading = False
        await service.stopService()

    async def test_short(self) -> None:
        """
        When nobody can be accepted, that is told and the port paused.
        """
        service = self.start(f"unix:{self.path}")
        (listening,) = service._places.listening
        port = listening._port
        assert isinstance(port, LanePort)

        class Short(Acceptor):
            def accept(self) -> None:
                self.error = EMFILE

        port._acceptor = Short(socket.socket())
        port.happened(1)
        self.assertTrue(service._factory.throttle.isClosed)
        self.assertFalse(port._isReading)
