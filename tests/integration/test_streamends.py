# -*- test-case-name: tests.integration.test_streamends -*-
"""
The ends of streams: a client that has closed, and one that has only finished sending, on
every way to a phone, with the sockets of this machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from muxd import relay as relaying
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.limits import Limits
from muxd.net.halfclosed import LOOK
from muxd.net.listening import ListeningEndpoint
from muxd.net.loopreactor import onLoop
from muxd.relay import RelayService, Route
from muxd.service import MuxService
from muxd.testing import BudgetTransport, FakeDevice
from tests.running.unit import takesSeconds

PORT = 7
LOOPBACK = "tcp:0:interface=127.0.0.1"
LONG = 1e6
CLOCK = IReactorTime(reactor)


@implementer(IHalfCloseableProtocol)
class Client(Protocol):
    """
    A client that may end one direction and not the other.

    @ivar data: What has come.
    @ivar ended: Whether it has read to the end.
    @ivar lost: Fires when the connection is over.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data

    def readConnectionLost(self) -> None:
        """
        Close.
        """
        self.ended = True
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Read on.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.lost.callback(None)


@dataclass(frozen=True)
class Way:
    """
    A way to the phone's port.

    @ivar name: What it is, for a failure.
    @ivar endpoint: Connects to the port.
    @ivar relay: What is in between, if anything is.
    """

    name: str
    endpoint: IStreamClientEndpoint
    relay: RelayService | None = None


def placeOf(listening: ListeningEndpoint) -> int:
    """
    The TCP port that it has been given.
    """
    assert listening._port is not None
    address: Any = listening._port.getHost()
    port: int = address.port
    return port


@skipUnless(sys.platform.startswith("linux"), "only Linux tells of peers")
class StreamEndTests(TestCase):
    """
    Streams by a UNIX socket, by a TCP listener, and by a relay to either.
    """

    timeout = 60

    async def until(self, what: Any) -> None:
        """
        Wait until something is so.
        """
        while not what():
            await deferLater(CLOCK, 0.001)

    def start(self, limits: Limits) -> tuple[FakeDevice, list[Way], MuxService]:
        """
        Start a daemon with a phone, and relays to it.
        """
        directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        path = f"{directory}/s"
        daemon = MuxService(
            reactor, listen=[f"unix:{path}", LOOPBACK], configDir=directory, limits=limits
        )
        daemon.startService()
        self.addCleanup(maybeDeferred, daemon.stopService)
        phone = FakeDevice(CLOCK, answers={PORT: FakeDevice.ACCEPT})
        daemon.registry.deviceAttached(phone)
        port = placeOf(daemon._places.listening[1])
        ways = []
        for name, via in ("unix", f"unix:path={path}"), ("tcp", f"tcp:host=127.0.0.1:port={port}"):
            ways.append(Way(name, UsbmuxClientEndpoint(reactor, PORT, via=via)))
            for kind, sockets in ("relay", onLoop(reactor)), ("relay off the loop", reactor):
                self.patch(relaying, "onLoop", lambda reactor, sockets=sockets: sockets)
                endpoint = UsbmuxClientEndpoint(sockets, PORT, via=via)
                relay = RelayService(reactor, [Route(LOOPBACK, endpoint)], limits=limits)
                relay.startService()
                self.addCleanup(maybeDeferred, relay.stopService)
                to = HostnameEndpoint(reactor, "127.0.0.1", placeOf(relay._endpoints[0]))
                ways.append(Way(f"{kind} to {name}", to, relay))
        return phone, ways, daemon

    async def streams(
        self, limits: Limits
    ) -> AsyncIterator[tuple[Way, Client, BudgetTransport, MuxService]]:
        """
        A stream by each way, over which four bytes have gone in each direction.
        """
        phone, ways, daemon = self.start(limits)
        for way in ways:
            count = len(phone.connections)
            client: Any = await way.endpoint.connect(Factory.forProtocol(Client))
            client.transport.write(b"ping")
            await self.until(lambda count=count: len(phone.connections) > count)
            side = phone.connections[-1].transport
            assert side is not None
            await self.until(lambda side=side: side.value() == b"ping")
            side.deliver(b"pong")
            await self.until(lambda client=client: client.data == b"pong")
            yield way, client, side, daemon

    async def test_closed(self) -> None:
        """
        The phone learns at once that a client has closed: no time is waited for, be it
        short or long.
        """
        limits = Limits(halfCloseGrace=LONG, flushTimeout=LONG)
        async for way, client, side, daemon in self.streams(limits):
            client.transport.loseConnection()
            await client.lost
            await self.until(lambda side=side: side.disconnecting)
            await self.until(lambda daemon=daemon: not daemon._factory.clients)
            if way.relay is not None:
                self.assertEqual(way.relay.connections, set(), way.name)

    @takesSeconds
    async def test_finished(self) -> None:
        """
        A client that has finished sending gets its answer however late it comes, whatever
        the grace for others is; and the phone learns when the client has closed then.
        """
        limits = Limits(halfCloseGrace=LOOK, flushTimeout=LOOK)
        async for way, client, side, _ in self.streams(limits):
            client.transport.loseWriteConnection()
            await self.until(lambda side=side: side.writeClosed)
            await deferLater(CLOCK, 10 * LOOK)
            self.assertFalse(side.disconnecting, way.name)
            side.deliver(b" and the answer")
            await self.until(lambda client=client: client.data == b"pong and the answer")
            await deferLater(CLOCK, 3 * LOOK)
            self.assertFalse(client.ended, way.name)
            client.transport.loseConnection()
            await self.until(lambda side=side: side.disconnecting)

    async def test_phoneEnds(self) -> None:
        """
        A client that has finished sending reads to the end when the phone ends the
        session.
        """
        limits = Limits(halfCloseGrace=LONG)
        async for _, client, side, _ in self.streams(limits):
            client.transport.loseWriteConnection()
            await self.until(lambda side=side: side.writeClosed)
            side.deliver(b"!")
            side.lose(ConnectionError())
            await client.lost
            self.assertEqual(client.data, b"pong!")

    async def test_unknown(self) -> None:
        """
        A peer of which nobody knows has its grace; without one it has none.
        """
        self.patch(sys, "platform", "elsewhere")
        for grace in (LOOK, 0.0):
            limits = Limits(halfCloseGrace=grace, flushTimeout=LONG)
            async for _, client, side, daemon in self.streams(limits):
                client.transport.loseWriteConnection()
                await self.until(lambda side=side: side.disconnecting)
                await client.lost
                await self.until(lambda daemon=daemon: not daemon._factory.clients)
