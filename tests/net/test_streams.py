"""
Tests for L{muxd.net.streams}, both builds of it.
"""

from __future__ import annotations

import errno
import os
import socket
from struct import pack
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests import twins


class StreamSocketTests:
    """
    What holds for both.
    """

    streams: Any

    def pair(self: Any) -> tuple[Any, socket.socket]:
        """
        A socket to be tested, and its peer.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        tested = self.streams.StreamSocket(ours.detach())
        self.addCleanup(tested.close)
        return tested, theirs

    def test_send(self: Any) -> None:
        """
        What is sent arrives, from where it is to begin.
        """
        tested, theirs = self.pair()
        self.assertEqual(tested.send(b"hello"), 5)
        self.assertEqual(tested.send(bytearray(b"hello"), 3), 2)
        self.assertEqual(tested.send(memoryview(b"hello"), 5), 0)
        self.assertEqual(theirs.recv(100), b"hellolo")

    def test_sendBounds(self: Any) -> None:
        """
        There is no beginning outside of what is sent.
        """
        tested, _ = self.pair()
        self.assertRaises(ValueError, tested.send, b"hello", -1)
        self.assertRaises(ValueError, tested.send, b"hello", 6)
        self.assertRaises(OverflowError, tested.send, b"hello", 1 << 64)
        self.assertRaises(TypeError, tested.send, b"hello", 1.0)
        self.assertRaises(TypeError, tested.send, "hello")
        self.assertRaises(TypeError, tested.send, memoryview(b"hello")[::2])

    def test_full(self: Any) -> None:
        """
        A socket that takes nothing does not block.
        """
        tested, _ = self.pair()
        while tested.send(bytes(65536)) > 0:
            pass
        self.assertEqual(tested.send(b"x"), self.streams.BLOCKED)

    def test_sendToNobody(self: Any) -> None:
        """
        A peer that is gone is an error, and no signal.
        """
        tested, theirs = self.pair()
        theirs.close()
        self.assertEqual(tested.send(b"x"), -errno.EPIPE)

    def test_peerUser(self: Any) -> None:
        """
        The user at the other end of a UNIX socket is known; of a TCP socket, or a closed
        one, it is not.
        """
        tested, _ = self.pair()
        self.assertEqual(tested.peerUser(), os.geteuid())
        tested.close()
        self.assertEqual(tested.peerUser(), -1)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
        other = self.streams.StreamSocket(ours.detach())
        self.addCleanup(other.close)
        self.assertEqual(other.peerUser(), -1)

    def test_names(self: Any) -> None:
        """
        The addresses of both ends of a TCP socket are as the kernel writes them; others have
        none, and neither has one that is closed.
        """
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.create_server((host, 0), family=family) as listening:
                ours = socket.create_connection(listening.getsockname()[:2])
                self.addCleanup(listening.accept()[0].close)
                theirPort, ourPort = listening.getsockname()[1], ours.getsockname()[1]
            tested = self.streams.StreamSocket(ours.detach())
            packed = socket.inet_pton(family, host)
            expected = tuple(
                pack("=H", family)
                + port.to_bytes(2, "big")
                + (packed + bytes(8) if family == socket.AF_INET else bytes(4) + packed + bytes(4))
                for port in (theirPort, ourPort)
            )
            self.assertEqual(tested.names(), expected)
            tested.close()
            self.assertIsNone(tested.names())
        self.assertIsNone(self.pair()[0].names())

    def test_waiting(self: Any) -> None:
        """
        What has come and is not read can be counted.
        """
        tested, theirs = self.pair()
        self.assertEqual(tested.waiting(), 0)
        theirs.send(b"hello")
        theirs.send(bytes(1000))
        self.assertEqual(tested.waiting(), 1005)

    def test_shutdown(self: Any) -> None:
        """
        The peer reads to the end, and can still write.
        """
        tested, theirs = self.pair()
        self.assertEqual(tested.shutdown(), 0)
        self.assertEqual(theirs.recv(1), b"")
        theirs.send(b"x")
        self.assertEqual(tested.waiting(), 1)

    def test_closed(self: Any) -> None:
        """
        A closed socket has no descriptor, and does not use the file that gets its
        number.
        """
        tested, _ = self.pair()
        number = tested.fileno()
        tested.close()
        tested.close()
        ours, other = self.pair()
        self.assertEqual(ours.fileno(), number)
        self.assertEqual(tested.fileno(), -1)
        self.assertEqual(tested.send(b"x"), self.streams.CLOSED)
        self.assertEqual(tested.waiting(), self.streams.CLOSED)
        self.assertEqual(tested.shutdown(), self.streams.CLOSED)
        self.assertEqual(tested.detach(), -1)
        other.setblocking(False)
        self.assertRaises(BlockingIOError, other.recv, 1)

    def test_detach(self: Any) -> None:
        """
        What was given away is somebody else's to close.
        """
        tested, theirs = self.pair()
        descriptor = tested.detach()
        self.assertEqual(tested.fileno(), -1)
        tested.close()
        os.write(descriptor, b"x")
        os.close(descriptor)
        self.assertEqual(theirs.recv(2), b"x")

    def test_noSocket(self: Any) -> None:
        """
        What is no socket is refused, and stays open.
        """
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        error = self.assertRaises(OSError, self.streams.StreamSocket, ours)
        self.assertEqual(error.errno, errno.ENOTSOCK)
        os.fstat(ours)
        error = self.assertRaises(OSError, self.streams.StreamSocket, -1)
        self.assertEqual(error.errno, errno.EBADF)
        self.assertRaises(TypeError, self.streams.StreamSocket, "3")
        self.assertRaises(OverflowError, self.streams.StreamSocket, 1 << 70)

    def test_forgotten(self: Any) -> None:
        """
        A socket that nobody has any more is closed.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        tested = self.streams.StreamSocket(ours.detach())
        del tested
        self.assertEqual(theirs.recv(1), b"")


