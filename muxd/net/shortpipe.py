# -*- test-case-name: tests.net.test_shortpipe -*-
"""
A pipe of two bare sockets, for as long as nothing but bytes happens.

What comes from one socket is read into a piece of memory, and sent from there to the other,
which takes all of it: that is what nearly all of a stream of small messages is.  Nothing
waits here.  A socket that does not take all, an end of file, an error, or a second end that
only a transport can have, are for L{Pipe} to handle: both sockets get transports then, and are
joined by an ordinary one with what there is.

But for the commonest end: a peer has gone, and nothing is left for the other.  That is as
simple here as it is there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import ENOTCONN
from typing import Any, Protocol

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.net.eventloop import GONE, READABLE, EventLoop
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import Presence, presenceOf
from muxd.net.pipe import Pipe, PipeEnd
from muxd.net.socketway import SocketAttempt, SocketWay
from muxd.net.streams import BLOCKED, StreamSocket


class ShortKeeper(Protocol):
    """
    What has such pipes.
    """

    loop: EventLoop
    """Watches their sockets."""

    memory: PacketMemory
    """Everything goes through it; it is in use within a call only."""

    sockets: Any
    """A reactor for transports."""

    way: SocketWay
    """Where their second ends are."""

    def ordinary(self, short: ShortPipe, to: IStreamClientEndpoint | None) -> Pipe:
        """
        Have an ordinary pipe instead of this one, whose second end is connected as soon as
        the first one is.

        @param to: Where to; None for where the way leads.
        """

    def shortOver(self, short: ShortPipe, reason: Failure, isJoined: bool) -> None:
        """
        A pipe is over, and was never an ordinary one.

        @param isJoined: Whether the second end was there.
        """


class ShortSide:
    """
    One of the two sockets.

    @ivar socket: It is read from.
    @ivar target: What has come goes there.
    @ivar received: How many bytes have come.
    """

    __slots__ = ("_pipe", "received", "socket", "target")

    def __init__(self, pipe: ShortPipe, own: StreamSocket, target: StreamSocket) -> None:
        self.socket = own
        self.target = target
        self.received = 0
        self._pipe: ShortPipe | None = pipe

    def happened(self, events: int) -> None:
        """
        Pass on what has come.
        """
        pipe = self._pipe
        if pipe is None:
            return
        memory = pipe.memory
        count = memory.receive(self.socket, 0, memory.size)
        if count > 0:
            self.received += count
            sent = memory.send(self.target, 0, count)
            if sent != count:
                # An error will be met again by the transport, which knows what to do.
                sent = max(sent, 0)
                pipe.heldUp(self, memory.read(sent, count - sent))
        elif count == 0:
            pipe.ended(self)
        elif count != BLOCKED:
            pipe.broken()
        elif events & GONE:
            pipe.heldUp(self, b"")

    def failed(self, failure: Failure) -> None:
        """
        A mistake of ours.
        """
        if self._pipe is not None:
            self._pipe.over(failure)

    def forgetPipe(self) -> None:
        """
        Nothing of a pipe that is over refers to itself: it would stay in memory until Python
        looks for such circles.
        """
        self._pipe = None


class ShortPipe:
    """
    The two together.

    @ivar client: The first end's address, in words.
    @ivar began: When it came.
    @ivar memory: Everything goes through it.
    @ivar sent: How many bytes have come from the first end.
    @ivar got: And from the second one.
    """

    __slots__ = (
        "_arrived",
        "_attempt",
        "_family",
        "_first",
        "_keeper",
        "_loop",
        "_second",
        "began",
        "client",
        "memory",
    )

    def __init__(
        self, keeper: ShortKeeper, arrived: StreamSocket, family: int, client: str, began: float
    ) -> None:
        """
        @param arrived: The first end.
        @param family: Of that socket.
        """
        self.client = client
        self.began = began
        self.memory = keeper.memory
        self._keeper = keeper
        self._loop = keeper.loop
        self._arrived = arrived
        self._family = family
        self._attempt: SocketAttempt | None = None
        self._first: ShortSide | None = None
        self._second: ShortSide | None = None

    def begin(self) -> None:
        """
        Go for the second end.
        """
        self._attempt = self._keeper.way.open(self)
        if self._attempt is None:
            self.needsTransport()

    @property
    def sent(self) -> int:
        """
        How many bytes have come from the first end.
        """
        return 0 if self._first is None else self._first.received

    @property
    def got(self) -> int:
        """
        How many bytes have come from the second end.
        """
        return 0 if self._second is None else self._second.received

    def stop(self) -> Deferred[None]:
        """
        End it.

        @return: fires when both ends are gone.
        """
        if self._attempt is not None:
            self.over(self._attempt.cancel())
        else:
            self.over(Failure(ConnectionDone("the relay is stopped")))
        return succeed(None)

    # SocketTaker

    def socketReady(self, connected: StreamSocket, data: bytes) -> None:
        """
        Join the two.
        """
        self._attempt = None
        first = self._first = ShortSide(self, self._arrived, connected)
        second = self._second = ShortSide(self, connected, self._arrived)
        if data:
            second.received = len(data)
            sent = self._arrived.send(data)
            if sent != len(data):
                self.heldUp(second, data[max(sent, 0) :])
                return
        self._loop.watch(self._arrived.fileno(), READABLE, first)
        self._loop.watch(connected.fileno(), READABLE, second)

    def socketFailed(self, reason: Failure) -> None:
        """
        There is no second end.
        """
        self._attempt = None
        self.over(reason)

    def needsTransport(self) -> None:
        """
        Have the second end connected by its endpoint.
        """
        self._attempt = None
        self._becomeOrdinary(None)

    # What happens to its sides

    def heldUp(self, side: ShortSide, data: bytes) -> None:
        """
        Have what has come from a side wait for the other one.
        """
        end = self._joinOrdinarily(side)
        if end is not None and data and end.peer.consumer is not None:
            end.peer.consumer.write(data)

    def ended(self, side: ShortSide) -> None:
        """
        A side has finished sending.
        """
        if presenceOf(side.socket.fileno()) is Presence.GONE:
            self.over(Failure(ConnectionDone()))
        else:
            self._joinOrdinarily(side)

    def broken(self) -> None:
        """
        A side cannot be read from any more.
        """
        self.over(Failure(ConnectionLost()))

    def over(self, reason: Failure) -> None:
        """
        Both ends are closed.
        """
        second = self._second
        self._leave()
        self._arrived.close()
        if second is not None:
            second.socket.close()
        self._keeper.shortOver(self, reason, second is not None)

    def _leave(self) -> None:
        """
        Let the sockets be watched no more.
        """
        for side in (self._first, self._second):
            if side is not None:
                self._loop.forget(side.socket.fileno())
                side.forgetPipe()

    def _joinOrdinarily(self, side: ShortSide) -> PipeEnd | None:
        """
        Become an ordinary pipe that is joined.

        @return: its end of this side; None if that was not possible.
        """
        first, second = self._first, self._second
        assert first is not None and second is not None
        self._leave()
        pipe = self._becomeOrdinary(_Connected(self._keeper.sockets, second.socket))
        if pipe is None:
            return None
        ends = pipe.first, pipe.second
        ends[0].received, ends[1].received = first.received, second.received
        return ends[0] if side is first else ends[1]

    def _becomeOrdinary(self, to: IStreamClientEndpoint | None) -> Pipe | None:
        first = _First(lambda: self._keeper.ordinary(self, to))
        try:
            self._keeper.sockets.adoptStreamConnection(self._arrived.fileno(), self._family, first)
        except OSError as error:
            # It has been reset, or there is no descriptor for the moment it needs two.
            self.over(Failure(ConnectionLost() if error.errno == ENOTCONN else error))
            return None
        self._arrived.close()
        return first.pipe


class _First(Factory):
    """
    Has an ordinary pipe, once there is a transport for its first end.

    @ivar pipe: That.
    """

    noisy = False

    def __init__(self, make: Callable[[], Pipe]) -> None:
        self.pipe: Pipe | None = None
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        The first end.
        """
        self.pipe = self._make()
        return self.pipe.first


class _Only(Factory):
    """
    Has one protocol, which is built already.
    """

    noisy = False

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        That one.
        """
        return self._protocol


@implementer(IStreamClientEndpoint)
class _Connected:
    """
    An endpoint that is connected to already.
    """

    def __init__(self, reactor: Any, connected: StreamSocket) -> None:
        self._reactor = reactor
        self._connected = connected

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Make a transport of the socket.
        """
        try:
            protocol = protocolFactory.buildProtocol(UNIXAddress(None))
            if protocol is None:
                raise NoProtocol
            self._reactor.adoptStreamConnection(
                self._connected.fileno(), socket.AF_UNIX, _Only(protocol)
            )
        finally:
            self._connected.close()
        return succeed(protocol)
