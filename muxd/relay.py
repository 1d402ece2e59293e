# -*- test-case-name: tests.test_relay,tests.test_relayed -*-
"""
The relay: what connects here is connected to somewhere else.

Any server endpoint leads to any client endpoint, so a phone's port can be a port
of this machine, of a VPN's address, or a TLS port for others::

    service = RelayService(reactor, [Route("tcp:2222:interface=127.0.0.1", "usbmux:port=22")])

Each connection has a connection of its own to the other place, which is made when
it comes.  An endpoint of a phone looks for the phone whenever it connects, or hears
from the daemon that none has come or gone, so a phone may be plugged out and in, and a
daemon be exchanged, and the relay goes on (protocol 9, edge 77).

A connection is not read from before the other place has answered: what a client
sends at once waits in its own socket, and so does its end of file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    gatherResults,
    maybeDeferred,
)
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionDone,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.limits import LIMITS, Limits
from muxd.net.acceptthrottle import AcceptThrottle
from muxd.net.eventloop import EventLoop
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch
from muxd.net.laneport import LanePort
from muxd.net.listening import ListeningEndpoint
from muxd.net.localport import LocalPort
from muxd.net.loopreactor import loopBeneath, onLoop
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import PeerInquiry, nameText, tcpQuestionOf
from muxd.net.pipe import Pipe, PipeEnd, PipeState
from muxd.net.serverstrings import Place
from muxd.net.shortpipe import ShortPipe
from muxd.net.sockets import READ_SIZE
from muxd.net.socketway import SocketWay, socketWayTo
from muxd.net.streams import StreamSocket
from muxd.net.tlsendpoints import clientAt
from muxd.ratelimit import RateLimit


class RelayedConnection(Pipe):
    """
    A pipe whose second end is connected as soon as the first one is.

    @ivar client: The first end's address, in words.
    @ivar began: When it came.
    @ivar joined: Whether the second end was ever there.
    """

    def __init__(
        self,
        to: IStreamClientEndpoint,
        client: str,
        clock: IReactorTime,
        flushTimeout: float,
        buffer: int,
        ended: Callable[[RelayedConnection, Failure], None],
        watch: HangUpWatch | None = None,
        halfClosed: HalfClosedWatch | None = None,
        memory: PacketMemory | None = None,
    ) -> None:
        """
        @param to: Where the second end is to be connected.
        @param flushTimeout: Seconds for an end to take its last bytes.
        @param buffer: How many bytes may wait for either end.
        @param ended: Called once, when both ends have gone, with the reason.
        @param watch: Looks at clients that are not read from.
        @param halfClosed: Looks at peers that have finished sending.
        @param memory: As in L{Pipe}.
        """
        super().__init__(clock, flushTimeout, self._isOver, buffer, watch, halfClosed, memory)
        self.client = client
        self.began = clock.seconds()
        self.joined = False
        self._to = to
        self._ended = ended
        self._connecting: Deferred[IProtocol] | None = None
        self._stopping: Deferred[None] | None = None

    def endConnected(self, end: PipeEnd) -> None:
        """
        Go for the second end when the first one is there, and join them.
        """
        super().endConnected(end)
        if end is self.second:
            self.joined = True
            return
        departure: IProtocolFactory = _Departure(self)
        connecting = maybeDeferred(self._to.connect, departure)
        # It may have failed already, and then is over before it is kept.
        self._connecting = connecting
        connecting.addCallbacks(self._connected, self._failed)

    def endLost(self, end: PipeEnd, reason: Failure) -> None:
        """
        Give up an attempt to connect whose client has gone.
        """
        super().endLost(end, reason)
        if self._connecting is not None:
            self._connecting.cancel()

    def stop(self) -> Deferred[None]:
        """
        End it: each side gets what was sent to it.

        @return: fires when both ends are gone.
        """
        stopping: Deferred[None] = Deferred()
        self._stopping = stopping
        if self._connecting is not None:
            self._connecting.cancel()
        else:
            self.abandon(Failure(ConnectionDone("the relay is stopped")))
        return stopping

    def _connected(self, protocol: IProtocol) -> None:
        self._connecting = None

    def _failed(self, reason: Failure) -> None:
        self._connecting = None
        self.abandon(reason)

    def _isOver(self, reason: Failure) -> None:
        self._ended(self, reason)
        if self._stopping is not None:
            self._stopping.callback(None)


class _Departure(Factory):
    """
    Builds the second end of one connection, as long as the first one waits for it.
    """

    noisy = False

    def __init__(self, connection: RelayedConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> PipeEnd | None:
        """
        The second end; None when the first one has gone meanwhile.
        """
        waiting = self._connection.state is PipeState.WAITING
        return self._connection.second if waiting else None


def addressText(address: IAddress | None) -> str:
    """
    An address as one would type it; empty if it has none.
    """
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
        case UNIXAddress():
            return os.fsdecode(getattr(address, "name", None) or b"")
        case _:
            return ""


NAMELESS = "a program"
"""A client whose address says nothing."""


_ENDED = connectionDone.getErrorMessage().rstrip(".")
_CARRIED = (
    "{endpoint}: {client} sent {sent} bytes to {destination} and got {received} in {seconds:.3f} s"
)

BUFFER = 128 * 1024
"""Bytes that may wait in a direction before it is read no further (protocol 7.3)."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    From where to where.

    @ivar listen: Where clients connect: an endpoint, the description of one, or a port of
        this machine at several addresses.
    @ivar to: Where they are connected to, likewise.
    @ivar destination: The latter in words, for the log.
    @ivar udid: The phone that it leads to, if it is a certain one.
    @ivar remote: The phone's port, if it leads to a phone.
    """

    listen: IStreamServerEndpoint | str | LocalPort
    to: IStreamClientEndpoint | str
    destination: str = ""
    udid: str | None = None
    remote: int | None = None


class RelayService(Service):
    """
    Routes that are open while it runs.

    @ivar reactor: What all of it lives on.
    @ivar sockets: The same for what has sockets, which its event loop watches if it has one.
    @ivar loop: That loop.
    @ivar memory: What goes from socket to socket goes through it.
    @ivar hangUps: Looks at clients that are not read from.
    @ivar inquiry: Knows whether clients that have finished sending are there.
    @ivar accepted: How many connections have come.
    @ivar refused: How many of them were closed at once, as there were too many.
    @ivar failed: How many could not be connected to where they were meant to go.
    @ivar connections: Those that are carried now.
    @ivar buffer: How many bytes may wait in each direction of each of them before it
        is read no further.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        routes: Iterable[Route],
        *,
        limits: Limits = LIMITS,
        buffer: int = BUFFER,
    ) -> None:
        """
        @raise ValueError: A description is wrong.
        """
        self.accepted = 0
        self.refused = 0
        self.failed = 0
        self.connections: set[RelayedConnection | ShortPipe] = set()
        self.reactor = reactor
        self.sockets = onLoop(reactor)
        self.loop = loopBeneath(self.sockets)
        self._limits = limits
        # Each time that it is asked for, it is made.
        self._lines = self._log
        self.buffer = buffer
        self._trouble = RateLimit(reactor, self._summarise)
        self._places = [self._place(route) for route in routes]
        self._endpoints: list[RelayEndpoint] = []
        self._ways: list[SocketWay] = []
        self._throttle = AcceptThrottle(reactor, limits)
        self._throttle.ports = self._endpoints
        self.hangUps = HangUpWatch(reactor, limits.flushTimeout)
        self.memory = PacketMemory(READ_SIZE)
        self.inquiry = PeerInquiry()
        self._halfClosed = HalfClosedWatch(reactor, limits.halfCloseGrace, limits.flushTimeout)
        self._open = False

    def privilegedStartService(self) -> None:
        """
        Listen, before privileges are given up.

        @raise CannotListen: That is not possible; nothing is open then.
        """
        super().privilegedStartService()
        try:
            for place in self._places:
                self._listen(place)
        except BaseException:
            self._close()
            raise
        self._open = True

    def add(self, route: Route) -> None:
        """
        Listen for one more route from now on.

        @raise ValueError: A description is wrong.
        @raise CannotListen: That is not possible, and the route has not been added.
        """
        place = self._place(route)
        if self._open:
            self._listen(place)
        self._places.append(place)

    def routeOpened(self, route: Route, endpoints: Sequence[RelayEndpoint]) -> None:
        """
        A route is open; to be overridden.

        @param endpoints: Where clients connect.
        """

    def startService(self) -> None:
        """
        Listen, if this has not been done.

        @raise CannotListen: As L{privilegedStartService}.
        """
        if not self._open:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop accepting, let both sides of each connection have what was
        sent to them, and close it; all of it within L{Limits.stopTimeout}.

        @return: fires when that is done.
        """
        super().stopService()
        self._open = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._close()
        self._throttle.stop()
        ends = [connection.stop() for connection in self.connections.copy()]
        ended = DeferredList(ends, consumeErrors=True).addTimeout(
            self._limits.stopTimeout, self.reactor
        )
        # At the time-out, an end that has not taken its last bytes is left to itself.
        await ended
        for way in self._ways:
            way.close()
        self._ways.clear()
        self.inquiry.close()
        self.hangUps.stop()
        self._halfClosed.stop()
        self._trouble.stop()

    def _close(self) -> Deferred[list[None]]:
        closing = [endpoint.close() for endpoint in self._endpoints]
        self._endpoints.clear()
        return gatherResults(closing)

    def _place(self, route: Route) -> _Place:
        to = route.to
        if isinstance(to, str):
            try:
                to = clientAt(self.sockets, to)
            except (ValueError, TypeError, LookupError) as error:
                raise ValueError(f"cannot connect to {route.to!r}: {error}") from error
        place = _Place(route, to, route.destination or str(route.to))
        if not isinstance(route.listen, LocalPort):
            # A wrong description is known before anything is open.
            self._endpoint(route.listen)
        return place

    def _endpoint(self, listen: IStreamServerEndpoint | str) -> RelayEndpoint:
        if isinstance(listen, str):
            return RelayEndpoint.fromDescription(self.sockets, listen)
        return RelayEndpoint(listen, repr(listen), None)

    def _listen(self, place: _Place) -> None:
        """
        Let the clients of a route in.

        @raise CannotListen: That is not possible; nothing of it is open then.
        """

        def listen(endpoint: RelayEndpoint) -> RelayEndpoint:
            endpoint.leadTo(place.to, place.destination)
            factory = RelayFactory(self, endpoint)
            way = None if self.loop is None else socketWayTo(place.to)
            if self.loop is not None and way is not None:
                keeper = _Shorts(self, self.loop, endpoint, way)
                self._ways.append(way)
                endpoint.takeOver = partial(self._takeOver, keeper, factory)
            endpoint.takePlace(factory, self._throttle.acceptFailed)
            return endpoint

        def listenAt(address: str, port: int) -> RelayEndpoint:
            return listen(RelayEndpoint.atAddress(self.sockets, address, port))

        where = place.route.listen
        if isinstance(where, LocalPort):
            opened = where.open(listenAt, RelayEndpoint.close)
        else:
            opened = [listen(self._endpoint(where))]
        self._endpoints += opened
        self.routeOpened(place.route, opened)

    def _takeOver(
        self,
        keeper: _Shorts,
        factory: RelayFactory,
        port: IListeningPort,
        acceptFailed: Callable[[OSError], object],
    ) -> LanePort | None:
        """
        Let the clients of a port in, in its place.

        @return: None if its clients need more than a socket, as with TLS.
        """
        if not isinstance(port, Port) or port.factory is not factory:
            return None
        return LanePort(keeper.loop, port, acceptFailed, partial(self._arrivedOnLoop, keeper))

    def _arrivedOnLoop(self, keeper: _Shorts, arrived: StreamSocket, family: int) -> None:
        """
        A client has connected, and is a bare socket.
        """
        names = arrived.names()
        client = NAMELESS if names is None else nameText(names[0])
        if not self._admit(keeper.endpoint, client):
            arrived.close()
            return
        # What to ask the kernel about it when it has finished sending.
        question = None if names is None else tcpQuestionOf(*names)
        connection = ShortPipe(keeper, arrived, family, client, self.reactor.seconds(), question)
        self.connections.add(connection)
        connection.begin()

    def arrived(self, endpoint: RelayEndpoint, client: str) -> RelayedConnection | None:
        """
        A client has connected.

        @return: what is to become of it; None if there are too many.
        """
        if not self._admit(endpoint, client):
            return None
        return self.carry(endpoint, client, endpoint.to, self.reactor.seconds())

    def _admit(self, endpoint: RelayEndpoint, client: str) -> bool:
        """
        Count a client that has connected.

        @return: Whether there is room for it.
        """
        self.accepted += 1
        if len(self.connections) < self._limits.relayConnections:
            return True
        self.refused += 1
        if self._trouble.admit("refused"):
            self._log.warn(
                "{endpoint}: {client} is refused, there are {count} connections already",
                endpoint=endpoint.place,
                client=client,
                count=len(self.connections),
            )
        return False

    def carry(
        self, endpoint: RelayEndpoint, client: str, to: IStreamClientEndpoint, began: float
    ) -> RelayedConnection:
        """
        Make a connection of which the first end is about to be there.

        @param to: Where the second one is.
        @param began: When the client came.
        """
        connection = RelayedConnection(
            to,
            client,
            self.reactor,
            self._limits.flushTimeout,
            self.buffer,
            partial(self._ended, endpoint),
            self.hangUps,
            self._halfClosed,
            self.memory,
        )
        connection.began = began
        self.connections.add(connection)
        return connection

    def _ended(
        self, endpoint: RelayEndpoint, connection: RelayedConnection, reason: Failure
    ) -> None:
        counts = connection.first.received, connection.second.received
        self.connectionOver(endpoint, connection, reason, counts if connection.joined else None)

    def connectionOver(
        self,
        endpoint: RelayEndpoint,
        connection: RelayedConnection | ShortPipe,
        reason: Failure,
        counts: tuple[int, int] | None,
    ) -> None:
        """
        A connection is over: tell of it in one line.

        @param counts: How many bytes came from the client, and from where it was connected
            to; None if it was not.
        """
        self.connections.discard(connection)
        isOrdinary = reason is connectionDone
        names = {
            "endpoint": endpoint.place,
            "client": connection.client,
            "destination": endpoint.destination,
            "trouble": _ENDED if isOrdinary else reason.getErrorMessage().rstrip("."),
        }
        if counts is None:
            self._tellFailure(reason, names)
            return
        isOrdinary = isOrdinary or reason.check(ConnectionDone) is not None
        self._lines.info(
            _CARRIED if isOrdinary else _CARRIED + "; ended by: {trouble}",
            sent=counts[0],
            received=counts[1],
            seconds=self.reactor.seconds() - connection.began,
            **names,
        )

    def _tellFailure(self, reason: Failure, names: dict[str, str]) -> None:
        self.failed += 1
        if not reason.check(
            ConnectError, ConnectionClosed, OSError, CancelledError, ConnectingCancelledError
        ):
            self._log.failure("unexpected end of an attempt to connect", failure=reason)
        if self._trouble.admit(type(reason.value).__name__):
            self._log.warn(
                "{endpoint}: {client} was not connected to {destination}: {trouble}", **names
            )

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn(
            "{count} more connections ended the same way ({kind})", kind=kind, count=count
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """
    A route whose descriptions have been understood.

    @ivar to: Where clients are connected to.
    @ivar destination: The same in words.
    """

    route: Route
    to: IStreamClientEndpoint
    destination: str


class RelayEndpoint(ListeningEndpoint):
    """
    Where clients of one route connect.

    @ivar to: Where they are connected to.
    @ivar destination: The same in words.
    @ivar place: Where it is, with the port that it has been given if any would
        do.
    """

    _log = Logger()

    to: IStreamClientEndpoint
    destination: str

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        description: str,
        path: str | None,
        clock: IReactorTime | None = None,
        limits: Limits = LIMITS,
        place: Place | None = None,
    ) -> None:
        super().__init__(endpoint, description, path, clock, limits, place)
        self.place = description

    def leadTo(self, to: IStreamClientEndpoint, destination: str) -> None:
        """
        Say where clients are connected to.
        """
        self.to = to
        self.destination = destination

    def announce(self, port: IListeningPort) -> None:
        """
        Say where it is, and what for.
        """
        self.place = addressText(port.getHost()) or self.description
        self._log.info(
            "listening on {place}, for {destination}",
            place=self.place,
            destination=self.destination,
        )


class _Shorts:
    """
    What has the short pipes of one place where clients connect (L{ShortKeeper}).
    """

    def __init__(
        self, service: RelayService, loop: EventLoop, endpoint: RelayEndpoint, way: SocketWay
    ) -> None:
        self.loop = loop
        self.memory = service.memory
        self.hangUps = service.hangUps
        self.sockets = service.sockets
        self.inquiry = service.inquiry
        self.endpoint = endpoint
        self.way = way
        self._service = service

    def ordinary(self, short: ShortPipe, to: IStreamClientEndpoint | None) -> RelayedConnection:
        """
        Have an ordinary connection instead.
        """
        self._service.connections.discard(short)
        return self._service.carry(
            self.endpoint, short.client, self.endpoint.to if to is None else to, short.began
        )

    def shortOver(self, short: ShortPipe, reason: Failure, isJoined: bool) -> None:
        """
        It is over.
        """
        counts = (short.sent, short.got) if isJoined else None
        self._service.connectionOver(self.endpoint, short, reason, counts)


class RelayFactory(Factory):
    """
    Builds the first ends, of those that come.
    """

    noisy = False

    def __init__(self, service: RelayService, endpoint: RelayEndpoint) -> None:
        self._service = service
        self._endpoint = endpoint

    def buildProtocol(self, addr: IAddress | None) -> PipeEnd | None:
        """
        The first end of a new connection; None to close it.
        """
        client = addressText(addr) or NAMELESS
        connection = self._service.arrived(self._endpoint, client)
        return None if connection is None else connection.first
