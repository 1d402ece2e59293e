"""
A relay from a listening point, where tests let clients in, to a phone.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
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

from muxd.limits import Limits
from muxd.relay import RelayService, Route
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
class ListeningPoint:
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
    A relay from a listening point to a phone.
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
        self.listening = ListeningPoint()
        route = Route(self.listening, self.phone.endpoint(PORT), "the phone")
        self.service = RelayService(self.reactor, [route], limits=self.limits)
        self.service.startService()

    def come(self, budget: int | None = None) -> BudgetTransport:
        """
        Connect a client.

        @param budget: How much it reads at first; None is everything.
        """
        end = self.listening.factory.buildProtocol(CLIENT)
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
