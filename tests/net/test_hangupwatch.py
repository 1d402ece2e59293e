# -*- test-case-name: tests.net.test_hangupwatch -*-
"""
Tests of L{muxd.net.hangup}: peers that go while nobody reads from them.
"""

from __future__ import annotations

import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.interfaces import IFileDescriptor, IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from muxd.net.hangup import HangUpWatch, WatchedProducer
from muxd.net.pipe import Pipe, PipeEnd
from muxd.testing import BudgetTransport
from tests.net.test_peers import connect
from tests.net.test_pipe import FLUSH

LOOK = FLUSH / 3


class SocketTransport(BudgetTransport):
    """
    A transport of a real socket, which knows what has become of its peer.

    @ivar peer: The other end.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        clock: Clock,
        end: PipeEnd,
        pair: tuple[socket.socket, socket.socket] | None = None,
    ) -> None:
        super().__init__(clock, protocol=end)
        alsoProvides(self, IFileDescriptor)
        self._socket, self.peer = pair or socket.socketpair()
        for each in (self._socket, self.peer):
            case.addCleanup(each.close)

    def fileno(self) -> int:
        """
        The socket's.
        """
        return self._socket.fileno()


@skipUnless(sys.platform.startswith("linux"), "only Linux tells")
class HangUpWatchTests(SynchronousTestCase):
    """
    A pipe whose second end takes nothing.
    """

    def setUp(self) -> None:
        """
        Join a client to a phone.
        """
        self.clock = Clock()
        self.watch = HangUpWatch(self.clock, FLUSH)
        self.client, self.phone = self.join()

    def join(self) -> tuple[SocketTransport, BudgetTransport]:
        """
        Another pipe.
        """
        pipe = Pipe(self.clock, FLUSH, watch=self.watch)
        phone = BudgetTransport(self.clock, 0, pipe.second)
        pipe.second.makeConnection(phone)
        client = SocketTransport(self, self.clock, pipe.first)
        pipe.first.makeConnection(client)
        self.clock.advance(0)
        return client, phone

    def fill(self, client: SocketTransport) -> None:
        """
        Send until nothing more is read.
        """
        while not client.paused:
            client.deliver(bytes(65536))

    def looks(self, count: int) -> None:
        """
        So many looks.
        """
        self.clock.pump([LOOK] * count)

    def test_interface(self) -> None:
        """
        What is watched is a producer.
        """
        reader: Any = self.client.protocol
        verifyObject(IPushProducer, WatchedProducer(reader, self.client, self.watch))

    def test_killed(self) -> None:
        """
        A client that is gone is noticed, though it is not read from, and its phone's
        end is closed.
        """
        self.fill(self.client)
        self.client.peer.close()
        self.looks(3)
        self.assertFalse(self.client.aborted)
        self.looks(1)
        self.assertTrue(self.client.aborted)
        self.clock.advance(0)
        self.assertTrue(self.phone.disconnecting)

    def test_killedOverTCP(self) -> None:
        """
        So is one that had come by TCP, and a TCP client that has only finished sending
        waits.
        """
        pipe = Pipe(self.clock, FLUSH, watch=self.watch)
        pipe.second.makeConnection(BudgetTransport(self.clock, 0, pipe.second))
        loopback = (socket.AF_INET, "127.0.0.1")
        client = SocketTransport(self, self.clock, pipe.first, connect(self, loopback, loopback))
        pipe.first.makeConnection(client)
        self.clock.advance(0)
        self.fill(client)
        client.peer.shutdown(socket.SHUT_WR)
        self.looks(10)
        self.assertFalse(client.aborted)
        client.peer.close()
        self.looks(4)
        self.assertTrue(client.aborted)

    def test_alive(self) -> None:
        """
        One that is there waits for as long as it likes, also if it has finished sending.
        """
        self.fill(self.client)
        self.looks(100)
        self.client.peer.shutdown(socket.SHUT_WR)
        self.looks(100)
        self.assertFalse(self.client.aborted)

    def test_progress(self) -> None:
        """
        As long as its phone takes something, what a client sent before it went is
        delivered.
        """
        self.fill(self.client)
        self.client.peer.close()
        for _ in range(20):
            self.looks(2)
            self.phone.allow(200000)
            self.clock.advance(0)
            self.fill(self.client)
        self.assertFalse(self.client.aborted)
        self.looks(4)
        self.assertTrue(self.client.aborted)

    def test_slowPhone(self) -> None:
        """
        Nor is it given up while the phone takes what has been read already, though
        nothing more is read.
        """
        self.fill(self.client)
        self.client.peer.close()
        for taken in range(50):
            vars(self.phone)["progress"] = taken
            self.looks(1)
        self.assertFalse(self.client.aborted)
        self.looks(4)
        self.assertTrue(self.client.aborted)

    def test_onlyThatOne(self) -> None:
        """
        Others that are not read from are left alone.
        """
        other, _ = self.join()
        for each in (self.client, other):
            self.fill(each)
        self.client.peer.close()
        self.looks(10)
        self.assertEqual((self.client.aborted, other.aborted), (True, False))

    def test_readAgain(self) -> None:
        """
        Who is read from is not looked at; there is no timer when nobody is.
        """
        self.fill(self.client)
        self.phone.allow()
        self.clock.advance(0)
        self.assertFalse(self.client.paused)
        self.client.peer.close()
        self.looks(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.client.aborted)

    def test_lost(self) -> None:
        """
        A client that was lost meanwhile is forgotten, from whichever side.
        """
        self.fill(self.client)
        self.client.lose()
        other, phone = self.join()
        self.fill(other)
        phone.lose()
        self.clock.advance(0)
        self.assertEqual(self.watch._paused, {})

    def test_stop(self) -> None:
        """
        Stopping leaves no timer.
        """
        self.watch.stop()
        self.fill(self.client)
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
