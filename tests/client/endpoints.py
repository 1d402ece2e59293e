"""
What the tests of endpoints have in common.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.endpoint import UsbmuxClientEndpoint
from tests.client.daemons import DaemonConnection
from tests.client.hosts import Host


class Application(Protocol):
    """
    Keeps what it gets.

    @ivar ended: How its connection ended.
    """

    data = b""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep the reason's name.
        """
        self.ended.append(type(reason.value).__name__)

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data


class EndpointCase(SynchronousTestCase):
    """
    An endpoint and a host with one phone.
    """

    def start(self, connection: type[DaemonConnection] = DaemonConnection) -> None:
        """
        Begin with a daemon of some kind.
        """
        self.host = Host(connection)
        self.host.daemon.attach(1)

    def endpoint(self, **options: Any) -> UsbmuxClientEndpoint:
        """
        An endpoint of port 22.
        """
        return UsbmuxClientEndpoint(self.host.reactor, 22, via=self.host.access(), **options)

    def connect(self, **options: Any) -> Deferred[IProtocol]:
        """
        Connect an application, as far as it goes without time.
        """
        connecting = self.endpoint(**options).connect(Factory.forProtocol(Application))
        self.host.settle()
        return connecting

    def application(self, connecting: Deferred[IProtocol]) -> Application:
        """
        The application, which is connected.
        """
        application = self.successResultOf(connecting)
        assert isinstance(application, Application)
        return application

    def failure(self, connecting: Deferred[IProtocol], kind: type[Exception]) -> Any:
        """
        Why it did not work; nothing is left of the attempt.
        """
        error = self.failureResultOf(connecting, kind).value
        self.assertClean()
        return error

    def assertClean(self) -> None:
        """
        No socket, no attempt at one and no timer is left.
        """
        self.host.settle()
        self.assertEqual([], self.host.openSockets())
        self.assertTrue(all(each.stoppedConnecting for each in self.host.reactor.connectors))
        self.assertEqual([], self.host.reactor.getDelayedCalls())
