# -*- test-case-name: tests.test_relay -*-
"""
Tests of L{muxd.relay}: the service's own life.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.internet.error import CannotListenError, ConnectingCancelledError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface.verify import verifyObject

from muxd.net.socketfile import CannotListen
from muxd.relay import RelayService, Route
from tests.relays import PORT, ListeningPoint, Port, RelayCase


class ServiceTests(RelayCase):
    """
    Tests of the service's own life.
    """

    def test_interfaces(self) -> None:
        """
        It is a service, and what these tests use keeps the contracts.
        """
        verifyObject(IService, self.service)
        verifyObject(IStreamServerEndpoint, self.listening)
        verifyObject(IListeningPort, Port())

    def test_stop(self) -> None:
        """
        Stopping lets nobody in any more, lets both sides have what was sent to
        them, and closes them.
        """
        client, phone = self.joined(budget=0)
        phone.deliver(b"last words")
        stopped = self.service.stopService()
        assert self.listening.port is not None
        self.assertFalse(self.listening.port.open)
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

    def test_cancelled(self) -> None:
        """
        That an attempt is given up, as Twisted's own endpoints tell it, is no defect.
        """
        _, attempt = self.waiting()
        attempt.refuse(ConnectingCancelledError(None))
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.service.failed, 1)

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
        listening = ListeningPoint()
        service = RelayService(self.reactor, [Route(listening, self.phone.endpoint(PORT))])
        service.privilegedStartService()
        port = listening.port
        self.assertIsNotNone(port)
        service.startService()
        self.assertIs(listening.port, port)

    def test_cannotListen(self) -> None:
        """
        If one endpoint cannot be opened, none is, and it says which.
        """
        first, second = ListeningPoint(), ListeningPoint()
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
