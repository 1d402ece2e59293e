"""
Tests of L{muxd.net.hangup}: whether the peer of a socket has gone altogether.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, cast
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorSocket, IReactorTime
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.net.hangup import hasHungUp
from muxd.net.peers import Presence
from muxd.net.pipe import Pipe, PipeEnd
from tests.net.test_pipe import FLUSH, PipeCase
from tests.net.test_socketwriter import Socket


class Waiting(ServerFactory):
    """
    Makes one end of a pipe from a socket, and waits for its end of file.
    """

    noisy = False

    def __init__(self, end: PipeEnd) -> None:
        self.end = end

    def buildProtocol(self, addr: object) -> PipeEnd:
        """
        The end.
        """
        return self.end


class Asking(PipeEnd):
    """
    An end that asks whether its peer has hung up when it reads an end of file.
    """

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(pipe)
        self.answer: Deferred[bool] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """
        Do not wait for the other end.
        """

    def readConnectionLost(self) -> None:
        """
        Ask.
        """
        self.answer.callback(hasHungUp(self.transport))
        self.joinable.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.gone.callback(None)


class Joined(PipeEnd):
    """
    An end that tells of its loss.
    """

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(pipe)
        self.gone: Deferred[object] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        super().connectionLost(reason)
        self.gone.callback(type(reason.value))


@skipUnless(sys.platform.startswith("linux"), "only Linux tells")
class HangUpTests(TestCase):
    """
    Whether a UNIX socket's peer has gone or only finished sending: with real
    sockets, as it is the kernel that knows.
    """

    async def ask(self, half: bool) -> bool:
        """
        Close a socket, in whole or in half, and see what its peer makes of it.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        end = Asking(Pipe(IReactorTime(reactor), FLUSH))
        with ours:
            ours.setblocking(False)
            IReactorSocket(reactor).adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, Waiting(end)
            )
        if half:
            theirs.shutdown(socket.SHUT_WR)
        else:
            theirs.close()
        answer = await end.answer.addTimeout(10, IReactorTime(reactor))
        await end.gone.addTimeout(10, IReactorTime(reactor))
        return answer

    async def test_closed(self) -> None:
        """
        A socket that was closed altogether has hung up.
        """
        self.assertTrue(await self.ask(half=False))

    async def test_finished(self) -> None:
        """
        One that was only shut down for writing has not.
        """
        self.assertFalse(await self.ask(half=True))

    async def test_ends(self) -> None:
        """
        An end whose peer is gone is closed at once, with the pipe's other end.
        """
        pipe = Pipe(Clock(), FLUSH)
        end = pipe.first = Joined(pipe)
        end.peer = pipe.second
        pipe.second.peer = end
        other = StringTransport()
        pipe.second.makeConnection(other)
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            IReactorSocket(reactor).adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, Waiting(end)
            )
        theirs.close()
        reason = await end.gone.addTimeout(10, IReactorTime(reactor))
        self.assertIs(reason, ConnectionDone)
        self.assertTrue(other.disconnecting)


class UnknownHangUpTests(PipeCase):
    """
    Where nobody knows.
    """

    def test_noDescriptor(self) -> None:
        """
        A transport without a file descriptor is not known to have hung up.
        """
        self.assertFalse(hasHungUp(StringTransport()))

    def test_elsewhere(self) -> None:
        """
        Nor is any on a system that does not tell.
        """
        self.patch(sys, "platform", "darwin")
        self.assertFalse(hasHungUp(None))

    def test_hungUp(self) -> None:
        """
        An end whose peer has hung up is closed, rather than half-closed.
        """
        one, two = self.join()
        self.patch(sys.modules["muxd.net.pipe"], "peerOf", lambda transport: Presence.GONE)
        one.finish()
        self.clock.advance(0)
        self.assertTrue(one.disconnected)
        self.assertTrue(two.disconnected)
        self.assertClosed(ConnectionDone)


class WaitingSocketTests(SynchronousTestCase):
    """
    A socket whose other end is not there yet.
    """

    def test_endOfFile(self) -> None:
        """
        When it has finished sending, it is closed for good: what writes to it
        is registered as its producer, and must not keep it open.
        """
        self.patch(sys.modules["muxd.net.pipe"], "hasHungUp", lambda transport: False)
        socket = Socket(100)
        pipe = Pipe(Clock(), 5)
        pipe.first.makeConnection(cast("Any", socket))
        pipe.first.readConnectionLost()
        self.assertTrue(socket.fakeReactor.isWriting)
        self.assertIs(socket.doWrite(), CONNECTION_DONE)
