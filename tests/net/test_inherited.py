"""
Tests of L{muxd.net.inherited}.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.runtime import platform
from twisted.trial.unittest import TestCase

from muxd.net.inherited import leavingFile


class InheritedTests(TestCase):
    """
    A UNIX socket of another's.
    """

    if platform.isWindows():
        skip = "Windows has no UNIX sockets here"

    def setUp(self) -> None:
        """
        Make it, for its owner alone.
        """
        directory = tempfile.mkdtemp(prefix="muxd-")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "s")
        self.socket = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o600)
        self.socket.listen()
        self.endpoint = leavingFile(
            reactor,
            AdoptedStreamServerEndpoint(reactor, os.dup(self.socket.fileno()), socket.AF_UNIX),
        )

    async def test_mode(self) -> None:
        """
        Its file keeps its mode, and is connected to.
        """
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        port = await self.endpoint.listen(factory)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        client = await connectProtocol(UNIXClientEndpoint(reactor, self.path), Protocol())
        assert client.transport is not None
        client.transport.loseConnection()
        self.assertEqual(port.getHost(), UNIXAddress(self.path))
        await maybeDeferred(port.stopListening)

    async def test_goesOn(self) -> None:
        """
        It is still one that clients can connect to when it is not listened on here any more.
        """
        port = await self.endpoint.listen(Factory.forProtocol(Protocol))
        await maybeDeferred(port.stopListening)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            accepted, _ = self.socket.accept()
            accepted.close()

    async def test_othersFile(self) -> None:
        """
        A file that belongs to another user is no obstacle.
        """

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(os, "chmod", refuse)
        port = await self.endpoint.listen(Factory.forProtocol(Protocol))
        await maybeDeferred(port.stopListening)

    def test_others(self) -> None:
        """
        Endpoints of all other kinds stay what they are.
        """
        tcp = TCP4ServerEndpoint(reactor, 0)
        self.assertIs(leavingFile(reactor, tcp), tcp)
        adopted = AdoptedStreamServerEndpoint(reactor, -1, socket.AF_INET)
        self.assertIs(leavingFile(reactor, adopted), adopted)
