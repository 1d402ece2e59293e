# -*- test-case-name: tests.client.test_persistent -*-
"""
Tests of L{muxd.client.persistent}.
"""

from __future__ import annotations

from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.persistent import PersistentClient


class PersistentClientTests(SynchronousTestCase):
    """
    Tests of L{PersistentClient}.
    """

    def setUp(self) -> None:
        """
        Have one that runs, and watch the log.
        """
        self.reactor = MemoryReactorClock()
        self.service = PersistentClient(
            clientFromString(self.reactor, "unix:/x"),
            Factory.forProtocol(Protocol),
            retryPolicy=lambda _: 1.0,
            clock=self.reactor,
        )
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.service.startService()

    def test_quiet(self) -> None:
        """
        It tries again and again, and says so to those alone who look for a fault.
        """
        for attempt in range(1, 4):
            self.assertEqual(len(self.reactor.unixClients), attempt)
            _, factory, *_ = self.reactor.unixClients[-1]
            factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(ConnectError()))
            self.reactor.advance(1)
        said = [(event["log_level"], event.get("attempt")) for event in self.log]
        self.assertEqual(said, [(LogLevel.debug, number) for number in (1, 2, 3)])

    def test_mistake(self) -> None:
        """
        What is no news of an attempt is said as it is.
        """
        self.service.startService()
        self.assertEqual([event["log_level"] for event in self.log], [LogLevel.warn])
