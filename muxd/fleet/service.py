# -*- test-case-name: tests.fleet.test_hubservice -*-
"""
A hub put together: its registry, the place that hosts and jobs connect to, and the sockets
that look like one usbmuxd with every phone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.logger import Logger

from muxd.fleet.embedded import EmbeddedRegistry
from muxd.fleet.etcd.place import EtcdPlace
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.hub import Hub
from muxd.fleet.overview import FleetOverview
from muxd.fleet.peers import HubFactory
from muxd.fleet.source import FleetSource
from muxd.fleet.state import CannotRemember, StateDirectory
from muxd.fleet.terms import TERM, Times
from muxd.fleet.ways import Ways, isPlain, listeningAt
from muxd.limits import LIMITS, Limits
from muxd.net.socketfile import CannotListen
from muxd.ratelimit import RateLimit
from muxd.service import MuxService
from muxd.status.server import StatusServer

HUB_LIMITS = replace(LIMITS, clientQueue=16 << 20, unreadPerUser=64 << 20)
"""A client that begins to listen hears of 10,000 phones in 8 MB."""

EMBEDDED = "embedded"
"""A registry in the hub's own process."""


class HubService(Service):
    """
    The hub, while it runs.

    @ivar hub: What hosts and jobs share.
    @ivar mux: The daemon whose phones are those of the fleet.
    @ivar status: Where operators see it; None for nowhere.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        fleet: str,
        state: str,
        listen: Iterable[Any] = (),
        admins: frozenset[str] = frozenset(),
        term: float = TERM,
        registry: str = EMBEDDED,
        status: str | None = None,
        limits: Limits = HUB_LIMITS,
    ) -> None:
        """
        @param registry: Where the registry is: L{EMBEDDED}, or a description of etcd.
        @param fleet: The server endpoint's description of where hosts and jobs connect.
        @param state: The directory of what is remembered.
        @param listen: Where clients connect, as for a L{MuxService}.
        @param admins: The names that may take phones from every job, and drain hosts.
        @param status: Where operators see what is going on, as a server endpoint's
            description; None for nowhere.
        @raise ValueError: A description makes no sense.
        """
        self.reactor = reactor
        self._fleet = listeningAt(reactor, fleet, "--fleet")
        self._isPlain = isPlain(fleet)
        self._place = None if registry == EMBEDDED else EtcdPlace.fromString(registry)
        self.registry = self._makeRegistry(StateDirectory(state), Times(term))
        self.hub = Hub(reactor, self.registry, term, admins)
        ways = Ways(reactor, fleet)
        self.mux = MuxService(
            reactor,
            listen=listen,
            sources=[lambda receiver: FleetSource(reactor, receiver, self.hub, ways)],
            configDir=f"{state}/lockdown",
            limits=limits,
        )
        self._limit = RateLimit(reactor, lambda kind, count: None, burst=1)
        self.status = None if status is None else self._makeStatus(status)

    def privilegedStartService(self) -> None:
        """
        Open the places.

        @raise CannotListen: One of them cannot be opened, or the directory not be used.
        """
        super().privilegedStartService()
        try:
            if self._place is not None:
                self._place.check()
            self.registry.start()
        except CannotRemember as error:
            raise CannotListen(str(error)) from error
        except (OSError, ValueError) as error:
            raise CannotListen(f"--registry: {error}") from error
        self.hub.start()
        try:
            self._fleet.takePlace(HubFactory(self.hub), self._acceptFailed)
            self.mux.privilegedStartService()
            if self.status is not None:
                self.status.privilegedStartService()
        except CannotListen:
            self._fleet.close()
            self.mux.refuseClients()
            # It watches no more: that its registry ends is no news to an operator.
            self.hub.stop()
            self.registry.stop()
            raise
        if self._isPlain:
            self._log.warn(
                "nothing is encrypted or proved at {place}: all that reaches it can be any host"
                " or job",
                place=self._fleet.description,
            )

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        self.mux.startService()
        if self.status is not None:
            self.status.startService()

    def stopService(self) -> Deferred[None]:
        """
        Have all go.  Reservations stay in force.
        """
        super().stopService()
        closed = self._fleet.close()
        self.hub.stop()
        stopped = self.mux.stopService()
        left: Deferred[Any] = maybeDeferred(self.registry.stop)
        self._limit.stop()
        ended: list[Deferred[Any]] = [closed, stopped, left]
        if self.status is not None:
            ended.append(self.status.stopService())
        return gatherResults(ended).addCallback(lambda _: None)

    @property
    def portNumber(self) -> int | None:
        """
        The port that hosts and jobs connect to, if it is one.
        """
        return self._fleet.portNumber

    def _makeStatus(self, place: str) -> StatusServer:
        try:
            status = StatusServer(self.reactor, self.mux, place)
        except ValueError as error:
            raise ValueError(f"--status: {error}") from error
        shown = FleetOverview(self.hub)
        # Asking ten thousand phones what they are called is their hosts' work, and done.
        status.overview.showsPhones = False
        status.overview.parts.update(fleet=shown.values, fleetPhones=shown.phones)
        return status

    def _makeRegistry(self, state: StateDirectory, times: Times) -> EmbeddedRegistry | EtcdRegistry:
        if self._place is None:
            return EmbeddedRegistry(self.reactor, state)
        return self._place.registry(self.reactor, times)

    def _acceptFailed(self, error: OSError) -> None:
        if self._limit.admit("accept"):
            self._log.error("hosts and jobs cannot connect at present: {error}", error=error)
