# -*- test-case-name: tests.test_relay -*-
"""
Tests of L{muxd.relay} and L{muxd.relayed}.
"""

from __future__ import annotations

from typing import cast

from twisted.application.service import IService
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.limits import Limits
from muxd.pipe import PipeEnd
from muxd.relay import RelayService, Route
from muxd.relayed import addressText
from muxd.socketfile import CannotListen
from muxd.testing import BudgetTransport, FakeConnection, FakeDevice

CLIENT = IPv4Address("TCP", "192.0.2.7", 50000)
PORT = 22


@implementer(IListeningPort)
class Port:
    """
    A port that is open until it is stopped.
    """

    def __init__(self) -> None:
        self.open = True

    def startListening(self) -> None:
        """
        Not called.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Let nobody in any more.
        """
        self.open = False
        return succeed(None)

    def getHost(self) -> IAddress:
        """
        The port that the system has chosen.
        """
        return IPv4Address("TCP", "127.0.0.1", 40123)


@implementer(IStreamServerEndpoint)
class Door:
    """
    A server endpoint where a test lets clients in.

    @ivar port: What listens, once it does.
    """

    port: Port | None = None
    factory: IProtocolFactory
    error: Exception | None = None

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen, or fail with C{error}.
        """
        if self.error is not None:
            return fail(self.error)
        self.factory = protocolFactory
        self.port = Port()
        return succeed(self.port)


class RelayCase(SynchronousTestCase):
    """
    A relay from a door to a phone.
    """

    limits = Limits(relayConnections=3)

    def setUp(self) -> None:
        """
        Start it, and watch the log.
        """
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.reactor = MemoryReactorClock()
        self.phone = FakeDevice(self.reactor, answers={PORT: FakeDevice.ACCEPT})
        self.door = Door()
        route = Route(self.door, self.phone.endpoint(PORT), "the phone")
        self.service = RelayService(self.reactor, [route], limits=self.limits)
        self.service.startService()

    def come(self, budget: int | None = None) -> BudgetTransport:
        """
        Connect a client.

        @param budget: How much it reads at first; None is everything.
        """
        end = self.door.factory.buildProtocol(CLIENT)
        assert end is not None
        transport = BudgetTransport(self.reactor, budget, end)
        end.makeConnection(transport)
        self.reactor.advance(0)
        return transport

    def joined(self, budget: int | None = None) -> tuple[BudgetTransport, BudgetTransport]:
        """
        A client, and the phone's side of its connection.
        """
        client = self.come(budget)
        transport = self.phone.connections[-1].transport
        assert transport is not None
        return client, transport

    def waiting(self) -> tuple[BudgetTransport, FakeConnection]:
        """
        A client whose connection the phone has not answered yet.
        """
        self.phone.answers.clear()
        client = self.come()
        return client, self.phone.connections[-1]

    def lines(self, level: object = LogLevel.info) -> list[str]:
        """
        What was logged at a level since the last call.
        """
        found = [
            cast(str, event["log_format"]).format(**event)
            for event in self.log
            if event["log_level"] is level and event["log_namespace"].startswith("muxd.relay")
        ]
        del self.log._events[:]
        return found


class ConnectionTests(RelayCase):
    """
    Tests of connections that are carried.
    """

    def test_both(self) -> None:
        """
        Bytes go both ways.
        """
        client, phone = self.joined()
        client.deliver(b"ping")
        phone.deliver(b"pong")
        self.assertEqual((phone.value(), client.value()), (b"ping", b"pong"))

    def test_waits(self) -> None:
        """
        A client is not read from before the phone has answered, and loses
        nothing by it.
        """
        client, attempt = self.waiting()
        self.assertTrue(client.paused)
        client.deliver(b"early")
        phone = attempt.accept()
        self.reactor.advance(0)
        self.assertEqual(phone.value(), b"early")
        self.assertEqual(client.value(), b"")

    def test_lookedUpEachTime(self) -> None:
        """
        Each connection makes a connection of its own, at the same time as
        others.
        """
        pairs = [self.joined() for _ in range(3)]
        self.assertEqual(len(self.phone.connections), 3)
        for number, (client, _) in enumerate(pairs):
            client.deliver(b"%d" % number)
        self.assertEqual([phone.value() for _, phone in pairs], [b"0", b"1", b"2"])

    def test_backPressure(self) -> None:
        """
        A side that does not read pauses the other, and that one alone.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"x" * 70000)
        self.assertTrue(phone.paused)
        self.assertFalse(client.paused)
        client.deliver(b"ping")
        self.assertEqual(phone.value(), b"ping")
        client.allow()
        self.assertFalse(phone.paused)

    def test_buffer(self) -> None:
        """
        How much may wait can be told.
        """
        route = Route(self.door, self.phone.endpoint(PORT))
        service = RelayService(self.reactor, [route], buffer=1000)
        service.startService()
        self.joined()
        (connection,) = service.connections
        self.assertEqual(connection.buffer, 1000)

    def test_flushed(self) -> None:
        """
        What was received before an end is delivered before the close.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"x" * 1000)
        phone.lose()
        self.reactor.advance(0)
        self.assertFalse(client.disconnected)
        self.assertEqual(client.take(), b"x" * 1000)
        self.reactor.advance(0)
        self.assertTrue(client.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_deadline(self) -> None:
        """
        But nobody is waited for who does not take it.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"x")
        phone.lose()
        self.reactor.advance(self.limits.flushTimeout)
        self.reactor.advance(0)
        self.assertTrue(client.aborted)
        self.assertEqual(self.service.connections, set())

    def test_halfClose(self) -> None:
        """
        A client that has finished sending still gets its answer.
        """
        client, phone = self.joined()
        client.deliver(b"question")
        client.finish()
        self.assertTrue(phone.writeClosed)
        phone.deliver(b"answer")
        phone.finish()
        self.reactor.advance(0)
        self.assertEqual(client.value(), b"answer")
        self.assertTrue(client.disconnected)
        self.assertTrue(phone.disconnected)

    def test_clientGone(self) -> None:
        """
        When a client goes while the phone is being connected, the attempt is
        given up, and no connection is made if the phone should answer yet.
        """
        client, attempt = self.waiting()
        client.lose()
        self.assertTrue(attempt.cancelled)
        self.assertIsNone(attempt.factory.buildProtocol(CLIENT))
        self.assertEqual(self.service.connections, set())

    def test_tooMany(self) -> None:
        """
        When there are as many connections as there may be, another is closed
        when it comes; when one has ended, there is room again.
        """
        clients = [self.come() for _ in range(3)]
        self.lines(LogLevel.warn)
        self.assertIsNone(self.door.factory.buildProtocol(CLIENT))
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("192.0.2.7:50000 is refused, there are 3 connections already", line)
        self.assertEqual((self.service.accepted, self.service.refused), (4, 1))
        clients[0].lose()
        self.reactor.advance(0)
        self.assertIsNotNone(self.door.factory.buildProtocol(CLIENT))


