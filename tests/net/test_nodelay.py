# -*- test-case-name: tests.net.test_nodelay -*-
"""
Tests of L{muxd.net.nodelay}, and that every TCP socket of ours is one of these.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any
from unittest import skipIf

from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    clientFromString,
    connectProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.client.address import TCPAddress
from muxd.client.client import UsbmuxClient
from muxd.client.socketio import Deadline, openSocket
from muxd.net.connections import Connections
from muxd.net.listening import ListeningEndpoint
from muxd.net.nodelay import sendAtOnce, sendAtOnceOver
from muxd.phone.iphone import Phone
from muxd.phone.service import PhoneService
from muxd.relay import RelayedConnection, RelayService, Route
from muxd.server.fastlane import LaneClient
from muxd.service import MuxService
from muxd.usbip.requests import DevlistRequest
from tests.client.fakedaemon import PATIENCE

LOOPBACK = "tcp:0:interface=127.0.0.1"


def isPrompt(sock: Any) -> bool:
    """
    Whether a TCP socket sends at once.
    """
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


class SocketTests(SynchronousTestCase):
    """
    Tests of L{sendAtOnce} and L{sendAtOnceOver}.
    """

    def test_connected(self) -> None:
        """
        A connected socket has the option afterwards.
        """
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as ours,
        ):
            self.assertFalse(isPrompt(ours))
            sendAtOnce(ours)
            self.assertTrue(isPrompt(ours))

    def test_listening(self) -> None:
        """
        What is accepted from a listening socket takes the option from it.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            sendAtOnce(listening)
            with socket.create_connection(listening.getsockname()):
                accepted, _ = listening.accept()
                with accepted:
                    self.assertTrue(isPrompt(accepted))

    def test_others(self) -> None:
        """
        UNIX sockets, what is no socket, and closed sockets are left alone.
        """
        for one in socket.socketpair():
            with one:
                sendAtOnce(one)
        sendAtOnce(None)
        sendAtOnce(one)
        closed = socket.socket(socket.AF_INET)
        closed.close()
        sendAtOnce(closed)
        sendAtOnceOver(None)


class Accepted(Protocol):
    """
    Tells of its transport.
    """

    def __init__(self, came: Deferred[Any]) -> None:
        self._came = came

    def connectionMade(self) -> None:
        """
        It is here.
        """
        self._came.callback(self.transport)


class Acceptance(Factory):
    """
    Waits for one connection.

    @ivar came: Fires with its transport.
    """

    noisy = False

    def __init__(self) -> None:
        self.came: Deferred[Any] = Deferred()

    def buildProtocol(self, addr: object) -> Accepted:
        """
        It has come.
        """
        return Accepted(self.came)


def portOf(listening: ListeningEndpoint) -> int:
    """
    Which port it has been given.
    """
    port = listening._port
    assert port is not None
    address: Any = port.getHost()
    number: int = address.port
    return number


def at(description: str) -> ListeningEndpoint:
    """
    A place to listen.
    """
    return ListeningEndpoint.fromDescription(reactor, description)


