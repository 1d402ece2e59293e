# -*- test-case-name: tests.tap.test_muxhub -*-
"""
The daemon as a host of a fleet.
"""

from __future__ import annotations

import platform
from typing import Any

from twisted.internet.defer import Deferred

from muxd.fleet.host import FleetHost, FleetPlace
from muxd.net.socketfile import CannotListen
from muxd.service import MuxService


def placeFromOptions(
    reactor: Any, hub: str | None, door: str | None, name: str | None, address: str | None
) -> FleetPlace | None:
    """
    What the options of a host mean; None if it is none.

    @raise ValueError: They make no sense.
    """
    if hub is None:
        for option, value in (("door", door), ("fleet-name", name), ("door-address", address)):
            if value is not None:
                raise ValueError(f"--{option} is for a host of a fleet: say where its --hub is")
        return None
    if door is None:
        raise ValueError("--hub: say with --door where jobs find this host's phones")
    said = platform.node() if name is None else name
    place = FleetPlace(hub=hub, door=door, name=said, address=address)
    place.check(reactor)
    return place


class FleetedService(MuxService):
    """
    A service that is a host of a fleet, if it was said so.

    @ivar fleet: The host; None if it is none.
    """

    def __init__(self, reactor: Any, *, fleet: FleetPlace | None = None, **arguments: Any) -> None:
        """
        @raise ValueError: A description makes no sense.
        """
        super().__init__(reactor, **arguments)
        self.fleet = None if fleet is None else FleetHost(reactor, self, fleet)

    def privilegedStartService(self) -> None:
        """
        Open the door, too.

        @raise CannotListen: One of the sockets cannot be opened.
        """
        super().privilegedStartService()
        if self.fleet is not None:
            try:
                self.fleet.privilegedStartService()
            except CannotListen:
                self.refuseClients()
                raise

    def startService(self) -> None:
        """
        Begin, and connect to the hub.
        """
        super().startService()
        if self.fleet is not None:
            self.fleet.startService()

    def stopService(self) -> Deferred[None]:
        """
        Take leave from the hub, and stop.
        """
        if self.fleet is None or not self.fleet.running:
            return super().stopService()
        left = self.fleet.stopService()
        stopped = super().stopService()
        return left.addBoth(lambda _: stopped)
