"""
Two ends of a tunnel and a pipe between them that need not be a good one.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.limits import LIMITS, Limits
from muxd.tunnel.stack import TunnelEndpoint, TunnelStack

HOST, PHONE = IPv6Address("fd00::2"), IPv6Address("fd00::1")
PORT = 7
SMALL = replace(LIMITS, tunnelWindow=1 << 16, tunnelInFlight=1 << 16, tunnelSessions=4)


class Talker(Protocol):
    """
    A protocol that writes down what happens.

    @ivar heard: What was received.
    @ivar lost: Why it ended.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.lost = reason

    @property
    def wire(self) -> Any:
        """
        The transport.
        """
        return self.transport


@implementer(IHalfCloseableProtocol)
class HalfTalker(Talker):
    """
    One that knows the ends of both directions.

    @ivar events: What it was told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def readConnectionLost(self) -> None:
        """
        The other side has finished.
        """
        self.events.append("read")

    def writeConnectionLost(self) -> None:
        """
        This side has.
        """
        self.events.append("write")


class Making(Factory):
    """
    Makes protocols and remembers them.
    """

    noisy = False

    def __init__(self, kind: Callable[[], Protocol] = Talker) -> None:
        self._kind = kind
        self.made: list[Any] = []
        self.stops = 0

    def buildProtocol(self, addr: Any) -> Protocol:
        """
        One.
        """
        self.made.append(self._kind())
        made: Protocol = self.made[-1]
        return made

    def stopFactory(self) -> None:
        """
        Count it.
        """
        self.stops += 1


class Ends:
    """
    Both ends of a tunnel.

    @ivar host: The host's.
    @ivar phone: The phone's.
    @ivar server: What listens at the phone's.
    @ivar lose: Whether a packet is lost, decided for each.
    @ivar swap: Whether it is overtaken by the next one.
    """

    def __init__(
        self,
        kind: Callable[[], Protocol] = Talker,
        mtu: int = 1280,
        limits: Limits = SMALL,
        seed: int = 1,
    ) -> None:
        self.clock = Clock()
        self.random = random.Random(seed)
        self.wire: deque[tuple[bool, bytes]] = deque()
        self.server = Making(kind)
        self.lose: Callable[[], bool] = lambda: False
        self.swap: Callable[[], bool] = lambda: False

        def stack(isHost: bool) -> TunnelStack:
            ours, theirs = (HOST, PHONE) if isHost else (PHONE, HOST)
            return TunnelStack(
                self.clock,
                ours,
                theirs,
                mtu,
                lambda packet: self.wire.append((isHost, packet)),
                self.random.randbytes,
                {} if isHost else {PORT: self.server},
                limits,
            )

        self.host, self.phone = stack(True), stack(False)

    def deliver(self) -> None:
        """
        Deliver what is on its way.
        """
        while self.wire:
            isHost, packet = self.wire.popleft()
            if self.lose():
                continue
            if self.wire and self.swap():
                self.wire.insert(1, (isHost, packet))
                continue
            (self.phone if isHost else self.host).packetReceived(packet)

    def run(self, seconds: float = 0.1, until: Callable[[], bool] = lambda: False) -> None:
        """
        Let time pass.
        """
        end = self.clock.seconds() + seconds
        self.deliver()
        while self.clock.seconds() < end and not until():
            self.clock.advance(0.05)
            self.deliver()

    def connect(self, kind: Callable[[], Protocol] = Talker) -> tuple[Any, Any]:
        """
        A connection: the host's protocol and the phone's.
        """
        client = Making(kind)
        found: list[Any] = []
        TunnelEndpoint(self.host, PORT).connect(client).addCallback(found.append)
        self.run()
        assert found == client.made
        return found[0], self.server.made[-1]

    def isEmpty(self) -> bool:
        """
        Whether nothing is left of any connection.
        """
        return not (self.host.connections or self.phone.connections or self.clock.getDelayedCalls())


def isDone(reason: Failure | None) -> bool:
    """
    Whether a connection ended as it should.
    """
    return reason is not None and reason.check(ConnectionDone) is not None
