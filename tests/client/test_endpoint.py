# -*- test-case-name: tests.client.test_endpoint -*-
"""
Tests for L{muxd.client.endpoint}: connections that are made, and that are not.
"""

from __future__ import annotations

from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.client.errors import (
    DaemonLost,
    DaemonNonsense,
    NoDaemon,
    NoPhone,
    PhoneGone,
    PortRefused,
    SeveralPhones,
    UnknownUDID,
)
from muxd.client.selection import Network
from tests.client.daemons import (
    OTHER_UDID,
    UDID,
    BinaryOnlyConnection,
    ChattyConnection,
    DaemonConnection,
    DyingConnection,
    PlistOnlyConnection,
    lying,
)
from tests.client.endpoints import Application, EndpointCase


class ConnectTests(EndpointCase):
    """
    Connections that are made.
    """

    def test_interface(self) -> None:
        """
        It is an endpoint like any other.
        """
        self.start()
        verifyObject(IStreamClientEndpoint, self.endpoint())

    def test_everyDaemon(self) -> None:
        """
        The phone is reached through daemons of every kind; what it says first is
        glued to the Result and is not lost.
        """
        for kind in (
            DaemonConnection,
            PlistOnlyConnection,
            BinaryOnlyConnection,
            ChattyConnection,
        ):
            self.start(kind)
            self.host.daemon.greeting = b"SSH-2.0-phone\r\n"
            connecting = self.connect()
            self.host.advance(0.1)
            application = self.application(connecting)
            self.assertEqual(b"SSH-2.0-phone\r\n", application.data)
            assert application.transport is not None
            application.transport.write(b"SSH-2.0-host\r\n")
            self.host.settle()
            self.assertEqual(b"SSH-2.0-host\r\n", self.host.daemon.streams()[0].received)
            self.assertEqual(1, len(self.host.openSockets()))

    def test_realTransport(self) -> None:
        """
        The application's transport is that of the daemon's socket.
        """
        self.start()
        application = self.application(self.connect())
        (socket,) = self.host.openSockets()
        self.assertIs(socket, application.transport)

    def test_repr(self) -> None:
        """
        Logs can say which port of which phone it is.
        """
        self.start()
        self.assertIn("port 22 of the only phone", repr(self.endpoint()))
        self.assertIn(UDID, repr(self.endpoint(udid=UDID)))

    def test_daemonDies(self) -> None:
        """
        When the daemon dies, so does the application's connection.
        """
        self.start()
        application = self.application(self.connect())
        self.host.killDaemon()
        self.assertEqual(["ConnectionLost"], application.ended)
        self.assertClean()

    def test_phoneEnds(self) -> None:
        """
        When the phone ends the connection, all that it sent arrives first, and
        the end is a clean one.
        """
        self.start()
        application = self.application(self.connect())
        (stream,) = self.host.daemon.streams()
        stream.transport.write(b"goodbye")
        stream.transport.loseConnection()
        self.host.settle()
        self.assertEqual(b"goodbye", application.data)
        self.assertEqual(["ConnectionDone"], application.ended)
        self.assertClean()

    def test_halfClose(self) -> None:
        """
        An application that knows half-closed connections has them in both
        directions.
        """

        @implementer(IHalfCloseableProtocol)
        class HalfCloseable(Application):
            def readConnectionLost(self) -> None:
                self.ended.append("read")

            def writeConnectionLost(self) -> None:
                self.ended.append("write")

        self.start()
        connecting = self.endpoint().connect(Factory.forProtocol(HalfCloseable))
        self.host.settle()
        application = self.application(connecting)
        (socket,) = self.host.openSockets()
        (stream,) = self.host.daemon.streams()
        stream.transport.loseWriteConnection()
        self.host.settle()
        socket.write(b"still here")
        self.host.settle()
        self.assertEqual(b"still here", stream.received)
        socket.loseWriteConnection()
        self.assertEqual(["read", "write"], application.ended)
        socket.loseConnection()
        self.host.settle()
        self.assertEqual(["read", "write", "ConnectionDone"], application.ended)

    def test_lookedUpAnew(self) -> None:
        """
        The phone is looked for at every connection, since plugging it in gives
        it another number.
        """
        self.start()
        endpoint = self.endpoint(udid=UDID)
        for deviceID in (1, 2):
            connecting = endpoint.connect(Factory.forProtocol(Application))
            self.host.settle()
            self.application(connecting)
            self.host.daemon.detach(deviceID)
            self.host.daemon.attach(deviceID + 1)

    def test_network(self) -> None:
        """
        Which of two ways to a phone is taken can be chosen.
        """
        for network, kind in ((Network.YES, "USB"), (Network.PREFER, "Network")):
            self.start()
            self.host.daemon.attach(2, kind="Network")
            seen: list[Any] = []

            class Seeing(Factory):
                def buildProtocol(self, addr: Any, seen: list[Any] = seen) -> Protocol:
                    seen.append(addr)
                    return Protocol()

            connecting = self.endpoint(network=network).connect(Seeing())
            self.host.settle()
            self.successResultOf(connecting)
            self.assertEqual(kind, self.host.daemon.devices[seen[0].deviceID]["ConnectionType"])

    def test_clientService(self) -> None:
        """
        Twisted's own reconnecting service works with it.
        """
        self.start()
        service = ClientService(
            self.endpoint(),
            Factory.forProtocol(Application),
            retryPolicy=lambda _: 1.0,
            clock=self.host.reactor,
        )
        service.startService()
        self.host.settle()
        self.assertEqual(1, len(self.host.daemon.streams()))
        self.host.daemon.streams()[0].transport.loseConnection()
        self.host.settle()
        self.assertEqual(0, len(self.host.daemon.streams()))
        self.host.advance(1)
        self.assertEqual(1, len(self.host.daemon.streams()))
        stopping = service.stopService()
        self.host.settle()
        self.successResultOf(stopping)
        self.assertClean()

    def test_producer(self) -> None:
        """
        When the phone ends the connection, a producer that the application has
        registered, even a paused one, does not keep it open.
        """
        self.start()
        application = self.application(self.connect())
        stopped: list[bool] = []

        @implementer(IPushProducer)
        class Producer:
            def pauseProducing(self) -> None:
                """
                It writes nothing anyway.
                """

            resumeProducing = pauseProducing

            def stopProducing(self) -> None:
                stopped.append(True)

        (socket,) = self.host.openSockets()
        socket.registerProducer(Producer(), True)
        self.host.daemon.streams()[0].transport.loseConnection()
        self.host.settle()
        self.assertEqual([True], stopped)
        self.assertEqual(["ConnectionDone"], application.ended)
        self.assertClean()