class OpenTests:
    """
    What holds for both.
    """

    streams: Any

    def listen(self: Any) -> tuple[socket.socket, bytes]:
        """
        A listening socket, and its path.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        path = self.mktemp().encode()
        listening.bind(path)
        listening.listen(0)
        return listening, path

    def test_open(self: Any) -> None:
        """
        A socket is connected, does not block, and is no program's that is started.
        """
        listening, path = self.listen()
        opened = self.streams.openUNIX(path)
        self.addCleanup(opened.close)
        self.assertFalse(os.get_inheritable(opened.fileno()))
        self.assertFalse(os.get_blocking(opened.fileno()))
        self.assertEqual(opened.send(b"hello"), 5)
        theirs, _ = listening.accept()
        self.addCleanup(theirs.close)
        self.assertEqual(theirs.recv(10), b"hello")

    def test_cannot(self: Any) -> None:
        """
        Where nothing listens, or too many wait, there is none, and no descriptor is left.
        """
        listening, path = self.listen()
        waiting = [self.streams.openUNIX(path) for _ in range(4)]
        self.addCleanup(lambda: [each.close() for each in waiting if each is not None])
        self.assertIs(waiting[-1], None)
        listening.close()
        before = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
        self.assertIs(self.streams.openUNIX(path), None)
        self.assertIs(self.streams.openUNIX(b"/nonexistent/x"), None)
        after = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []
        self.assertEqual(len(before), len(after))

    def test_paths(self: Any) -> None:
        """
        What can be no path is a mistake; the longest one is not.
        """
        for path in (b"", bytes(3), b"x" * self.streams.LONGEST_PATH):
            self.assertRaises(ValueError, self.streams.openUNIX, path)
        self.assertIs(self.streams.openUNIX(b"x" * (self.streams.LONGEST_PATH - 1)), None)
        self.assertRaises(TypeError, self.streams.openUNIX, "x")
        self.assertRaises(TypeError, self.streams.openUNIX, None)


class AcceptorTests:
    """
    What holds for both.
    """

    streams: Any

    def listen(self: Any) -> tuple[socket.socket, Any]:
        """
        A listening socket, and its acceptor.
        """
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        return listening, self.streams.Acceptor(listening)

    def test_accept(self: Any) -> None:
        """
        A client that waits is let in, and neither blocks nor is inherited.
        """
        listening, acceptor = self.listen()
        self.assertIsNone(acceptor.accept())
        self.assertEqual(acceptor.error, errno.EAGAIN)
        with socket.create_connection(listening.getsockname()) as client:
            accepted = acceptor.accept()
            self.assertEqual(acceptor.error, 0)
            self.assertFalse(os.get_blocking(accepted.fileno()))
            self.assertFalse(os.get_inheritable(accepted.fileno()))
            accepted.send(b"hello")
            self.assertEqual(client.recv(10), b"hello")
            accepted.close()

    def test_closed(self: Any) -> None:
        """
        No client is let in by a socket that was closed, whatever has its number.
        """
        listening, acceptor = self.listen()
        number = listening.fileno()
        listening.close()
        other, _ = self.listen()
        self.assertEqual(other.fileno(), number)
        with socket.create_connection(other.getsockname()):
            self.assertIsNone(acceptor.accept())
            self.assertEqual(acceptor.error, errno.EBADF)


class PureStreamSocketTests(StreamSocketTests, SynchronousTestCase):
    """
    The build in Python.
    """

    streams = twins.pure()["muxd.net.streams"]

    def test_otherUser(self) -> None:
        """
        The user of a process is the second of what the kernel says of it.
        """

        class Told:
            def fileno(self) -> int:
                return -1

            def setblocking(self, isBlocking: bool) -> None:
                pass

            def getsockopt(self, level: int, option: int, size: int) -> bytes:
                return pack("3i", 7, 8, 9)[:size]

        self.assertEqual(self.streams.StreamSocket._of(Told()).peerUser(), 8)

    def test_numbers(self) -> None:
        """
        A number is a whole one, of 64 bits.
        """
        check = self.streams.checkNumbers
        check(-(1 << 63), 0, (1 << 63) - 1, True)
        for bad in (-(1 << 63) - 1, 1 << 63):
            self.assertRaises(OverflowError, check, 0, bad)
        for odd in (1.0, "1", None):
            self.assertRaises(TypeError, check, 0, odd)
        # The end of the data is looked at no less.
        self.assertRaises(TypeError, self.pair()[0].send, b"abc", 3.0)


class CompiledStreamSocketTests(StreamSocketTests, SynchronousTestCase):
    """
    The compiled build.
    """

    def setUp(self) -> None:
        """
        There may be none.
        """
        self.streams = twins.compiled()["muxd.net.streams"]


class PureAcceptorTests(AcceptorTests, SynchronousTestCase):
    """
    The build in Python.
    """

    streams = twins.pure()["muxd.net.streams"]


class CompiledAcceptorTests(AcceptorTests, SynchronousTestCase):
    """
    The compiled build.
    """

    def setUp(self) -> None:
        """
        There may be none.
        """
        self.streams = twins.compiled()["muxd.net.streams"]


class PureOpenTests(OpenTests, SynchronousTestCase):
    """
    The build in Python.
    """

    streams = twins.pure()["muxd.net.streams"]


class CompiledOpenTests(OpenTests, SynchronousTestCase):
    """
    The compiled build.
    """

    def setUp(self) -> None:
        """
        There may be none.
        """
        self.streams = twins.compiled()["muxd.net.streams"]
