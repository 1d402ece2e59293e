# -*- test-case-name: tests.net.test_socketfile -*-
"""
Tests of L{muxd.net.socketfile}.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any
from unittest import skipIf

from twisted.internet.error import CannotListenError
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from muxd.net import socketfile
from muxd.net.socketfile import LONGEST_PATH, CannotListen, explain, removeStaleSocket


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class MakeWayTests(SynchronousTestCase):
    """
    Tests of L{removeStaleSocket}.
    """

    def setUp(self) -> None:
        """
        Have a directory and a name in it that is free.
        """
        # A socket's path must be short, and trial's directories are not.
        directory = os.path.realpath(self.mktemp())
        os.makedirs(directory)
        self.previous = os.getcwd()
        os.chdir(directory)
        self.addCleanup(os.chdir, self.previous)
        self.path = "s"

    def bind(self, backlog: int | None = None) -> socket.socket:
        """
        Make a socket file, with somebody behind it if there is a backlog.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(self.path)
        if backlog is not None:
            listening.listen(backlog)
        return listening

    def refused(self) -> str:
        """
        Why there is no way.
        """
        text = str(self.assertRaises(CannotListen, removeStaleSocket, self.path))
        self.assertNotIn("\n", text)
        return text

    def test_free(self) -> None:
        """
        Where nothing is, nothing is done.
        """
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), [])

    def test_stale(self) -> None:
        """
        The socket file of a daemon that is no longer alive is removed.
        """
        self.bind().close()
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), [])

    def test_staleLock(self) -> None:
        """
        So is its lock, also when its process id is in use again: in a container
        the next daemon often has the very number of the last.
        """
        self.bind().close()
        os.symlink(str(os.getpid()), "s.lock")
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), [])

    def test_foreignLock(self) -> None:
        """
        A file of the lock's name that is no lock is left alone.
        """
        self.bind().close()
        with open("s.lock", "w"):
            pass
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), ["s.lock"])

    def test_lockAlone(self) -> None:
        """
        A lock without a socket is left to Twisted: its owner may be about to
        bind.
        """
        os.symlink("1", "s.lock")
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), ["s.lock"])

    def test_alive(self) -> None:
        """
        A daemon that is alive is left alone, and the line says how to stop it.
        """
        self.bind(backlog=1)
        text = self.refused()
        self.assertIn("another daemon is listening there already", text)
        self.assertIn("stop it", text)
        self.assertEqual(os.listdir("."), ["s"])

    def test_aliveAndBusy(self) -> None:
        """
        A daemon that is too busy to accept is alive, and is not waited for.
        """
        self.bind(backlog=0)
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(self.path)
        self.assertIn("is listening there already", self.refused())

    def test_noSocket(self) -> None:
        """
        A file that is no socket is not removed.
        """
        with open(self.path, "w"):
            pass
        self.assertIn("is not a socket", self.refused())
        self.assertEqual(os.listdir("."), ["s"])

    def test_directory(self) -> None:
        """
        Neither is a directory.
        """
        os.mkdir(self.path)
        self.assertIn("is not a socket", self.refused())

    def test_brokenLink(self) -> None:
        """
        A symbolic link to nowhere is named as what it is.
        """
        os.symlink("nowhere", self.path)
        self.assertIn("symbolic link", self.refused())

    def test_noParent(self) -> None:
        """
        A missing directory is named.
        """
        self.path = "missing/s"
        text = self.refused()
        self.assertIn("there is no directory missing", text)
        self.assertIn("choose another place", text)

    def test_tooLong(self) -> None:
        """
        A path that is too long for a socket is one line, too, which says how long it may be.
        """
        for length in (LONGEST_PATH + 1, 5000):
            self.path = "s" * length
            text = self.refused()
            self.assertIn(f"expected {LONGEST_PATH} bytes at most", text)
            self.assertTrue(
                text.endswith(f", got {length}; choose a place with a shorter path"), text
            )

    def test_longest(self) -> None:
        """
        A path of the greatest length that is not refused can be listened at, and a longer one
        cannot.
        """
        self.path = "s" * LONGEST_PATH
        removeStaleSocket(self.path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
        with socket.socket(socket.AF_UNIX) as listening:
            self.assertRaises(OSError, listening.bind, self.path + "s")

    def test_notWritable(self) -> None:
        """
        A directory in which this user may not write is one line with the user.
        """

        def access(path: str, mode: int, *, effective_ids: bool) -> bool:
            self.assertEqual(path, ".")
            return False

        self.patch(os, "access", access)
        text = self.refused()
        self.assertIn(f"user {os.geteuid()} may not create a socket there", text)

    def test_notRemovable(self) -> None:
        """
        So is a stale socket file that this user may not remove.
        """
        self.bind().close()

        def unlink(path: str) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)

        self.patch(os, "unlink", unlink)
        self.assertIn("may not create a socket there", self.refused())

    def test_goneMeanwhile(self) -> None:
        """
        A socket file that its daemon removes while it is being looked at is no
        trouble.
        """
        self.bind()

        class Probe(socket.socket):
            def connect(self, address: Any) -> None:
                os.unlink(address)
                super().connect(address)

        self.patch(socket, "socket", Probe)
        removeStaleSocket(self.path)
        self.assertEqual(os.listdir("."), [])


class ExplainTests(SynchronousTestCase):
    """
    Tests of L{explain}.
    """

    def test_lock(self) -> None:
        """
        A lock that somebody holds is named.
        """
        error = CannotListenError(None, "/s", "Cannot acquire lock")
        self.assertEqual(
            explain("/s", error),
            "/s: Cannot acquire lock; remove /s.lock if no usbmuxd is running",
        )

    def test_wrapped(self) -> None:
        """
        The cause is found within Twisted's own error.
        """
        cause = OSError(errno.EADDRINUSE, "Address already in use")
        error = CannotListenError("127.0.0.1", 27015, cause)
        self.assertEqual(
            explain("tcp:27015", error),
            "tcp:27015: Address already in use; stop what listens there, or choose another port",
        )

    def test_notOurs(self) -> None:
        """
        An address of another machine is told from one that is in use.
        """
        cause = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        self.assertEqual(
            explain("x", CannotListenError("192.0.2.1", 1, cause)),
            "x: Cannot assign requested address; choose an address that this machine has",
        )

    def test_other(self) -> None:
        """
        Any other error speaks for itself.
        """
        self.assertEqual(explain("/s", RuntimeError("no luck")), "/s: no luck")

    def test_tooLongForASocket(self) -> None:
        """
        An C{OSError} without a number speaks for itself as well.
        """
        self.assertEqual(
            explain("/s", OSError("AF_UNIX path too long")), "/s: AF_UNIX path too long"
        )

    def test_withoutUserNumbers(self) -> None:
        """
        Where users have no numbers, their names are used.
        """
        self.patch(socketfile, "os", _Windows())
        self.assertIn("user Ada may not", explain("x", PermissionError(errno.EACCES, "")))


class _Windows:
    """
    The C{os} module of Windows, as far as L{explain} looks at it.
    """

    environ: dict[str, str]

    def __init__(self) -> None:
        self.environ = {"USERNAME": "Ada"}