class FailureTests(EndpointCase):
    """
    Connections that are not made.
    """

    def test_noDaemon(self) -> None:
        """
        No daemon is there to ask.
        """
        self.start()
        self.host.running = False
        self.failure(self.connect(), NoDaemon)

    def test_noPhone(self) -> None:
        """
        No phone is there.
        """
        self.start()
        self.host.daemon.detach(1)
        self.failure(self.connect(), NoPhone)

    def test_unknown(self) -> None:
        """
        Another phone is there.
        """
        self.start()
        self.assertIn(UDID, str(self.failure(self.connect(udid=OTHER_UDID), UnknownUDID)))

    def test_several(self) -> None:
        """
        Two are there, and nobody says which.
        """
        self.start()
        self.host.daemon.attach(2, OTHER_UDID)
        self.failure(self.connect(wait=10), SeveralPhones)

    def test_refused(self) -> None:
        """
        Nothing listens on the phone's port.
        """
        self.start()
        self.host.daemon.results[22] = 3
        self.failure(self.connect(), PortRefused)

    def test_gone(self) -> None:
        """
        The phone goes between being found and being connected to.
        """

        class Going(DaemonConnection):
            def requestReceived(self, name: str, values: Any, tag: int) -> None:
                super().requestReceived(name, values, tag)
                self.daemon.devices.clear()

        self.start(Going)
        self.failure(self.connect(), PhoneGone)

    def test_dying(self) -> None:
        """
        The daemon hangs up.
        """
        self.start(DyingConnection)
        self.failure(self.connect(), DaemonLost)

    def test_nonsense(self) -> None:
        """
        Something else listens there.
        """
        self.start(lying(lambda tag: b"HTTP/1.1 400 Bad Request\r\n"))
        self.failure(self.connect(), DaemonNonsense)

    def test_raisingFactory(self) -> None:
        """
        The application's factory fails.
        """

        class Raising(Factory):
            def buildProtocol(self, addr: Any) -> Protocol:
                raise ZeroDivisionError

        self.start()
        connecting = self.endpoint().connect(Raising())
        self.host.settle()
        self.failure(connecting, ZeroDivisionError)

    def test_generic(self) -> None:
        """
        Code that knows nothing of phones sees a C{ConnectError}.
        """
        self.start(DyingConnection)
        self.failure(self.connect(), ConnectError)
