# -*- test-case-name: tests.test_relayed -*-
"""
Tests of L{muxd.relay}, and of what L{muxd.relay} logs of connections.
"""

from __future__ import annotations

import sys
from typing import cast
from unittest import skipUnless

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.pipe import PipeEnd
from muxd.relay import RelayedConnection, RelayService, Route, addressText
from muxd.testing import BudgetTransport
from tests.net.test_hangupwatch import SocketTransport
from tests.relays import CLIENT, PORT, RelayCase


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
        route = Route(self.listening, self.phone.endpoint(PORT))
        service = RelayService(self.reactor, [route], buffer=1000)
        service.startService()
        self.joined()
        (connection,) = service.connections
        assert isinstance(connection, RelayedConnection)
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

    @skipUnless(sys.platform.startswith("linux"), "only Linux tells")
    def test_killedUnread(self) -> None:
        """
        A client that is killed while the phone takes nothing from it is noticed, though
        it is not read from; the phone gets what it takes.
        """
        end = cast("PipeEnd", self.listening.factory.buildProtocol(CLIENT))
        client = SocketTransport(self, self.reactor, end)
        end.makeConnection(client)
        self.reactor.advance(0)
        phone = self.phone.connections[-1].transport
        assert phone is not None
        phone.budget = 0
        while not client.paused:
            client.deliver(bytes(65536))
        client.peer.close()
        self.reactor.pump([self.limits.flushTimeout / 3] * 5)
        self.assertTrue(client.aborted)
        self.assertTrue(phone.disconnecting)

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
        self.assertIsNone(self.listening.factory.buildProtocol(CLIENT))
        (line,) = self.lines(LogLevel.warn)
        self.assertIn("192.0.2.7:50000 is refused, there are 3 connections already", line)
        self.assertEqual((self.service.accepted, self.service.refused), (4, 1))
        clients[0].lose()
        self.reactor.advance(0)
        self.assertIsNotNone(self.listening.factory.buildProtocol(CLIENT))


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
        end = cast(PipeEnd, self.listening.factory.buildProtocol(UNIXAddress(None)))
        transport = BudgetTransport(self.reactor, None, end)
        end.makeConnection(transport)
        transport.lose()
        self.reactor.advance(0)
        (line,) = self.lines()
        self.assertIn(": a program sent 0 bytes", line)


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
