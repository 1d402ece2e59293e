# -*- test-case-name: tests.tap.test_tunnels -*-
"""
Two streams that are joined, each with transports of Twisted's; and one that is a program's, which
has come to a door of a phone's tunnel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.limits import Limits
from muxd.tunnel.opening import SharedTunnel


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


class SharedDoors(TypingProtocol):
    """
    What programs of all doors have in common.

    @ivar reactor: What all of it lives on.
    @ivar visitors: How many programs there are.
    """

    reactor: Any
    tunnel: SharedTunnel
    limits: Limits
    visitors: int


class VisitingHalf(Half, TimeoutMixin):
    """
    A program that has so long to say what it wants, and counts as one for as long as it is
    connected.
    """

    def __init__(self, tunnels: SharedDoors) -> None:
        self._tunnels = tunnels
        self._connecting: Deferred[Any] | None = None

    def callLater(self, period: float, func: Callable[[], object]) -> IDelayedCall:
        """
        Have the time-out on the reactor that all of it lives on.
        """
        later: IDelayedCall = self._tunnels.reactor.callLater(period, func)
        return later

    def connectionMade(self) -> None:
        """
        One more, which is not waited for long.
        """
        self._tunnels.visitors += 1
        self.setTimeout(self._tunnels.limits.tunnelTimeout)

    def timeoutConnection(self) -> None:
        """
        It has said nothing.
        """
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        One less.
        """
        self._tunnels.visitors -= 1
        self.setTimeout(None)
        if self._connecting is not None:
            self._connecting.cancel()
        super().connectionLost(reason)
