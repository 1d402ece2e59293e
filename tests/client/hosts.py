"""
Machines in memory: a daemon, Twisted's own endpoints in front of it, and time
that only passes when it is told to.
"""

from __future__ import annotations

from twisted.internet.error import ConnectError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from muxd.client.access import DaemonAccess, daemonAccess
from tests.client.daemons import DaemonConnection, FakeDaemon
from tests.client.transports import MemoryTransport, connectInMemory

SOCKET = "/run/test.sock"


def logOf(case: SynchronousTestCase) -> list[LogEvent]:
    """
    What is logged from now on, until the test is over.
    """
    events: list[LogEvent] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        events.append(event)

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return events


class Host:
    """
    A machine, with a daemon on C{SOCKET} unless C{running} is false.

    @ivar transports: The programs' ends of all sockets there ever were.
    """

    def __init__(self, connection: type[DaemonConnection] = DaemonConnection) -> None:
        self.reactor = MemoryReactorClock()
        self.daemon = FakeDaemon(connection)
        self.running = True
        self.accepting = True
        self.transports: list[MemoryTransport] = []

    def access(self) -> DaemonAccess:
        """
        A new way to this daemon.
        """
        return daemonAccess(self.reactor, f"unix:{SOCKET}")

    def openSockets(self) -> list[MemoryTransport]:
        """
        What the program has not closed.
        """
        return [transport for transport in self.transports if not transport.closed]

    def settle(self) -> None:
        """
        Let everything happen that can happen now.
        """
        for _ in range(1000):
            self.reactor.advance(0)
            accepted = self.accepting and self._accept()
            moved = [end.step() for near in self.transports for end in (near, near.peer)]
            if not accepted and not any(moved):
                return
        raise AssertionError("it does not come to rest")

    def advance(self, seconds: float) -> None:
        """
        Let time pass, in one step, and then everything happen.
        """
        self.settle()
        self.reactor.advance(seconds)
        self.settle()

    def killDaemon(self) -> None:
        """
        The daemon dies, and its sockets with it.
        """
        self.running = False
        for transport in self.transports:
            transport.peer.abortConnection()
        self.settle()

    def _accept(self) -> bool:
        clients, self.reactor.unixClients = self.reactor.unixClients, []
        connectors, self.reactor.connectors = self.reactor.connectors, []
        for (_, factory, _, _), connector in zip(clients, connectors, strict=True):
            if connector.stoppedConnecting:
                continue
            if self.running:
                served = self.daemon.serve()
                self.transports.append(connectInMemory(factory.buildProtocol(None), served))
            else:
                factory.clientConnectionFailed(
                    connector, Failure(ConnectError(2, "No such file or directory"))
                )
        return bool(clients)
