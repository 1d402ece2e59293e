# -*- test-case-name: tests.net.test_listening -*-
"""
Tests of L{muxd.net.listening}.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import tempfile
from unittest import skipIf

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.net.listening import ListeningEndpoint
from muxd.net.serverstrings import BACKLOG, Owner, Place
from muxd.net.socketfile import CannotListen


def unused(error: OSError) -> None:
    """
    These ports let everybody in.
    """


@implementer(IListeningPort)
class Port:
    """
    A port that notes its end.
    """

    def __init__(self, end: Deferred[None] | None) -> None:
        self.end = end
        self.stopped = 0

    def startListening(self) -> None:
        """
        Not called.
        """

    def stopListening(self) -> Deferred[None] | None:
        """
        Note it.
        """
        self.stopped += 1
        return self.end

    def getHost(self) -> IPv4Address:
        """
        Anything will do.
        """
        return IPv4Address("TCP", "127.0.0.1", 0)


class ReadingPort(Port):
    """
    A port of a reactor that watches descriptors.
    """

    def __init__(self, end: Deferred[None] | None) -> None:
        super().__init__(end)
        self.told: list[str] = []
        self.numberAccepts = 100

    def stopReading(self) -> None:
        """
        Note it.
        """
        self.told.append("stop")

    def startReading(self) -> None:
        """
        Note it.
        """
        self.told.append("start")


@implementer(IStreamServerEndpoint)
class Endpoint:
    """
    An endpoint whose C{listen} returns what it was told to.
    """

    def __init__(self, result: Deferred[IListeningPort]) -> None:
        self.result = result

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen, or not.
        """
        return self.result


