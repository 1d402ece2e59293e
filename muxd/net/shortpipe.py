# -*- test-case-name: tests.net.test_shortpipe -*-
"""
A pipe of two bare sockets, for as long as nothing but bytes happens.

What comes from one socket is read into a piece of memory, and sent from there to the other.
What that does not take of it waits here, and until it has been taken nothing more is read
from where it came from: so no more waits in a direction than the piece of memory has room for.
An end of file, an error, or a second end that only a transport can have, are for L{Pipe} to
handle: both sockets get transports then, and are joined by an ordinary one with what there is.

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
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.net.eventloop import GONE, READABLE, WRITABLE, EventLoop, Watched
from muxd.net.hangup import HangUpWatch
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import PeerInquiry, Presence, presenceOf
from muxd.net.pipe import PipeEnd
from muxd.net.sockets import heldByKernel
from muxd.net.socketway import SocketAttempt, SocketWay
from muxd.net.streams import BLOCKED, StreamSocket

PIECES = 4
"""How often a side is read from before everything else has its turn."""


class OrdinaryPipe(Protocol):
    """
    What such a pipe becomes.
    """

    first: PipeEnd
    second: PipeEnd

    def stop(self) -> Deferred[None]:
        """
        End it: each side gets what was sent to it.

        @return: fires when both ends are gone.
        """


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

    hangUps: HangUpWatch
    """Looks at clients that are not read from."""

    inquiry: PeerInquiry
    """Knows whether clients that have finished sending are there."""

    def ordinary(self, short: ShortPipe, to: IStreamClientEndpoint | None) -> OrdinaryPipe:
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


class ShortSide(Watched):
    """
    One of the two sockets.

    @ivar socket: It is read from.
    @ivar target: What has come goes there.
    @ivar received: How many bytes have come.
    @ivar held: What has come last, if the target has not taken all of it.
    @ivar heldFrom: How many bytes of that it has taken.
    @ivar isStopped: Whether the socket is not listened to, as something is held.
    """

    __slots__ = (
        "_other",
        "_pipe",
        "held",
        "heldFrom",
        "isStopped",
        "received",
        "socket",
        "target",
    )

    def __init__(self, pipe: ShortPipe, own: StreamSocket, target: StreamSocket) -> None:
        self.socket = own
        self.target = target
        self.received = 0
        self.held: bytes | None = None
        self.heldFrom = 0
        self.isStopped = False
        self._pipe: ShortPipe | None = pipe
        self._other: ShortSide | None = None

    def happened(self, events: int) -> None:
        """
        Pass on what has come, and what the other side has for this one.
        """
        if self._pipe is None:
            return
        other = self._other
        if other is not None and other.held is not None and events & (WRITABLE | GONE):
            other.passOn(WRITABLE)
            if self._pipe is None:
                return
        if self.held is None:
            if events & (READABLE | GONE):
                self.passOn(events)
        elif events & GONE:
            self._pipe.becomeOrdinary(self)

    def passOn(self, events: int) -> None:
        """
        Pass on what is held and what has come, as long as the target takes all of it.

        @param events: What has happened.
        """
        pipe = self._pipe
        if pipe is None:
            return
        memory = pipe.memory
        size = memory.size
        for _ in range(PIECES):
            if self.held is not None and not self._giveHeld():
                break
            count = memory.receive(self.socket, 0, size)
            if count <= 0:
                self._readNothing(pipe, count, events)
                break
            self.received += count
            sent = memory.send(self.target, 0, count)
            if sent != count:
                self._takeNot(sent, memory.read(max(sent, 0), count - max(sent, 0)))
                break
            if count < size:
                break
        if (self.held is not None) != self.isStopped:
            self._stopOrGoOn()

    def hold(self, data: bytes) -> None:
        """
        Have what has come wait until the target takes it, and read nothing more.
        """
        self.held = data
        self.heldFrom = 0

    def rest(self) -> bytes:
        """
        What has come and has not been taken.
        """
        return b"" if self.held is None else self.held[self.heldFrom :]

    def _takeNot(self, sent: int, data: bytes) -> None:
        """
        The target has not taken all.
        """
        self.hold(data)
        if sent < 0 and sent != BLOCKED and self._pipe is not None:
            # An error will be met again by the transport, which knows what to do.
            self._pipe.becomeOrdinary(self)

    def _giveHeld(self) -> bool:
        """
        Have the target take what is held.

        @return: Whether it has taken all.
        """
        assert self.held is not None
        length = len(self.held) - self.heldFrom
        sent = self.target.send(self.held, self.heldFrom)
        if sent == length:
            self.held = None
            return True
        if sent > 0:
            self.heldFrom += sent
        elif sent != BLOCKED and self._pipe is not None:
            self._pipe.becomeOrdinary(self)
        return False

    def _readNothing(self, pipe: ShortPipe, count: int, events: int) -> None:
        if count == 0:
            pipe.ended(self)
        elif count != BLOCKED:
            pipe.broken()
        elif events & GONE:
            pipe.becomeOrdinary(self)

    def _stopOrGoOn(self) -> None:
        """
        Be told of what is needed now that something is held, or nothing any more.
        """
        pipe, other = self._pipe, self._other
        if pipe is None or other is None:
            return
        self.isStopped = self.held is not None
        pipe.watchAgain(self)
        pipe.watchAgain(other)

    def wanted(self) -> int:
        """
        What has to be told of the socket.
        """
        other = self._other
        return (0 if self.isStopped else READABLE) | (
            WRITABLE if other is not None and other.isStopped else 0
        )

    def failed(self, failure: Failure) -> None:
        """
        A mistake of ours.
        """
        if self._pipe is not None:
            self._pipe.over(failure)

    def join(self, other: ShortSide) -> None:
        """
        Have the other side.
        """
        self._other = other

    def forgetPipe(self) -> None:
        """
        Nothing of a pipe that is over refers to itself: it would stay in memory until Python
        looks for such circles.
        """
        self._pipe = None
        self._other = None

    # Pausable

    def hasHungUp(self) -> bool:
        """
        Whether the socket's peer is known to have gone.
        """
        return presenceOf(self.socket.fileno()) is Presence.GONE

    def passedOn(self) -> object:
        """
        What is different when the target, or its peer, has taken something.
        """
        return self.received, self.heldFrom, heldByKernel(self.target.fileno())

    def hangUp(self) -> None:
        """
        The peer has gone, and the target takes nothing.
        """
        if self._pipe is not None:
            end = self._pipe.becomeOrdinary(self)
            if end is not None:
                end.hangUp()


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
        "_question",
        "_second",
        "began",
        "client",
        "memory",
    )

    def __init__(
        self,
        keeper: ShortKeeper,
        arrived: StreamSocket,
        family: int,
        client: str,
        began: float,
        question: bytes | None = None,
    ) -> None:
        """
        @param arrived: The first end.
        @param family: Of that socket.
        @param question: What to ask the kernel about the client (L{tcpQuestion}), if that is
            known.
        """
        self.client = client
        self.began = began
        self.memory = keeper.memory
        self._keeper = keeper
        self._loop = keeper.loop
        self._arrived = arrived
        self._family = family
        self._question = question
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
        End it: each side gets what was sent to it.

        @return: fires when both ends are gone.
        """
        if self._holds():
            ordinary = self._joinOrdinarily()
            return succeed(None) if ordinary is None else ordinary.stop()
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
        first.join(second)
        second.join(first)
        self._loop.watch(self._arrived.fileno(), READABLE, first)
        self._loop.watch(connected.fileno(), READABLE, second)
        if data:
            second.received = len(data)
            second.hold(data)
            second.passOn(0)

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

    def watchAgain(self, side: ShortSide) -> None:
        """
        What has to be told of a side's socket is different; the client is looked at as long
        as it is not read from.
        """
        self._loop.change(side.socket.fileno(), side.wanted())
        if side is self._first:
            if side.held is None:
                self._keeper.hangUps.remove(side)
            else:
                self._keeper.hangUps.add(side)

    def becomeOrdinary(self, side: ShortSide) -> PipeEnd | None:
        """
        Become an ordinary pipe that is joined, with what there is.

        @return: its end of a side; None if that was not possible.
        """
        isFirst = side is self._first
        ordinary = self._joinOrdinarily()
        if ordinary is None:
            return None
        return ordinary.first if isFirst else ordinary.second

    def ended(self, side: ShortSide) -> None:
        """
        A side has finished sending.
        """
        if not self._holds() and self._isGone(side):
            self.over(connectionDone)
        else:
            self._joinOrdinarily()

    def _isGone(self, side: ShortSide) -> bool:
        """
        Whether the peer of a side that has finished sending is known to have gone.
        """
        question = self._question
        if question is None or side is not self._first:
            return presenceOf(side.socket.fileno()) is Presence.GONE
        # If it is not, that will be found out once more.
        return self._keeper.inquiry.presence(question) is Presence.GONE

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
        if self._first is not None and self._first.isStopped:
            self._keeper.hangUps.remove(self._first)

    def _holds(self) -> bool:
        """
        Whether something has come, and has not been taken.
        """
        first, second = self._first, self._second
        return (first is not None and first.held is not None) or (
            second is not None and second.held is not None
        )

    def _joinOrdinarily(self) -> OrdinaryPipe | None:
        """
        Become an ordinary pipe that is joined, with what there is.

        @return: None if that was not possible.
        """
        first, second = self._first, self._second
        assert first is not None and second is not None
        self._leave()
        pipe = self._becomeOrdinary(_Connected(self._keeper.sockets, second.socket))
        if pipe is None:
            return None
        for side, end in ((first, pipe.first), (second, pipe.second)):
            end.received = side.received
            rest = side.rest()
            if rest and end.peer.consumer is not None:
                end.peer.consumer.write(rest)
        return pipe

    def _becomeOrdinary(self, to: IStreamClientEndpoint | None) -> OrdinaryPipe | None:
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

    def __init__(self, make: Callable[[], OrdinaryPipe]) -> None:
        self.pipe: OrdinaryPipe | None = None
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
