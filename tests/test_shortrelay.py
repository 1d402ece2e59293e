"""
Tests of L{muxd.relay} where its connections are bare sockets.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.tcp import Port
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from muxd.client.access import accessAt
from muxd.client.address import UnixAddress
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.rememberedlist import RememberedList
from muxd.limits import Limits
from muxd.net.eventloop import loopOf
from muxd.net.laneport import LanePort
from muxd.net.listening import ListeningEndpoint
from muxd.net.loopreactor import onLoop
from muxd.net.shortpipe import ShortPipe
from muxd.relay import RelayService, Route
from muxd.wire.messages import MessageReader, Result, parsePlist
from tests.client.test_shortway import attachedMessage, devicesMessage, resultMessage

TEXT = b"hello"
LOOPBACK = "tcp:0:interface=127.0.0.1"


class Daemon(Protocol):
    """
    A daemon with one phone, whose ports echo.
    """

    def __init__(self, daemon: DaemonFactory) -> None:
        self.daemon = daemon
        self.reader: MessageReader | None = MessageReader(10_000)

    def dataReceived(self, data: bytes) -> None:
        """
        Answer, or echo.
        """
        transport: Any = self.transport
        if self.reader is None:
            transport.write(data)
            return
        self.reader.feed(data)
        message = self.reader.next()
        if message is None:
            return
        kind = parsePlist(message.body)["MessageType"]
        self.daemon.asked.append(kind)
        if kind == "ListDevices":
            transport.write(devicesMessage(1))
        elif kind == "Listen":
            transport.write(resultMessage(0) + attachedMessage(1))
        elif self.daemon.result is not None:
            transport.write(resultMessage(self.daemon.result))
            self.reader = None


class DaemonFactory(Factory):
    """
    A daemon.

    @ivar result: The Result of each Connect; None if there is none.
    @ivar asked: What it has been asked for.
    """

    noisy = False
    result: int | None = 0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def buildProtocol(self, addr: object) -> Daemon:
        """
        It has come.
        """
        return Daemon(self)


class Client(Protocol):
    """
    A client that says something at once.

    @ivar data: What it has heard.
    @ivar closed: Fires when it has been closed.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Say it.
        """
        self.transport.write(TEXT)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear something.
        """
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Be closed.
        """
        self.closed.callback(None)


class ClientFactoryOf(ClientFactory[Client]):
    """
    Has a client.
    """

    noisy = False

    def __init__(self, client: Client) -> None:
        self.client = client

    def buildProtocol(self, addr: object) -> Client:
        """
        It is connected.
        """
        return self.client


@skipUnless(sys.platform.startswith("linux") and loopOf(reactor), "there is no event loop")
class ShortRelayTests(TestCase):
    """
    A relay in front of a daemon.
    """

    limits = Limits(relayConnections=2)

    async def start(self) -> None:
        """
        Start both, and watch the log.
        """
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        path = self.mktemp()
        self.daemon = DaemonFactory()
        port = await UNIXServerEndpoint(reactor, path).listen(self.daemon)
        self.addCleanup(port.stopListening)
        self.endpoint = UsbmuxClientEndpoint(
            reactor, 7, via=accessAt(onLoop(reactor), UnixAddress(path))
        )
        self.service = RelayService(
            reactor, [Route(LOOPBACK, self.endpoint, "the phone")], limits=self.limits
        )
        self.service.startService()
        self.addCleanup(self.service.stopService)

    @property
    def listening(self) -> ListeningEndpoint:
        """
        Where it listens.
        """
        return self.service._endpoints[0]

    async def connect(self) -> Client:
        """
        A client.
        """
        client = Client()
        number = self.listening.portNumber
        assert number is not None
        connecting: Any = reactor
        connecting.connectTCP("127.0.0.1", number, ClientFactoryOf(client))
        while client.transport is None:
            await deferLater(reactor, 0.001)
        self.addCleanup(client.transport.abortConnection)
        return client

    async def echoed(self) -> Client:
        """
        A client that has got its answer.
        """
        client = await self.connect()
        while client.data != TEXT:
            await deferLater(reactor, 0.001)
        return client

    async def lines(self) -> list[str]:
        """
        What is logged of connections, once something is.
        """
        found: list[str] = []
        while not found:
            await deferLater(reactor, 0.001)
            texts = [formatEvent(event) for event in self.log if "client" in event]
            found = [text.partition(": ")[2].partition(" ")[2] for text in texts]
        return found

    async def test_carried(self) -> None:
        """
        Bytes go through, and the log tells of it, as of any connection.
        """
        await self.start()
        self.assertIsInstance(self.listening._port, LanePort)
        client = await self.echoed()
        (connection,) = self.service.connections
        self.assertIsInstance(connection, ShortPipe)
        # What the kernel is to be asked about the client is known by now.
        self.patch(sys.modules["muxd.net.shortpipe"], "presenceOf", None)
        client.transport.loseConnection()
        (line,) = await self.lines()
        self.assertRegex(line, r"^sent 5 bytes to the phone and got 5 in \d+\.\d{3} s$")
        self.assertEqual((self.service.accepted, self.service.failed), (1, 0))
        self.assertEqual(self.service.connections, set())

    async def test_again(self) -> None:
        """
        A phone that is connected to again and again is soon looked for no more; nothing of that
        is left when the relay has stopped.
        """
        await self.start()
        for _ in range(5):
            client = await self.echoed()
            client.transport.abortConnection()
            await client.closed
        look = ["ListDevices", "Connect"]
        expected = [*look, "Listen", *look, *look, "Connect", "Connect"]
        self.assertEqual(self.daemon.asked, expected)
        await self.service.stopService()
        loop = loopOf(reactor)
        assert loop is not None
        self.assertEqual([one for one in loop.owners if isinstance(one, RememberedList)], [])

    async def test_refused(self) -> None:
        """
        What is refused is counted, and told.
        """
        await self.start()
        self.daemon.result = Result.CONNECTION_REFUSED
        client = await self.connect()
        await client.closed
        (line,) = await self.lines()
        self.assertRegex(line, "^was not connected to the phone: .*refused")
        self.assertEqual(self.service.failed, 1)

    async def test_tooMany(self) -> None:
        """
        No more are carried than are allowed.
        """
        await self.start()
        for _ in range(2):
            await self.echoed()
        client = await self.connect()
        await client.closed
        (line,) = await self.lines()
        self.assertEqual(line, "is refused, there are 2 connections already")
        self.assertEqual((self.service.accepted, self.service.refused), (3, 1))

    async def test_stopped(self) -> None:
        """
        All of them end with the relay.
        """
        await self.start()
        client = await self.echoed()
        self.daemon.result = None
        waiting = await self.connect()
        while len(self.service.connections) < 2:
            await deferLater(reactor, 0.001)
        await self.service.stopService()
        for each in (client, waiting):
            await each.closed
        self.assertEqual(self.service.connections, set())
        loop = loopOf(reactor)
        assert loop is not None
        self.assertEqual([one for one in loop.owners if isinstance(one, LanePort)], [])

    async def test_wrapped(self) -> None:
        """
        Where clients need more than a socket, as with TLS, Twisted lets them in.
        """
        await self.start()
        route = Route(Wrapping(reactor, 0, interface="127.0.0.1"), self.endpoint)
        self.service.add(route)
        self.assertIsInstance(self.service._endpoints[1]._port, Port)


class Wrapping(TCP4ServerEndpoint):
    """
    An endpoint that puts something between a port and what it serves.
    """

    def listen(self, protocolFactory: Any) -> Any:
        """
        Listen.
        """
        return super().listen(WrappingFactory(protocolFactory))
