# -*- test-case-name: tests.net.test_socketreader -*-
"""
Tests for L{muxd.net.sockets}.
"""

from __future__ import annotations

import array
import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.sockets import readAtOnce, readPlainly


class Recorder(Protocol):
    """
    Keeps what comes.
    """

    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data


class ReadPlainlyTests(SynchronousTestCase):
    """
    L{readPlainly}, with a real UNIX socket that the test itself lets be read.
    """

    if not hasattr(socket, "AF_UNIX"):
        skip = "needs UNIX sockets"

    def connection(self) -> tuple[socket.socket, Any, Recorder]:
        """
        A socket, and Twisted's transport at its other end.
        """
        from twisted.internet.unix import Server

        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        protocol = Recorder()
        transport = Server(theirs, protocol, None, None, 0, IReactorFDSet(reactor))
        self.addCleanup(transport.stopReading)
        protocol.makeConnection(transport)
        return ours, transport, protocol

    def test_reads(self) -> None:
        """
        Bytes arrive as ever.
        """
        ours, transport, protocol = self.connection()
        readPlainly(transport)
        ours.send(b"hello")
        self.assertIsNone(transport.doRead())
        self.assertIsNone(transport.doRead())
        self.assertEqual(protocol.data, b"hello")

    def test_end(self) -> None:
        """
        So does the end.
        """
        ours, transport, _ = self.connection()
        readPlainly(transport)
        ours.shutdown(socket.SHUT_WR)
        self.assertIsNotNone(transport.doRead())

    def test_descriptors(self) -> None:
        """
        A file descriptor that comes along is nobody's, and is not left open.
        """
        ours, transport, protocol = self.connection()
        readPlainly(transport)
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writing]))]
        ours.sendmsg([b"x"], rights)
        os.close(writing)
        transport.doRead()
        self.assertEqual(protocol.data, b"x")
        # The pipe has an end only when nobody has its writing side any more.
        self.assertEqual(os.read(reading, 1), b"")

    def test_others(self) -> None:
        """
        Any other transport is left alone.
        """
        transport = StringTransport()
        readPlainly(transport)
        self.assertNotIn("doRead", vars(transport))
        plain = Connection.__new__(Connection)
        readPlainly(plain)
        self.assertNotIn("doRead", vars(plain))

    def test_atOnce(self) -> None:
        """
        What has come already is read without the reactor; nothing is no harm, and
        an end is left for the reactor to find.
        """
        ours, transport, protocol = self.connection()
        readAtOnce(transport)
        self.assertEqual(protocol.data, b"")
        ours.send(b"hello")
        readAtOnce(transport)
        self.assertEqual(protocol.data, b"hello")
        ours.shutdown(socket.SHUT_WR)
        readAtOnce(transport)
        self.assertIsNotNone(transport.doRead())

    def test_notAtOnce(self) -> None:
        """
        TLS reads in its own way, and other transports have none.
        """
        ours, transport, protocol = self.connection()
        ours.send(b"hello")
        transport.TLS = True
        readAtOnce(transport)
        readAtOnce(StringTransport())
        self.assertEqual(protocol.data, b"")
