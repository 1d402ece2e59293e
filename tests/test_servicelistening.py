# -*- test-case-name: tests.test_servicelistening -*-
"""
Tests of L{muxd.service} with a real UNIX socket.
"""

from __future__ import annotations

import os
import plistlib
import socket
import struct
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.python.runtime import platform
from twisted.trial.unittest import TestCase

from muxd.net.socketfile import CannotListen
from muxd.service import MuxService
from tests.shelf import Source


class _Feed(Protocol):
    """
    A client that wants to hear of devices.
    """

    def __init__(self) -> None:
        self.received = b""
        self.attached: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Say so.
        """
        body = plistlib.dumps({"MessageType": "Listen"})
        assert self.transport is not None
        self.transport.write(struct.pack("<4I", 16 + len(body), 1, 8, 1) + body)

    def dataReceived(self, data: bytes) -> None:
        """
        Wait for the first event.
        """
        self.received += data
        if b"Attached" in self.received and not self.attached.called:
            self.attached.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The daemon is gone.
        """
        self.lost.callback(None)


class _Quick(Source):
    """
    A source that ends at once.
    """

    def stopService(self) -> Deferred[None]:
        """
        End.
        """
        super().stopService()
        return succeed(None)


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class ListeningTests(TestCase):
    """
    Tests of a L{MuxService} with a real UNIX socket.
    """

    timeout = 20

    def setUp(self) -> None:
        """
        Have a directory whose name is short.
        """
        os.makedirs(directory := self.mktemp())
        self.path = os.path.relpath(os.path.join(directory, "s"))

    def service(self) -> MuxService:
        """
        A service on our socket.
        """
        return MuxService(
            reactor, listen=[f"unix:{self.path}:mode=600"], sources=[_Quick], configDir="lockdown"
        )

    async def test_life(self) -> None:
        """
        A client connects to a service that was only ever C{startService}d, as
        C{twist} does it, hears of the device, of its end when the service stops,
        and is disconnected; no file is left.
        """
        service = self.service()
        service.startService()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        feed = _Feed()
        await connectProtocol(UNIXClientEndpoint(reactor, self.path), feed)
        await feed.attached
        await service.stopService()
        await feed.lost
        self.assertIn(b"Detached", feed.received)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), [])

    async def test_staleAndAgain(self) -> None:
        """
        What a killed daemon left is replaced; and a stopped service opens its
        socket again.
        """
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.path)
        service = self.service()
        for _ in range(2):
            service.privilegedStartService()
            service.startService()
            feed = _Feed()
            await connectProtocol(UNIXClientEndpoint(reactor, self.path), feed)
            await feed.attached
            await service.stopService()
            await feed.lost

    async def test_second(self) -> None:
        """
        A second service on the same socket is refused, and the first one goes
        on.
        """
        first = self.service()
        first.startService()
        second = self.service()
        error = self.assertRaises(CannotListen, second.startService)
        self.assertIn("is listening there already", str(error))
        self.assertFalse(second.running)
        feed = _Feed()
        await connectProtocol(UNIXClientEndpoint(reactor, self.path), feed)
        await feed.attached
        await first.stopService()
        await feed.lost

    async def test_nothingLeft(self) -> None:
        """
        When one of two places is taken, the other is not opened.
        """
        free = f"{self.path}2"
        first = self.service()
        first.startService()
        second = MuxService(reactor, listen=[f"unix:{free}", f"unix:{self.path}"])
        self.assertRaises(CannotListen, second.privilegedStartService)
        self.assertFalse(os.path.exists(free))
        await first.stopService()

    async def test_portInUse(self) -> None:
        """
        Nor is it when that is found out only by opening it; the service can be started
        when the place is free.
        """
        with socket.create_server(("127.0.0.1", 0)) as busy:
            tcp = f"tcp:{busy.getsockname()[1]}:interface=127.0.0.1"
            service = MuxService(reactor, listen=[f"unix:{self.path}", tcp], configDir="lockdown")
            error = self.assertRaises(CannotListen, service.startService)
            self.assertIn("in use", str(error))
            self.assertFalse(os.path.exists(self.path))
        service.startService()
        self.assertTrue(os.path.exists(self.path))
        await service.stopService()

    async def test_failsLast(self) -> None:
        """
        What had been opened before the place that cannot be is closed.
        """
        bad = UNIXServerEndpoint(reactor, os.path.join(self.path, "not a directory"))
        service = MuxService(reactor, listen=[f"unix:{self.path}", bad], configDir="lockdown")
        self.assertRaises(CannotListen, service.startService)
        await deferLater(reactor, 0)
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(service._factory.throttle.isClosed)

    async def test_endpointObject(self) -> None:
        """
        An endpoint may be given instead of its description.
        """
        service = MuxService(reactor, listen=[UNIXServerEndpoint(reactor, self.path)])
        service.startService()
        feed = _Feed()
        await connectProtocol(UNIXClientEndpoint(reactor, self.path), feed)
        await service.stopService()
        await feed.lost
        self.assertFalse(os.path.exists(self.path))
