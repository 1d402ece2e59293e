# -*- test-case-name: tests.net.test_socketwriter -*-
"""
Tests for L{muxd.net.sockets}.
"""

from __future__ import annotations

import select
import sys
from socket import socketpair
from typing import Any, cast
from unittest import skipUnless

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer, IPullProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.sockets import SocketWriter, consumerOf, heldByKernel
from muxd.wire.mux import BULK_PAYLOAD
from tests.running.properties import examples


class WriterReactor:
    """
    Knows whether the descriptor wants to write.
    """

    def __init__(self) -> None:
        self.isWriting = False

    def addWriter(self, writer: object) -> None:
        """
        It does.
        """
        self.isWriting = True

    def removeWriter(self, writer: object) -> None:
        """
        It does not.
        """
        self.isWriting = False

    def removeReader(self, reader: object) -> None:
        """
        Part of the interface.
        """


class Socket(FileDescriptor):
    """
    Twisted's own buffering, over a socket that takes what the test allows.
    """

    connected = 1

    def __init__(self, budget: int = 0) -> None:
        self.fakeReactor = WriterReactor()
        super().__init__(cast("Any", self.fakeReactor))
        self.budget = budget
        self.sent = b""
        self.calls = 0
        self.isBroken = False

    def writeSomeData(self, data: bytes) -> Any:
        """
        Take as much as the budget allows.
        """
        self.calls += 1
        if self.isBroken:
            return ConnectionLost()
        taken = bytes(data[: self.budget])
        self.budget -= len(taken)
        self.sent += taken
        return len(taken)

    def turn(self, budget: int) -> None:
        """
        The peer has read, and the reactor turns.
        """
        self.budget += budget
        if self.fakeReactor.isWriting:
            self.doWrite()


class Source:
    """
    A push producer that remembers what it was told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Remember.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Remember.
        """
        self.told.append("resume")

    def stopProducing(self) -> None:
        """
        Remember.
        """
        self.told.append("stop")


