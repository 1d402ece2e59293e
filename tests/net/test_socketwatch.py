# -*- test-case-name: tests.net.test_socketwatch -*-
"""
Tests of L{muxd.net.socketwatch}, alone and where it is used.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any
from unittest import skipIf

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muxd.limits import LIMITS
from muxd.net.listening import ListeningEndpoint
from muxd.net.socketfile import CannotListen, SocketFile, startingAlone
from muxd.net.socketwatch import SocketWatch, WatchState, leaveFiles, removeOwnLock


def unused(error: OSError) -> None:
    """
    These ports let everybody in.
    """


class SocketTestCase(TestCase):
    """
    A directory with a short path, and the log.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "s")
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def warnings(self) -> list[str]:
        """
        What was said as warnings so far.
        """
        return [
            event["log_format"].format(**event)
            for event in self.log
            if event["log_level"] is LogLevel.warn
        ]

    def takeOver(self) -> socket.socket:
        """
        Do as the C daemon does: remove what is there, and listen.
        """
        os.unlink(self.path)
        taking = socket.socket(socket.AF_UNIX)
        self.addCleanup(taking.close)
        taking.bind(self.path)
        taking.listen(5)
        return taking


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class SocketFileTests(SocketTestCase):
    """
    L{SocketFile} knows itself.
    """

    def test_there(self) -> None:
        """
        It is there while its name is its own.
        """
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.path)
            file = SocketFile.at(self.path)
            self.assertTrue(file.isThere())
            os.rename(self.path, f"{self.path}2")
            self.assertFalse(file.isThere())
            with open(self.path, "w"):
                self.assertFalse(file.isThere())
            os.replace(f"{self.path}2", self.path)
            self.assertTrue(file.isThere())
        self.assertRaises(OSError, SocketFile.at, f"{self.path}2")

    def test_remove(self) -> None:
        """
        It is removed with our lock beside it, and nothing else is.
        """
        # While it is open, no other file has its inode.
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(self.path)
        file = SocketFile.at(self.path)
        os.symlink(str(os.getpid()), f"{self.path}.lock")
        self.assertTrue(file.remove())
        removeOwnLock(self.path)
        self.assertEqual(os.listdir(self.directory), [])
        os.symlink(str(os.getpid() + 1), f"{self.path}.lock")
        os.mkdir(self.path)
        self.assertFalse(file.remove())
        removeOwnLock(self.path)
        self.assertEqual(sorted(os.listdir(self.directory)), ["s", "s.lock"])

    def test_cannotTell(self) -> None:
        """
        A directory that cannot be looked into at present is no loss.
        """
        with open(self.path, "w"):
            file = SocketFile.at(self.path)

        def lstat(path: str) -> os.stat_result:
            raise PermissionError(13, "no")

        self.patch(os, "lstat", lstat)
        self.assertTrue(file.isThere())


