# -*- test-case-name: tests.tap.test_tunnels -*-
"""
Two streams that are joined, each with transports of Twisted's.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """
    One of two ends that are joined: what comes at one goes out at the other.
    """

    other: Half | None = None

    def join(self, other: Half) -> None:
        """
        Join two ends that are connected.
        """
        self.other, other.other = other, self
        for one, two in ((self, other), (other, self)):
            transport: Any = one.transport
            transport.registerProducer(two.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        if self.other is not None and self.other.transport is not None:
            self.other.deliver(data)

    def deliver(self, data: bytes) -> None:
        """
        Say what came at the other end.
        """
        assert self.transport is not None
        self.transport.write(data)

    def finish(self) -> None:
        """
        The other end has said everything.
        """
        transport: Any = self.transport
        transport.loseWriteConnection()

    def readConnectionLost(self) -> None:
        """
        Pass on the end of one direction.
        """
        if self.other is not None:
            transport: Any = self.other.transport
            transport.unregisterProducer()
            self.other.finish()

    def writeConnectionLost(self) -> None:
        """
        The other end has said everything.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        With one end the other ends, after what was said.
        """
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            transport: Any = other.transport
            transport.unregisterProducer()
            other.end()

    def end(self) -> None:
        """
        The other end is gone.
        """
        transport: Any = self.transport
        transport.loseConnection()