class EverySocketTests(TestCase):
    """
    The TCP sockets of everything that listens and connects.
    """

    def start(self, service: Service) -> None:
        """
        Run a service until the end of the test.
        """
        service.startService()
        self.addCleanup(lambda: maybeDeferred(service.stopService))

    async def connect(self, port: int, host: str = "127.0.0.1") -> Any:
        """
        Connect to it, until the end of the test.

        @return: the transport.
        """
        host = host.replace(":", "\\:")
        endpoint = clientFromString(reactor, f"tcp:host={host}:port={port}")
        protocol = await connectProtocol(endpoint, Protocol())
        transport: Any = protocol.transport
        self.addCleanup(transport.abortConnection)
        return transport

    def daemon(self) -> tuple[MuxService, int]:
        """
        A daemon with a TCP port.
        """
        directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        service = MuxService(reactor, listen=[LOOPBACK], configDir=directory)
        self.start(service)
        return service, portOf(service._places.listening[0])

    async def accepts(self, listening: ListeningEndpoint, host: str) -> None:
        """
        Fail unless what is accepted there sends at once.
        """
        acceptance = Acceptance()
        listening.open(acceptance, lambda error: None)
        try:
            await self.connect(portOf(listening), host)
            accepted = await acceptance.came
            self.assertTrue(isPrompt(accepted.getHandle()), listening.description)
            accepted.abortConnection()
        finally:
            await listening.close()

    async def test_accepted(self) -> None:
        """
        TCP sockets that are accepted, of both families, do.
        """
        await self.accepts(at(LOOPBACK), "127.0.0.1")
        if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
            await self.accepts(at(r"tcp6:0:interface=\:\:1"), "::1")

    @skipIf(platform.isWindows(), "Windows cannot adopt a listening socket")
    async def test_inherited(self) -> None:
        """
        So do those of a listening socket that was inherited.
        """
        inherited = socket.create_server(("127.0.0.1", 0))
        inherited.setblocking(False)
        endpoint = AdoptedStreamServerEndpoint(reactor, inherited.detach(), socket.AF_INET)
        await self.accepts(ListeningEndpoint(endpoint, "inherited", None), "127.0.0.1")

    async def test_daemon(self) -> None:
        """
        The daemon's clients are sent to at once.
        """
        service, port = self.daemon()
        await self.connect(port)
        while not service._factory.clients:
            await turn()
        client: Any
        (client,) = service._factory.clients
        holder = client if isinstance(client, LaneClient) else client.transport
        with socket.socket(fileno=os.dup(holder.fileno())) as same:
            self.assertTrue(isPrompt(same))

    async def test_client(self) -> None:
        """
        Twisted's client and the blocking one send at once to a daemon.
        """
        _, port = self.daemon()
        made: list[Any] = []
        client = UsbmuxClient(reactor, f"tcp:host=127.0.0.1:port={port}")
        feed = await client.listen(NotingFactory(made))
        self.assertIsNotNone(feed)
        self.assertTrue(isPrompt(made[0].getHandle()))
        made[0].abortConnection()
        with openSocket(TCPAddress("127.0.0.1", port), Deadline(PATIENCE)) as blocking:
            self.assertTrue(isPrompt(blocking))

    async def test_relay(self) -> None:
        """
        Both ends of a relayed connection do.
        """
        acceptance = Acceptance()
        behind = at(LOOPBACK)
        behind.open(acceptance, lambda error: None)
        self.addCleanup(behind.close)
        route = Route(LOOPBACK, f"tcp:host=127.0.0.1:port={portOf(behind)}")
        service = RelayService(reactor, [route])
        self.start(service)
        await self.connect(portOf(service._endpoints[0]))
        (await acceptance.came).write(b"x")
        (connection,) = service.connections
        assert isinstance(connection, RelayedConnection)
        while not connection.second.received:
            await turn()
        for end in (connection.first, connection.second):
            transport: Any = end.transport
            self.assertTrue(isPrompt(transport.getHandle()))

    async def test_phones(self) -> None:
        """
        What exports simulated phones does, to hosts and to programs that give commands.
        """
        service = PhoneService(reactor, [Phone(reactor)], usbip=[LOOPBACK], control=[LOOPBACK])
        self.start(service)
        connections: list[Connections[Any]] = [
            service._hosts.connections,
            service._console.connections,
        ]
        for (listening, _), open in zip(service._doors._listening, connections, strict=True):
            await self.connect(portOf(listening))
            while not open:
                await turn()
            (connection,) = open._open
            handle: Any = connection.transport
            self.assertTrue(isPrompt(handle.getHandle()))

    @skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
    async def test_usbipOnUnix(self) -> None:
        """
        A host that comes by a UNIX socket is served, though that has no such option.
        """
        directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "s")
        service = PhoneService(reactor, [Phone(reactor)], usbip=[f"unix:{path}"])
        self.start(service)
        endpoint = clientFromString(reactor, f"unix:path={path}")
        protocol = await connectProtocol(endpoint, AccumulatingProtocol())
        transport: Any = protocol.transport
        transport.write(DevlistRequest().encode())
        while not protocol.data:
            await turn()
        self.assertEqual(protocol.data[:2], b"\x01\x11")
        transport.abortConnection()


class NotingFactory(Factory):
    """
    Notes the transports of what it makes.
    """

    protocol = Protocol
    noisy = False

    def __init__(self, made: list[Any]) -> None:
        self._made = made

    def buildProtocol(self, addr: object) -> Protocol:
        """
        Make one that tells of its transport.
        """
        made = self._made

        class Noting(Protocol):
            def connectionMade(self) -> None:
                made.append(self.transport)

        return Noting()


def turn() -> Deferred[None]:
    """
    One turn of the reactor, as often as it takes: trial has the last word.
    """
    turned: Deferred[None] = Deferred()
    clock: Any = reactor
    clock.callLater(0.001, turned.callback, None)
    return turned