class LogTests(RelayCase):
    """
    Tests of what is told.
    """

    def test_listening(self) -> None:
        """
        The port that is listened on is told as it really is.
        """
        self.assertEqual(self.lines(), ["listening on 127.0.0.1:40123, for the phone"])

    def test_done(self) -> None:
        """
        A connection that is over is one line, with the bytes each way and its
        duration.
        """
        self.lines()
        client, phone = self.joined()
        client.deliver(b"ping")
        phone.deliver(b"a pong")
        self.reactor.advance(1.5)
        client.finish()
        phone.finish()
        self.reactor.advance(0)
        self.assertEqual(
            self.lines(),
            ["127.0.0.1:40123: 192.0.2.7:50000 sent 4 bytes to the phone and got 6 in 1.500 s"],
        )

    def test_lost(self) -> None:
        """
        If it was not closed by one of its sides, the line says why.
        """
        self.lines()
        _, phone = self.joined()
        phone.lose(ConnectionLost("unplugged"))
        self.reactor.advance(0)
        (line,) = self.lines()
        self.assertIn("; ended by: ", line)
        self.assertIn("unplugged", line)

    def test_refused(self) -> None:
        """
        If there was no connection, the line says why, and the client is closed.
        """
        self.phone.answers[PORT] = ConnectionRefusedError("nothing listens there")
        client = self.come()
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("192.0.2.7:50000 was not connected to the phone: ", line)
        self.assertIn("nothing listens there", line)
        self.assertTrue(client.disconnected)
        self.assertEqual((self.service.failed, self.service.connections), (1, set()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_rateLimit(self) -> None:
        """
        A program that tries again and again does not fill the log.
        """
        self.phone.answers[PORT] = ConnectionRefusedError()
        for _ in range(50):
            self.come()
        self.assertEqual(len(self.lines(LogLevel.warn)), 5)
        self.reactor.advance(60)
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("45 more connections ended the same way (ConnectionRefusedError)", line)
        self.assertEqual(self.service.failed, 50)

    def test_defect(self) -> None:
        """
        An endpoint that raises what it should not costs one connection, and
        leaves its traceback.
        """
        self.phone.answers[PORT] = ZeroDivisionError("defect")
        client = self.come()
        self.assertTrue(client.disconnected)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nameless(self) -> None:
        """
        A client without an address is a program.
        """
        self.lines()
        end = cast(PipeEnd, self.door.factory.buildProtocol(UNIXAddress(None)))
        transport = BudgetTransport(self.reactor, None, end)
        end.makeConnection(transport)
        transport.lose()
        self.reactor.advance(0)
        (line,) = self.lines()
        self.assertIn(": a program sent 0 bytes", line)


class ServiceTests(RelayCase):
    """
    Tests of the service's own life.
    """

    def test_interfaces(self) -> None:
        """
        It is a service, and what these tests use keeps the contracts.
        """
        verifyObject(IService, self.service)
        verifyObject(IStreamServerEndpoint, self.door)
        verifyObject(IListeningPort, Port())

    def test_stop(self) -> None:
        """
        Stopping lets nobody in any more, lets both sides have what was sent to
        them, and closes them.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"last words")
        stopped = self.service.stopService()
        assert self.door.port is not None
        self.assertFalse(self.door.port.open)
        self.reactor.advance(0)
        self.assertNoResult(stopped)
        self.assertEqual(client.take(), b"last words")
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(phone.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopWhileConnecting(self) -> None:
        """
        An attempt that is under way is given up.
        """
        client, attempt = self.waiting()
        stopped = self.service.stopService()
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(attempt.cancelled)
        self.assertTrue(client.disconnected)

    def test_stopDeadline(self) -> None:
        """
        Stopping takes only so long, whoever does not read.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"never read")
        stopped = self.service.stopService()
        self.reactor.advance(self.limits.stopTimeout)
        self.successResultOf(stopped)
        self.assertFalse(client.disconnected)
        self.reactor.advance(self.limits.flushTimeout)
        self.reactor.advance(0)
        self.assertTrue(client.disconnected)

    def test_again(self) -> None:
        """
        It can be started again.
        """
        self.successResultOf(self.service.stopService())
        self.service.startService()
        client, _ = self.joined()
        self.assertFalse(client.disconnected)

    def test_privileged(self) -> None:
        """
        It listens before privileges are given up, and once.
        """
        door = Door()
        service = RelayService(self.reactor, [Route(door, self.phone.endpoint(PORT))])
        service.privilegedStartService()
        port = door.port
        self.assertIsNotNone(port)
        service.startService()
        self.assertIs(door.port, port)

    def test_cannotListen(self) -> None:
        """
        If one door cannot be opened, none is, and it says which.
        """
        first, second = Door(), Door()
        second.error = CannotListenError("127.0.0.1", 22, OSError(98, "Address already in use"))
        to = self.phone.endpoint(PORT)
        service = RelayService(self.reactor, [Route(first, to), Route(second, to)])
        error = self.assertRaises(CannotListen, service.startService)
        self.assertIn("Address already in use", str(error))
        assert first.port is not None
        self.assertFalse(first.port.open)
        self.assertFalse(service.running)

    def test_descriptions(self) -> None:
        """
        Endpoints may be described; the log then uses the descriptions.
        """
        self.lines()
        route = Route("tcp:2222:interface=127.0.0.1", "tcp:host=192.0.2.1:port=22")
        RelayService(self.reactor, [route]).startService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (2222, "127.0.0.1"))
        (line,) = self.lines()
        self.assertIn(", for tcp:host=192.0.2.1:port=22", line)

    def test_wrongDescriptions(self) -> None:
        """
        Descriptions that make no sense are refused before anything is opened.
        """
        for listen, to in (
            ("cupboard:1", "tcp:host=a:port=1"),
            ("tcp:1", "cupboard:1"),
            ("tcp:1", "usbmux:port=x"),
            ("tcp:1", "tcp:nowhere=1"),
            ("tcp", "tcp:host=a:port=1"),
        ):
            self.assertRaises(ValueError, RelayService, self.reactor, [Route(listen, to)])
        self.assertEqual(self.reactor.tcpServers, [])


class AddressTests(SynchronousTestCase):
    """
    Tests of L{addressText}.
    """

    def test_addresses(self) -> None:
        """
        Addresses are written as one would type them.
        """
        for address, text in (
            (CLIENT, "192.0.2.7:50000"),
            (IPv6Address("TCP", "::1", 22), "[::1]:22"),
            (UNIXAddress("/run/x"), "/run/x"),
            (UNIXAddress(None), ""),
            (None, ""),
        ):
            self.assertEqual(addressText(address), text)