class WatchTests(SynchronousTestCase):
    """
    L{SocketWatch} by a clock.
    """

    def setUp(self) -> None:
        """
        Make one that holds nothing yet.
        """
        self.clock = Clock()
        self.tried = 0
        self.problem = CannotListen("it is not free")
        self.watch = SocketWatch(self.clock, 2.0, "/nowhere/s", self.listen)

    def listen(self) -> None:
        """
        Try in vain.
        """
        self.tried += 1
        raise self.problem

    def test_noFile(self) -> None:
        """
        Where there is no file of a port of Twisted's there is nothing to watch.
        """
        self.watch.hold(object())
        self.watch.path = __file__
        self.watch.hold(object())
        self.assertIs(self.watch.state, WatchState.IDLE)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.watch.release()

    def test_transitions(self) -> None:
        """
        Any other change of state is a mistake.
        """
        self.assertRaises(AssertionError, self.watch._enter, WatchState.LOST)

    def test_otherPorts(self) -> None:
        """
        Ports without files are as they were.
        """
        self.assertFalse(leaveFiles(object()))


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class ListeningTests(SocketTestCase):
    """
    A daemon's socket, beside others.
    """

    def setUp(self) -> None:
        """
        Listen.
        """
        super().setUp()
        from twisted.internet import reactor

        self.clock = Clock()
        self.factory = Factory.forProtocol(Protocol)
        self.ended = 0
        self.factory.stopFactory = self.end  # type: ignore[method-assign]
        listening = ListeningEndpoint.fromDescription(reactor, f"unix:{self.path}")
        assert listening._watch is not None
        listening._watch._clock = self.clock
        self.listening = listening
        listening.open(self.factory, unused)
        self.addCleanup(listening.close)

    def end(self) -> None:
        """
        The factory has ended.
        """
        self.ended += 1

    def look(self) -> None:
        """
        Let it look.
        """
        self.clock.advance(LIMITS.socketLook)

    def isOurs(self) -> bool:
        """
        Whether clients reach us.
        """
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            port: Any = self.listening._port
            with socket.fromfd(port.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as ours:
                ours.setblocking(False)
                try:
                    ours.accept()[0].close()
                except BlockingIOError:
                    return False
                return True

    async def test_undisturbed(self) -> None:
        """
        While it is ours nothing is said, and at the end it and its lock are gone.
        """
        self.look()
        self.assertTrue(self.isOurs())
        await self.listening.close()
        self.assertEqual(self.warnings(), [])
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.ended, 1)

    async def test_takenOver(self) -> None:
        """
        Another daemon that takes the path is told of in one line, however long it stays,
        and is left alone at our end.
        """
        taking = self.takeOver()
        for _ in range(5):
            self.look()
        (lost, yet) = self.warnings()
        self.assertIn(f"{self.path}: our socket is gone, another one is in its place", lost)
        self.assertIn("another daemon is listening there already", yet)
        await self.listening.close()
        self.assertEqual(os.listdir(self.directory), ["s"])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
            client.close()
        taking.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.ended, 1)

    async def test_takenOverUnseen(self) -> None:
        """
        It is left alone also when it came since we looked last.
        """
        self.takeOver()
        await self.listening.close()
        self.assertEqual(os.listdir(self.directory), ["s"])

    async def test_freeAgain(self) -> None:
        """
        When the other daemon has ended, which leaves its file, clients reach us again.
        """
        taking = self.takeOver()
        self.look()
        self.assertFalse(self.isOurs())
        taking.close()
        self.look()
        self.assertTrue(self.isOurs())
        self.assertEqual(self.ended, 0)
        self.look()
        self.assertTrue(self.isOurs())
        await self.listening.close()
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.ended, 1)

    async def test_removed(self) -> None:
        """
        A file that is removed is made again.
        """
        os.unlink(self.path)
        self.look()
        self.assertTrue(self.isOurs())
        self.assertEqual(len(self.warnings()), 1)
        self.assertIn("it was removed", self.warnings()[0])
        # Twice is no different.
        os.unlink(self.path)
        self.look()
        self.assertTrue(self.isOurs())
        await self.listening.close()
        self.assertEqual(os.listdir(self.directory), [])

    async def test_directoryRemoved(self) -> None:
        """
        A file whose directory was removed is made again when that is there again.
        """
        shutil.rmtree(self.directory)
        self.look()
        self.assertIn("there is no directory", self.warnings()[-1])
        os.mkdir(self.directory)
        self.look()
        self.assertTrue(self.isOurs())

    async def test_paused(self) -> None:
        """
        A port that is opened again while clients have to wait accepts none.
        """
        self.listening.pause()
        os.unlink(self.path)
        self.look()
        from twisted.internet import reactor

        port = self.listening._port
        self.assertNotIn(port, reactor.getReaders())
        self.listening.resume()
        self.assertIn(port, reactor.getReaders())

    async def test_otherLock(self) -> None:
        """
        The lock of another daemon of our kind, which has taken over, stays.
        """
        self.takeOver()
        os.unlink(f"{self.path}.lock")
        os.symlink("1", f"{self.path}.lock")
        self.look()
        await self.listening.close()
        self.assertEqual(sorted(os.listdir(self.directory)), ["s", "s.lock"])


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class StartingAloneTests(SocketTestCase):
    """
    L{startingAlone} at one place.
    """

    def test_alone(self) -> None:
        """
        One has the lock, which leaves nothing, and another one not.
        """
        with startingAlone(self.path) as first, startingAlone(self.path, 0) as second:
            self.assertEqual((first, second), (True, False))
        with startingAlone(self.path, 0) as third:
            self.assertTrue(third)
        self.assertEqual(os.listdir(self.directory), [])

    def test_patience(self) -> None:
        """
        A lock that another process holds for long keeps no daemon from starting.
        """
        with startingAlone(self.path), startingAlone(self.path, 0.05, 0.01) as second:
            self.assertFalse(second)

    def test_raises(self) -> None:
        """
        The lock is given back when a start fails.
        """
        with self.assertRaises(CannotListen), startingAlone(self.path):
            raise CannotListen("no")
        with startingAlone(self.path, 0) as again:
            self.assertTrue(again)

    def test_nowhere(self) -> None:
        """
        A directory that is not there is left to the bind to complain of.
        """
        with startingAlone("/nowhere/s") as locked:
            self.assertFalse(locked)