class ListeningEndpointTests(SynchronousTestCase):
    """
    Tests of L{ListeningEndpoint} on any endpoint.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.end: Deferred[None] = Deferred()
        self.port = Port(self.end)

    def listening(self, result: Deferred[IListeningPort]) -> ListeningEndpoint:
        """
        A listening endpoint on an endpoint with this result.
        """
        return ListeningEndpoint(Endpoint(result), "somewhere", None)

    def test_interfaces(self) -> None:
        """
        What these tests use keeps the contracts.
        """
        verifyObject(IListeningPort, self.port)
        verifyObject(IStreamServerEndpoint, Endpoint(Deferred()))

    def test_open(self) -> None:
        """
        Where clients can connect is logged.
        """
        self.listening(succeed(self.port)).open(Factory(), unused)
        self.assertEqual(self.log[0]["description"], "somewhere")
        self.assertEqual(self.log[0]["log_level"], LogLevel.info)

    def test_pause(self) -> None:
        """
        A port that can be told to leave clients in the queue is told, as soon as it is
        there; when it has been closed, nobody is.
        """
        port = ReadingPort(None)
        result: Deferred[IListeningPort] = Deferred()
        listening = self.listening(result)
        listening.open(Factory(), unused)
        listening.pause()
        result.callback(port)
        listening.pause()
        listening.resume()
        self.successResultOf(listening.close())
        listening.resume()
        self.assertEqual(port.told, ["stop", "stop", "start"])
        self.assertEqual(port.numberAccepts, 1)

    def test_cannotPause(self) -> None:
        """
        Not every reactor's ports can do that.
        """
        listening = self.listening(succeed(self.port))
        listening.open(Factory(), unused)
        listening.pause()
        listening.resume()

    def test_refused(self) -> None:
        """
        An endpoint that cannot listen is one line, at once.
        """
        cause = OSError(errno.EADDRINUSE, "Address already in use")
        listening = self.listening(fail(CannotListenError("localhost", 1, cause)))
        error = self.assertRaises(CannotListen, listening.open, Factory(), unused)
        self.assertEqual(
            str(error),
            "somewhere: Address already in use; stop what listens there, or choose another port",
        )
        self.assertIsNone(self.successResultOf(listening.close()))

    def test_refusedLater(self) -> None:
        """
        An endpoint that finds out later that it cannot listen reports to the
        log, at the level that an operator is woken for.
        """
        result: Deferred[IListeningPort] = Deferred()
        listening = self.listening(result)
        listening.open(Factory(), unused)
        result.errback(RuntimeError("no luck"))
        (event,) = self.log
        self.assertEqual(event["log_level"], LogLevel.critical)
        self.assertEqual(str(event["problem"]), "somewhere: no luck")
        self.assertIsNone(self.successResultOf(listening.close()))

    def test_again(self) -> None:
        """
        A listening endpoint that could not be opened can be, later.
        """
        endpoint = Endpoint(fail(RuntimeError("no luck")))
        listening = ListeningEndpoint(endpoint, "somewhere", None)
        self.assertRaises(CannotListen, listening.open, Factory(), unused)
        endpoint.result = succeed(self.port)
        listening.open(Factory(), unused)
        self.end.callback(None)
        self.successResultOf(listening.close())
        self.assertEqual(self.port.stopped, 1)

    def test_close(self) -> None:
        """
        It is closed when the port is.
        """
        listening = self.listening(succeed(self.port))
        listening.open(Factory(), unused)
        closed = listening.close()
        self.assertEqual(self.port.stopped, 1)
        self.assertNoResult(closed)
        self.end.callback(None)
        self.assertIsNone(self.successResultOf(closed))

    def test_closeAtOnce(self) -> None:
        """
        A port may close without a Deferred.
        """
        self.port.end = None
        listening = self.listening(succeed(self.port))
        listening.open(Factory(), unused)
        self.assertIsNone(self.successResultOf(listening.close()))

    def test_closeTwice(self) -> None:
        """
        A listening endpoint that is closed, or was never open, is closed at once.
        """
        listening = self.listening(succeed(self.port))
        self.successResultOf(listening.close())
        listening.open(Factory(), unused)
        self.end.callback(None)
        self.successResultOf(listening.close())
        self.successResultOf(listening.close())
        self.assertEqual(self.port.stopped, 1)

    def test_closeEarly(self) -> None:
        """
        An attempt to listen that is under way is given up, without a word.
        """
        listening = self.listening(Deferred())
        listening.open(Factory(), unused)
        self.assertIsNone(self.successResultOf(listening.close()))
        self.assertEqual(len(self.log), 0)

    def test_fileCannotBeRemoved(self) -> None:
        """
        A socket file that cannot be removed is a warning: the daemon may have
        given up its privileges, and the next start takes care of it.
        """
        listening = self.listening(succeed(self.port))
        listening.open(Factory(), unused)
        closed = listening.close()
        self.end.errback(PermissionError(errno.EACCES, "Permission denied", "/s"))
        self.assertIsNone(self.successResultOf(closed))
        self.assertEqual(self.log[-1]["log_level"], LogLevel.warn)
        self.assertEqual(self.log[-1]["error"], "Permission denied")


class OwnerTests(SynchronousTestCase):
    """
    The user and the group that a socket's file is given to.
    """

    def setUp(self) -> None:
        """
        A file in the place of a socket's, and a system that notes what is asked of it.
        """
        self.path = os.path.abspath(self.mktemp())
        with open(self.path, "w"):
            pass
        self.given: list[tuple[str, int, int]] = []
        self.patch(os, "chown", lambda *args: self.given.append(args))

    def open(self, owner: Owner) -> ListeningEndpoint:
        """
        Listen at the path.
        """
        endpoint = Endpoint(succeed(Port(succeed(None))))
        place = Place(endpoint, self.path, owner)
        listening = ListeningEndpoint(endpoint, "somewhere", self.path, place=place)
        listening.open(Factory(), unused)
        return listening

    def test_given(self) -> None:
        """
        The file is given away once it is there.
        """
        self.open(Owner(gid=54321))
        self.assertEqual(self.given, [(self.path, -1, 54321)])

    def test_ours(self) -> None:
        """
        A file that belongs to them anyway is left as it is, which a process without
        privileges can do.
        """
        status = os.stat(self.path)
        self.open(Owner(status.st_uid, status.st_gid))
        self.open(Owner())
        self.assertEqual(self.given, [])

    def test_refused(self) -> None:
        """
        A file that cannot be given away is no place to listen.
        """

        def chown(*args: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        self.patch(os, "chown", chown)
        error = self.assertRaises(CannotListen, self.open, Owner(gid=54321))
        self.assertIn(f"{self.path}: cannot be given to user -1 and group 54321", str(error))


class DescriptionTests(SynchronousTestCase):
    """
    Tests of L{ListeningEndpoint.fromDescription}.
    """

    def test_any(self) -> None:
        """
        Any server endpoint can be described.
        """
        reactor = MemoryReactorClock()
        listening = ListeningEndpoint.fromDescription(reactor, "tcp:27015:interface=127.0.0.1")
        listening.removeStaleSocket()
        listening.open(Factory(), unused)
        (server,) = reactor.tcpServers
        self.assertEqual((server[0], server[3]), (27015, "127.0.0.1"))

    def test_backlog(self) -> None:
        """
        Many may wait to be let in, unless the description says how many.
        """
        for text, backlog in (
            ("tcp:1", BACKLOG),
            ("tcp:1:interface=127.0.0.1", BACKLOG),
            ("tcp:1:backlog=7", 7),
            ("tcp:1:127.0.0.1:7", 7),
        ):
            reactor = MemoryReactorClock()
            ListeningEndpoint.fromDescription(reactor, text).open(Factory(), unused)
            self.assertEqual(reactor.tcpServers[0][2], backlog, text)
        reactor = MemoryReactorClock()
        ListeningEndpoint.fromDescription(reactor, "unix:s:mode=600").open(Factory(), unused)
        self.assertEqual(reactor.unixServers[0][2], BACKLOG)

    def test_wrong(self) -> None:
        """
        What is no description is refused in one line that repeats it.
        """
        for text in ("", "cupboard:2", "tcp", "tcp:many", "unix:/s:mode=rw", "unix:a\\", "unix"):
            error = self.assertRaises(
                ValueError, ListeningEndpoint.fromDescription, MemoryReactorClock(), text
            )
            self.assertIn(f"cannot listen on {text!r}: ", str(error))
            self.assertNotIn("\n", str(error))


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class UNIXTests(SynchronousTestCase):
    """
    Tests of L{ListeningEndpoint} on UNIX sockets.
    """

    def setUp(self) -> None:
        """
        Work in a directory of our own: a socket's path must be short.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind("s")

    def test_stale(self) -> None:
        """
        The file of a daemon that is no longer alive is removed before the
        socket is bound, whichever way the path is given.
        """
        for text in ("unix:s", "unix:address=s:mode=600"):
            with socket.socket(socket.AF_UNIX) as stale:
                if not os.path.exists("s"):
                    stale.bind("s")
            ListeningEndpoint.fromDescription(MemoryReactorClock(), text).removeStaleSocket()
            self.assertEqual(os.listdir("."), [])

    def test_escaped(self) -> None:
        """
        A path with a colon works.
        """
        os.rename("s", "a:b")
        ListeningEndpoint.fromDescription(MemoryReactorClock(), "unix:a\\:b").removeStaleSocket()
        self.assertEqual(os.listdir("."), [])

    def test_abstract(self) -> None:
        """
        An abstract socket has no file to look after.
        """
        ListeningEndpoint.fromDescription(MemoryReactorClock(), "unix:\0s").removeStaleSocket()
        self.assertEqual(os.listdir("."), ["s"])

    def test_noSocket(self) -> None:
        """
        What else is in the way is named.
        """
        os.mkdir("d")
        listening = ListeningEndpoint.fromDescription(MemoryReactorClock(), "unix:d")
        error = self.assertRaises(CannotListen, listening.removeStaleSocket)
        self.assertIn("d: is not a socket", str(error))


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class ModeTests(TestCase):
    """
    Tests of a real socket's file.
    """

    async def test_mode(self) -> None:
        """
        Who may connect is said by the description, whatever the umask (protocol 9, edge 63).
        """
        from twisted.internet import reactor

        directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        self.addCleanup(os.umask, os.umask(0o077))
        for mode in ("660", "600", "666"):
            path = os.path.join(directory, mode)
            listening = ListeningEndpoint.fromDescription(reactor, f"unix:{path}:mode={mode}")
            listening.open(Factory(), unused)
            self.assertEqual(f"{stat.S_IMODE(os.stat(path).st_mode):o}", mode)
            await listening.close()