class SocketWriterTests(SynchronousTestCase):
    """
    L{SocketWriter}.
    """

    def make(self, budget: int, isEmpty: bool = True) -> tuple[Socket, SocketWriter, Source]:
        """
        A writer between a source and a socket.
        """
        socket = Socket(budget)
        writer = SocketWriter(socket, isEmpty)
        source = Source()
        writer.registerProducer(source, True)
        return socket, writer, source

    def test_interfaces(self) -> None:
        """
        It is a consumer for a pipe and a pull producer for a transport.
        """
        _, writer, _ = self.make(0)
        verifyObject(IConsumer, writer)
        verifyObject(IPullProducer, writer)

    def test_atOnce(self) -> None:
        """
        What the socket takes is sent within the call, and the reactor has
        nothing to do.
        """
        socket, writer, _ = self.make(100)
        writer.write(b"hello")
        self.assertEqual(socket.sent, b"hello")
        self.assertFalse(socket.fakeReactor.isWriting)

    def test_rest(self) -> None:
        """
        What the socket does not take follows when it can, before what is
        written later.
        """
        socket, writer, _ = self.make(3)
        writer.write(b"hello ")
        writer.write(b"world")
        self.assertEqual(socket.sent, b"hel")
        socket.turn(100)
        self.assertEqual(socket.sent, b"hello world")

    def test_backToAtOnce(self) -> None:
        """
        When the transport has sent what it had, the socket is asked first
        again.
        """
        socket, writer, _ = self.make(1)
        writer.write(b"ab")
        socket.turn(100)
        writer.write(b"cd")
        self.assertEqual(socket.sent, b"abcd")
        self.assertFalse(socket.fakeReactor.isWriting)

    def test_notEmpty(self) -> None:
        """
        What the transport may still have goes first.
        """
        socket = Socket(100)
        socket.write(b"Result")
        writer = SocketWriter(socket, False)
        writer.write(b"stream")
        self.assertEqual(socket.sent, b"")
        socket.turn(0)
        self.assertEqual(socket.sent, b"Resultstream")
        writer.write(b"!")
        self.assertEqual(socket.sent, b"Resultstream!")

    def test_backPressure(self) -> None:
        """
        The source is paused once when more waits than the transport's buffer
        size, and resumed once when nothing does.
        """
        limit = FileDescriptor.bufferSize
        socket, writer, source = self.make(0)
        writer.write(b"x" * limit)
        self.assertEqual(source.told, [])
        writer.write(b"x")
        writer.write(b"x")
        self.assertEqual(source.told, ["pause"])
        socket.turn(limit)
        self.assertEqual(source.told, ["pause"])
        socket.turn(100)
        self.assertEqual(source.told, ["pause", "resume"])
        writer.write(b"y")
        self.assertEqual(source.told, ["pause", "resume"])

    def test_limit(self) -> None:
        """
        How much may wait can be told.
        """
        socket, source = Socket(0), Source()
        writer = consumerOf(socket, limit=10)
        writer.registerProducer(source, True)
        writer.write(b"x" * 10)
        self.assertEqual(source.told, [])
        writer.write(b"x")
        self.assertEqual(source.told, ["pause"])

    def test_readSize(self) -> None:
        """
        The socket is read by whole segments.
        """
        socket, _, _ = self.make(0)
        self.assertEqual(socket.bufferSize % BULK_PAYLOAD, 0)

    def test_withoutSource(self) -> None:
        """
        With nobody to pause it takes all the same.
        """
        socket = Socket(0)
        writer = SocketWriter(socket, True)
        writer.write(b"x" * 100000)
        socket.turn(200000)
        self.assertEqual(len(socket.sent), 100000)
        writer.stopProducing()

    def test_broken(self) -> None:
        """
        An error is left to the transport, which meets it again and ends.
        """
        socket, writer, _ = self.make(0)
        socket.isBroken = True
        writer.write(b"x")
        self.assertTrue(socket.fakeReactor.isWriting)
        self.assertIsInstance(socket.doWrite(), ConnectionLost)

    def test_unregister(self) -> None:
        """
        After that the transport works alone, so that it can finish closing.
        """
        socket, writer, source = self.make(0)
        writer.write(b"last words")
        writer.unregisterProducer()
        self.assertIsNone(socket.producer)
        socket.loseConnection()
        socket.budget = 100
        self.assertIsNotNone(socket.doWrite())
        self.assertEqual(socket.sent, b"last words")
        self.assertEqual(source.told, [])

    def test_progress(self) -> None:
        """
        When the socket is left to the transport, it is known what it takes.
        """
        socket, writer, _ = self.make(3)
        writer.write(b"last words")
        writer.unregisterProducer()
        self.assertEqual(writer.progress, (0, 0))
        socket.turn(5)
        self.assertEqual(writer.progress, (5, 0))
        writer.unregisterProducer()
        socket.turn(1)
        self.assertEqual(writer.progress, (6, 0))
        self.assertEqual(socket.sent, b"last word")
        socket.isBroken = True
        socket.turn(1)
        self.assertEqual(writer.progress, (6, 0))

    def test_transportGone(self) -> None:
        """
        The source is told to stop when the transport is gone.
        """
        _, writer, source = self.make(0)
        writer.stopProducing()
        self.assertEqual(source.told, ["stop"])

    @settings(deadline=None, max_examples=examples(200))
    @given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(0, 30)), max_size=40))
    def test_order(self, script: list[bytes | int]) -> None:
        """
        However writes and the peer's reading alternate, every byte arrives once
        and in order.
        """
        socket, writer, _ = self.make(5)
        for step in script:
            if isinstance(step, bytes):
                writer.write(step)
            else:
                socket.turn(step)
        for _ in range(3):
            socket.turn(10000)
        self.assertEqual(socket.sent, b"".join(step for step in script if isinstance(step, bytes)))


class HeldByKernelTests(SynchronousTestCase):
    """
    L{heldByKernel}.
    """

    @skipUnless(sys.platform.startswith("linux"), "only Linux tells")
    def test_unix(self) -> None:
        """
        It is less when the peer has read something, long before there is room again.
        """
        ours, theirs = socketpair()
        self.addCleanup(theirs.close)
        with ours:
            self.assertEqual(heldByKernel(ours.fileno()), 0)
            ours.setblocking(False)
            with self.assertRaises(BlockingIOError):
                while True:
                    ours.send(bytes(4096))
            full = heldByKernel(ours.fileno())
            self.assertGreater(full, 4096)
            theirs.recv(4096)
            self.assertLess(heldByKernel(ours.fileno()), full)
            self.assertEqual(select.select((), (ours,), (), 0)[1], [])

    def test_unknown(self) -> None:
        """
        Of what is no socket it is not known.
        """
        self.assertEqual(heldByKernel(-1), 0)


class ConsumerOfTests(SynchronousTestCase):
    """
    L{consumerOf}.
    """

    def test_socket(self) -> None:
        """
        A plain socket gets a writer.
        """
        self.assertIsInstance(consumerOf(Socket()), SocketWriter)

    def test_tls(self) -> None:
        """
        A socket that has become TLS is written to through its transport.
        """
        socket = Socket()
        cast("Any", socket).TLS = True
        self.assertIs(consumerOf(socket), socket)

    def test_others(self) -> None:
        """
        Another transport is used as it is.
        """
        transport = object()
        self.assertIs(consumerOf(transport), transport)
