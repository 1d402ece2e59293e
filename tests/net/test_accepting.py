# -*- test-case-name: tests.net.test_accepting -*-
"""
Tests of L{muxd.net.accepting}, and of ports that are closed for what it tells.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from errno import ECONNABORTED, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Any, NoReturn
from unittest import skipIf

from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.python.runtime import platform
from twisted.trial.unittest import TestCase

from muxd.limits import LIMITS
from muxd.net.accepting import SHORT, watchAccept
from muxd.net.acceptthrottle import AcceptThrottle
from muxd.net.listening import ListeningEndpoint
from muxd.phone.service import PhoneService
from muxd.relay import RelayService, Route
from muxd.service import MuxService
from tests.net.accepting import AcceptTestCase
from tests.server.serving import observeLog


class WatchAcceptTests(AcceptTestCase):
    """
    Tests of L{watchAccept}.
    """

    def test_short(self) -> None:
        """
        Whatever is short, it is told, once for each time that the port is read;
        nobody is let in or cut off, and Twisted has nothing to say.
        """
        for number in SHORT:
            told: list[OSError] = []
            port = self.listen(1, number, number)
            watchAccept(port, told.append)
            for count in (1, 2):
                port.doRead()
                self.assertEqual([error.errno for error in told], [number] * count)
                self.assertEqual(self.queue.calls, count)
            self.assertEqual((len(self.queue.waiting), self.texts()), (1, []))
            port.doRead()
            self.assertEqual((len(self.queue.waiting), len(told)), (0, 2))

    def test_betweenTwo(self) -> None:
        """
        A client that was let in before is served.
        """
        made: list[Protocol] = []

        class Served(Protocol):
            def connectionMade(self) -> None:
                made.append(self)

        self.factory.protocol = Served
        port = self.listen(2)
        accept = self.queue.accept

        def accepted() -> Any:
            result = accept()
            self.queue.errors.append(ENFILE)
            return result

        self.patch(self.queue, "accept", accepted)
        told: list[OSError] = []
        watchAccept(port, told.append)
        port.doRead()
        self.assertEqual((len(made), len(told), len(self.queue.waiting)), (1, 1, 1))

    def test_otherTrouble(self) -> None:
        """
        What is no shortage is Twisted's matter: a client that has gone already is a
        line, an error that should not be is a traceback.
        """
        told: list[OSError] = []
        port = self.listen(1, ECONNABORTED, EINVAL)
        watchAccept(port, told.append)
        port.doRead()
        self.assertEqual(self.texts(), ["Could not accept new connection (ECONNABORTED)"])
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(told, [])

    def test_otherPort(self) -> None:
        """
        A port that is not Twisted's own is left alone.
        """

        class Other:
            socket = object()

        other: Any = Other()
        watchAccept(other, lambda error: None)
        self.assertIs(other.socket, Other.socket)


class _Opened:
    """
    An endpoint whose port is there.
    """

    def __init__(self, port: Port) -> None:
        self._port = port

    def listen(self, factory: object) -> Deferred[Port]:
        """
        It listens.
        """
        done: Deferred[Port] = Deferred()
        done.callback(self._port)
        return done


class ShortTests(AcceptTestCase):
    """
    Ports that are closed, and opened again.
    """

    def open(self, port: Port) -> AcceptThrottle:
        """
        Lead to a port, by a listening endpoint.
        """
        throttle = AcceptThrottle(self.reactor, LIMITS)
        endpoint: Any = _Opened(port)
        listening = ListeningEndpoint(endpoint, "somewhere", None)
        throttle.ports = [listening]
        listening.open(self.factory, throttle.acceptFailed)
        self.logged.clear()
        return throttle

    def test_rest(self) -> None:
        """
        A shortage costs one attempt for each time that it is tried again, and one
        line, which says what is short and what to do; then everybody who has waited
        is let in, one at first.
        """
        for number, remedy in (
            (EMFILE, "Too many open files; raise the limit"),
            (ENFILE, "Too many open files in system; see which program has"),
            (ENOBUFS, "No buffer space available; free memory"),
            (ENOMEM, "Cannot allocate memory; free memory"),
        ):
            port = self.listen(30, *[number] * 5)
            throttle = self.open(port)
            for attempt in range(1, 6):
                self.assertEqual(self.turns(port), 1)
                self.assertEqual(self.queue.calls, attempt)
                self.assertNotIn(port, self.reactor.readers)
                self.reactor.advance(LIMITS.admissionRetry / 2)
                self.assertNotIn(port, self.reactor.readers)
                self.reactor.advance(LIMITS.admissionRetry / 2)
                self.assertEqual(port.numberAccepts, 1)
            (line,) = self.texts()
            self.assertIn(remedy, line)
            port.doRead()
            self.assertEqual(len(self.queue.waiting), 29)
            self.turns(port)
            self.assertEqual((len(self.queue.waiting), throttle.pauses), (0, 5))
            for client in self.queue.ours:
                # There is nothing to be read, and it is not the end either.
                self.assertRaises(BlockingIOError, client.recv, 1)
            throttle.stop()
            self.assertIn("... and 4 more pauses as no client could be accepted", self.texts()[-1])
            self.logged.clear()

    def test_allPorts(self) -> None:
        """
        All ports are closed, and a port that has been opened since is when it turns
        out that nobody can be let in there either; this is told once.
        """
        first = self.listen(1, ENFILE, ENFILE)
        throttle = self.open(first)
        self.assertEqual(self.turns(first), 1)
        second = self.listenOnSame()
        endpoint: Any = _Opened(second)
        late = ListeningEndpoint(endpoint, "elsewhere", None)
        throttle.ports = [*throttle.ports, late]
        late.open(self.factory, throttle.acceptFailed)
        self.assertEqual(self.turns(first, second), 1)
        self.assertEqual(throttle.pauses, 1)
        self.assertEqual(len([text for text in self.texts() if "not accepting clients" in text]), 1)
        self.reactor.advance(LIMITS.admissionRetry)
        self.turns(first, second)
        self.assertEqual((len(self.queue.waiting), throttle.pauses), (0, 1))
        throttle.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ServiceTests(AcceptTestCase):
    """
    Everything that listens closes and opens them.
    """

    def assertRests(self, make: Callable[[MemoryReactorClock], Service]) -> None:
        """
        Fail unless a service that cannot let anybody in tries again each second, and
        leaves no timer when it is stopped meanwhile.
        """
        port = self.listen(1, *[ENFILE] * 3)

        def listenTCP(number: int, factory: Factory, *args: object, **kwargs: object) -> Port:
            factory.doStart()
            self.patch(port, "factory", factory)
            self.patch(port, "stopListening", factory.doStop)
            return port

        self.patch(self.reactor, "listenTCP", listenTCP)
        service = make(self.reactor)
        service.privilegedStartService()
        for _ in range(3):
            self.assertEqual(self.turns(port), 1)
            self.assertNotIn(port, self.reactor.readers)
            self.reactor.advance(LIMITS.admissionRetry)
            self.assertIn(port, self.reactor.readers)
        self.queue.errors.append(ENFILE)
        self.assertEqual(self.turns(port), 1)
        service.stopService()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_daemon(self) -> None:
        """
        The daemon does.
        """
        self.assertRests(lambda reactor: MuxService(reactor, listen=["tcp:1"]))

    def test_relay(self) -> None:
        """
        So does the relay.
        """
        route = Route("tcp:1", "tcp:host=h:port=1")
        self.assertRests(lambda reactor: RelayService(reactor, [route]))

    def test_phones(self) -> None:
        """
        And what exports simulated phones, to hosts and to those who give commands.
        """
        self.assertRests(lambda reactor: PhoneService(reactor, [], usbip=["tcp:1"]))
        self.assertRests(lambda reactor: PhoneService(reactor, [], control=["tcp:1"]))


class _Arrival(Protocol):
    """
    Waits for a word.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Here it is.
        """
        assert self.factory is not None
        self.factory.said.callback(data)
        assert self.transport is not None
        self.transport.loseConnection()


class _Arrivals(Factory):
    """
    Has one client.

    @ivar said: Fires with what it said.
    """

    protocol = _Arrival

    def __init__(self) -> None:
        self.said: Deferred[bytes] = Deferred()


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class EveryListenerTests(TestCase):
    """
    Ports of the real reactor.
    """

    def listeningEndpoints(self, directory: str) -> Iterator[tuple[ListeningEndpoint, Any]]:
        """
        One of each kind, and where to connect to it.
        """
        path = os.path.join(directory, "s")
        yield ListeningEndpoint.fromDescription(reactor, f"unix:{path}"), path
        for host in ("127.0.0.1", "\\:\\:1"):
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
                try:
                    free.bind((host.replace("\\", ""), 0))
                except OSError:
                    # Not every machine has IPv6.
                    continue
                address = free.getsockname()
            text = f"tcp{'6' if ':' in host else ''}:{address[1]}:interface={host}"
            yield ListeningEndpoint.fromDescription(reactor, text), address
        inherited = socket.create_server(("127.0.0.1", 0))
        inherited.setblocking(False)
        address = inherited.getsockname()
        endpoint = AdoptedStreamServerEndpoint(reactor, inherited.detach(), socket.AF_INET)
        yield ListeningEndpoint(endpoint, "inherited", None), address

    async def test_waits(self) -> None:
        """
        Who comes while nobody can be let in waits in the kernel's queue, on whatever
        port, and is served afterwards, with what it has said meanwhile.
        """
        directory = tempfile.mkdtemp(prefix="muxd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        observeLog(self)
        count = 0
        for listening, address in self.listeningEndpoints(directory):
            count += 1
            clock, arrivals = Clock(), _Arrivals()
            throttle = AcceptThrottle(clock, LIMITS)
            throttle.ports = [listening]
            closed: Deferred[OSError] = Deferred()

            def acceptFailed(
                error: OSError, throttle: AcceptThrottle = throttle, closed: Any = closed
            ) -> None:
                throttle.acceptFailed(error)
                # A second time is an error: it would be tried without a pause.
                closed.callback(error)

            def short(listening: socket.socket) -> NoReturn:
                raise OSError(ENOBUFS, os.strerror(ENOBUFS))

            patched = self.patch(socket.socket, "accept", short)
            listening.open(arrivals, acceptFailed)
            family = (
                socket.AF_UNIX
                if isinstance(address, str)
                else socket.AF_INET6
                if len(address) == 4
                else socket.AF_INET
            )
            with socket.socket(family) as client:
                client.connect(address)
                client.sendall(b"hello")
                self.assertEqual((await closed).errno, ENOBUFS)
                patched.restore()
                self.assertTrue(throttle.isClosed)
                clock.advance(LIMITS.admissionRetry)
                self.assertEqual(await arrivals.said, b"hello")
            throttle.stop()
            await listening.close()
        self.assertGreaterEqual(count, 3)
