"""
Tests for L{muxd.client.socketio.openSocket}.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import TCPAddress, UnixAddress
from muxd.client.problems import Stage
from muxd.client.socketerrors import NoDaemon, TimedOut
from muxd.client.socketio import Deadline, openSocket
from tests.client.fakedaemon import PATIENCE, FakeTime


class OpenTests(SynchronousTestCase):
    """
    L{openSocket}.
    """

    def setUp(self) -> None:
        """
        Make a place for sockets; trial's own are too long a name for one.
        """
        directory = tempfile.mkdtemp(prefix="muxd-")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "socket")

    def listen(self, family: int = socket.AF_UNIX, backlog: int = 5) -> socket.socket:
        """
        A daemon that never accepts.
        """
        listening = socket.socket(family)
        self.addCleanup(listening.close)
        listening.bind(self.path if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listening.listen(backlog)
        return listening

    def test_unix(self) -> None:
        """
        A UNIX socket is connected to.
        """
        listening = self.listen()
        with openSocket(UnixAddress(self.path), Deadline(PATIENCE)) as ours:
            theirs, _ = listening.accept()
            with theirs:
                ours.sendall(b"x")
                self.assertEqual(theirs.recv(1), b"x")

    def test_tcp(self) -> None:
        """
        A TCP address is connected to, for small messages.
        """
        listening = self.listen(socket.AF_INET)
        address = TCPAddress("127.0.0.1", listening.getsockname()[1])
        with openSocket(address, Deadline(PATIENCE)) as ours:
            self.assertTrue(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            self.assertEqual(ours.getpeername(), listening.getsockname())

    def test_everyAddressOfAName(self) -> None:
        """
        If the first address of a name refuses, the next one is tried.
        """
        refusing, listening = self.listen(socket.AF_INET), self.listen(socket.AF_INET)
        places = [refusing.getsockname(), listening.getsockname()]
        refusing.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in places]
        self.patch(socket, "getaddrinfo", lambda *_, **__: found)
        with openSocket(TCPAddress("phones.example", 27015), Deadline(PATIENCE)) as ours:
            self.assertEqual(ours.getpeername(), places[1])

    def test_nameWithoutAddress(self) -> None:
        """
        A name that stands for nothing is no daemon.
        """
        self.patch(socket, "getaddrinfo", lambda *_, **__: [])
        address = TCPAddress("phones.example", 27015)
        error = self.assertRaises(NoDaemon, openSocket, address, Deadline(PATIENCE))
        self.assertIn("the name has no address", str(error))

    def test_unknownName(self) -> None:
        """
        Nor is a name that nobody knows.
        """

        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        self.patch(socket, "getaddrinfo", fail)
        address = TCPAddress("phones.example", 27015)
        error = self.assertRaises(NoDaemon, openSocket, address, Deadline(PATIENCE))
        self.assertEqual(
            str(error),
            "no usbmuxd at phones.example:27015 (Name or service not known): start usbmuxd, "
            "or set USBMUXD_SOCKET_ADDRESS to where it listens",
        )

    def test_nobodyThere(self) -> None:
        """
        Where nothing listens the error says where we looked and what to do.
        """
        error = self.assertRaises(NoDaemon, openSocket, UnixAddress(self.path), Deadline(PATIENCE))
        self.assertEqual(
            str(error),
            f"no usbmuxd at {self.path} (No such file or directory): start usbmuxd, "
            "or set USBMUXD_SOCKET_ADDRESS to where it listens",
        )
        self.listen().close()
        error = self.assertRaises(NoDaemon, openSocket, UnixAddress(self.path), Deadline(PATIENCE))
        self.assertIn("(Connection refused): start usbmuxd", str(error))

    def test_forbidden(self) -> None:
        """
        A socket we may not use is explained as that.
        """

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(socket.socket, "connect", refuse)
        error = self.assertRaises(NoDaemon, openSocket, UnixAddress(self.path), Deadline(PATIENCE))
        self.assertIn("you need the right to read and write this socket", str(error))

    def test_impossiblePath(self) -> None:
        """
        A path too long for a socket is no daemon, rather than a crash.
        """
        address = UnixAddress("/" + "x" * 300)
        error = self.assertRaises(NoDaemon, openSocket, address, Deadline(PATIENCE))
        self.assertIn("too long", str(error))

    def test_withoutUnixSockets(self) -> None:
        """
        Where there are no UNIX sockets the error says what to use.
        """
        self.patch(socket, "AF_UNIX", None)
        del socket.AF_UNIX
        error = self.assertRaises(NoDaemon, openSocket, UnixAddress(self.path), Deadline(PATIENCE))
        self.assertIn("give a host:port", str(error))

    def test_busy(self) -> None:
        """
        A daemon whose backlog is full is tried again until the deadline.
        """
        time = FakeTime()
        self.listen(backlog=0)
        deadline = Deadline(0.1, time.clock)
        held = openSocket(UnixAddress(self.path), deadline)
        self.addCleanup(held.close)
        error = self.assertRaises(
            TimedOut, openSocket, UnixAddress(self.path), deadline, time.sleep
        )
        self.assertIs(Stage.REACH, error.stage)
        self.assertIn(self.path, str(error))
        self.assertGreater(len(time.sleeps), 5)

    def test_systemGivesUp(self) -> None:
        """
        One that the system gives up is no time-out of ours, but no daemon.
        """

        def giveUp(*_: object) -> None:
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

        self.patch(socket.socket, "connect", giveUp)
        for address in (UnixAddress(self.path), TCPAddress("127.0.0.1", 9)):
            error = self.assertRaises(NoDaemon, openSocket, address, Deadline(None))
            self.assertIn("(Connection timed out)", str(error))

    def test_tooSlow(self) -> None:
        """
        A daemon that cannot be reached in time is a time-out.
        """

        def wait(*_: object) -> None:
            raise TimeoutError

        self.patch(socket.socket, "connect", wait)
        for address in (UnixAddress(self.path), TCPAddress("127.0.0.1", 9)):
            error = self.assertRaises(TimedOut, openSocket, address, Deadline(PATIENCE))
            self.assertIs(Stage.REACH, error.stage)
            self.assertIn(str(address), str(error))
