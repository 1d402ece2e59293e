# -*- test-case-name: tests.test_relay,tests.test_relayed -*-
"""
The relay: what connects here is connected to somewhere else.

Any server endpoint leads to any client endpoint, so a phone's port can be a port
of this machine, of a VPN's address, or a TLS port for others::

    service = RelayService(reactor, [Route("tcp:2222:interface=127.0.0.1", "usbmux:port=22")])

Each connection has a connection of its own to the other place, which is made when
it comes.  An endpoint of a phone looks for the phone whenever it connects, so a
phone may be plugged out and in, and a daemon be exchanged, and the relay goes on
(protocol 9, edge 77).

A connection is not read from before the other place has answered: what a client
sends at once waits in its own socket, and so does its end of file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionDone,
)
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.limits import LIMITS, Limits
from muxd.net.admission import Admission
from muxd.net.listening import Doorway
from muxd.net.pipe import PipeEnd
from muxd.ratelimit import RateLimit
from muxd.relayed import RelayedConnection, addressText

BUFFER = 128 * 1024
"""Bytes that may wait in a direction before it is read no further (protocol 7.3)."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    From where to where.

    @ivar listen: Where clients connect: an endpoint, or the description of one.
    @ivar to: Where they are connected to, likewise.
    @ivar destination: The latter in words, for the log.
    """

    listen: IStreamServerEndpoint | str
    to: IStreamClientEndpoint | str
    destination: str = ""


class RelayService(Service):
    """
    Routes that are open while it runs.

    @ivar reactor: What all of it lives on.
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
        self.connections: set[RelayedConnection] = set()
        self.reactor = reactor
        self._limits = limits
        self.buffer = buffer
        self._trouble = RateLimit(reactor, self._summarise)
        self._doors = [self._door(reactor, route) for route in routes]
        self._admission = Admission(reactor, limits)
        self._admission.doors = self._doors
        self._open = False

    def privilegedStartService(self) -> None:
        """
        Listen, before privileges are given up.

        @raise CannotListen: That is not possible; nothing is open then.
        """
        super().privilegedStartService()
        try:
            for door in self._doors:
                door.makeWay()
                door.open(RelayFactory(self, door), self._admission.acceptFailed)
        except BaseException:
            self._close()
            raise
        self._open = True

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
        Let nobody in any more, let both sides of each connection have what was
        sent to them, and close it; all of it within L{Limits.stopTimeout}.

        @return: fires when that is done.
        """
        super().stopService()
        self._open = False
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._close()
        self._admission.stop()
        ends = [connection.stop() for connection in self.connections.copy()]
        ended = DeferredList(ends, consumeErrors=True).addTimeout(
            self._limits.stopTimeout, self.reactor
        )
        # At the time-out, who has not taken its last bytes is left to itself.
        await ended
        self._trouble.stop()

    def _close(self) -> Deferred[list[None]]:
        return gatherResults([door.close() for door in self._doors])

    def _door(self, reactor: Any, route: Route) -> RelayDoor:
        to = route.to
        if isinstance(to, str):
            try:
                to = clientFromString(reactor, to)
            except (ValueError, TypeError, LookupError) as error:
                raise ValueError(f"cannot connect to {route.to!r}: {error}") from error
        destination = route.destination or (route.to if isinstance(route.to, str) else repr(to))
        if isinstance(route.listen, str):
            door = RelayDoor.fromDescription(reactor, route.listen)
        else:
            door = RelayDoor(route.listen, repr(route.listen), None)
        door.leadTo(to, destination)
        return door

    def arrived(self, door: RelayDoor, client: str) -> RelayedConnection | None:
        """
        Somebody has connected.

        @return: what is to become of it; None if there are too many.
        """
        self.accepted += 1
        if len(self.connections) >= self._limits.relayConnections:
            self.refused += 1
            if self._trouble.admit("refused"):
                self._log.warn(
                    "{door}: {client} is refused, there are {count} connections already",
                    door=door.place,
                    client=client,
                    count=len(self.connections),
                )
            return None
        connection = RelayedConnection(
            door.to,
            client,
            self.reactor,
            self._limits.flushTimeout,
            self.buffer,
            partial(self._ended, door),
        )
        self.connections.add(connection)
        return connection

    def _ended(self, door: RelayDoor, connection: RelayedConnection, reason: Failure) -> None:
        """
        A connection is over: tell of it in one line.
        """
        self.connections.discard(connection)
        names = {
            "door": door.place,
            "client": connection.client,
            "destination": door.destination,
            "trouble": reason.getErrorMessage().rstrip("."),
        }
        if not connection.joined:
            self._tellFailure(reason, names)
            return
        text = (
            "{door}: {client} sent {sent} bytes to {destination} and got {received} "
            "in {seconds:.3f} s"
        )
        self._log.info(
            text if reason.check(ConnectionDone) else text + "; ended by: {trouble}",
            sent=connection.first.received,
            received=connection.second.received,
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
                "{door}: {client} was not connected to {destination}: {trouble}", **names
            )

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn(
            "{count} more connections ended the same way ({kind})", kind=kind, count=count
        )


class RelayDoor(Doorway):
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

    def __init__(self, endpoint: IStreamServerEndpoint, description: str, path: str | None) -> None:
        super().__init__(endpoint, description, path)
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


class RelayFactory(Factory):
    """
    Builds the first ends, of those that come.
    """

    noisy = False

    def __init__(self, service: RelayService, door: RelayDoor) -> None:
        self._service = service
        self._door = door

    def buildProtocol(self, addr: IAddress | None) -> PipeEnd | None:
        """
        The first end of a new connection; None to close it.
        """
        client = addressText(addr) or "a program"
        connection = self._service.arrived(self._door, client)
        return None if connection is None else connection.first
