# -*- test-case-name: tests.server.test_places -*-
"""
The places where the clients of a server connect, each under its view, and how they change
while clients are connected.

After a change, nothing goes on that could not be begun: a stream ends if the new view of the
place where its client came in does not permit it, or if there is no such place any more.
Everything else goes on, without a byte lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger

from muxd.limits import Limits
from muxd.net.listening import ListeningEndpoint, TakeOver
from muxd.net.serverstrings import addressOf, withoutFile
from muxd.net.socketfile import CannotListen, startingAlone
from muxd.server.audience import Audience
from muxd.server.factory import ControlFactory, Entrance
from muxd.server.vieweddevices import ViewedDevices
from muxd.server.viewgrammar import NamedView, splitView


@dataclass(frozen=True, slots=True)
class ListeningAddress:
    """
    Where clients connect, and what there is for them.

    @ivar place: An endpoint, or the description of one.
    @ivar view: The view; None keeps nothing from them.
    """

    place: str | IStreamServerEndpoint
    view: NamedView | None = None

    @classmethod
    def fromString(cls, description: str) -> Self:
        """
        From what a person typed, such as C{unix:/run/a.sock:mode=660:only=UDID}.

        @raise ValueError: What is said of a view is wrong.
        """
        return cls(*splitView(description))

    @classmethod
    def of(cls, place: str | IStreamServerEndpoint | ListeningAddress) -> ListeningAddress:
        """
        From whatever names a place.

        @raise ValueError: What is said of a view is wrong.
        """
        if isinstance(place, ListeningAddress):
            return place
        return cls.fromString(place) if isinstance(place, str) else cls(place)

    @property
    def path(self) -> str | None:
        """
        The file of a UNIX socket; None if it is not known to be one.
        """
        kind, where = (*addressOf(self.place), "")[:2] if isinstance(self.place, str) else ("", "")
        return where if kind == "unix" else None

    @property
    def key(self) -> Hashable:
        """
        The same for two that are one place, whatever is said of its file and its view.
        """
        return withoutFile(self.place) if isinstance(self.place, str) else id(self.place)

    @property
    def address(self) -> Hashable:
        """
        The same for two of which the second may not be opened before the first is closed.
        """
        return addressOf(self.place) if isinstance(self.place, str) else id(self.place)

    def isTwin(self, other: ListeningAddress) -> bool:
        """
        Whether both are one place.
        """
        isFile = isinstance(self.place, str) and addressOf(self.place)[0] == "unix"
        return self.key == other.key or (isFile and self.address == other.address)


@dataclass(slots=True, eq=False)
class _Place:
    """
    One of them.
    """

    address: ListeningAddress
    listening: ListeningEndpoint
    entrance: Entrance


class ListeningPlaces:
    """
    The places of one server, opened and closed with it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, server: ControlFactory, limits: Limits) -> None:
        self._reactor = reactor
        self._server = server
        self._limits = limits
        self._places: dict[Hashable, _Place] = {}
        self._audiences: dict[Hashable, Audience] = {}
        self._takeOver: TakeOver | None = None
        self._isOpen = False

    @property
    def listening(self) -> list[ListeningEndpoint]:
        """
        All of them.
        """
        return [place.listening for place in self._places.values()]

    @property
    def addresses(self) -> list[ListeningAddress]:
        """
        What was said of each.
        """
        return [place.address for place in self._places.values()]

    @property
    def paths(self) -> list[str]:
        """
        The files of the UNIX sockets among them.
        """
        return [each.path for each in self.listening if each.path is not None]

    def set(self, addresses: Iterable[ListeningAddress]) -> None:
        """
        Say which there are, before they are opened.

        @raise ValueError: A description is wrong, or one is there twice.
        """
        for address in addresses:
            self._refuseTwice(address, self.addresses)
            self._add(self._made(address))
        self._tellThrottle()

    def open(self, takeOver: TakeOver | None) -> None:
        """
        Let clients in, at all places or at none.

        @param takeOver: Lets them in in the place of ports (L{ListeningEndpoint}).
        @raise CannotListen: One of them cannot be opened.
        """
        self._takeOver = takeOver
        self._openAll(list(self._places.values()))
        self._isOpen = True

    def close(self) -> list[Deferred[None]]:
        """
        Let no more clients in.
        """
        self._isOpen = False
        return [each.close() for each in self.listening]

    def change(self, addresses: Sequence[ListeningAddress]) -> None:
        """
        Have clients connect at other places, or see other things there.

        @raise ValueError: A description is wrong, or one is there twice.
        @raise CannotListen: A place cannot be opened, or its file not be changed.  In both
            cases nothing has changed.
        """
        for number, address in enumerate(addresses):
            self._refuseTwice(address, addresses[:number])
        wanted = {address.key: address for address in addresses}
        gone = [place for key, place in self._places.items() if key not in wanted]
        new = [self._made(address) for key, address in wanted.items() if key not in self._places]
        left = {place.address.address for place in gone}
        later = [place for place in new if place.address.address in left]
        sooner = [one for one in new if one not in later]
        # A server that listens nowhere for a moment has not come to its end.
        self._server.doStart()
        try:
            if self._isOpen:
                self._openAll(sooner)
            self._changeFiles(wanted, sooner)
            for place in gone:
                self._remove(place)
            for place in new:
                self._add(place)
            for key, address in wanted.items():
                self._places[key].address = address
            self._tellThrottle()
            self._applyViews()
            self._openLate(later)
        finally:
            self._server.doStop()

    # Places

    def _refuseTwice(self, address: ListeningAddress, others: Iterable[ListeningAddress]) -> None:
        if any(address.isTwin(other) for other in others):
            raise ValueError(f"{address.place!r} is a place to listen twice")

    def _made(self, address: ListeningAddress) -> _Place:
        """
        A place that is not open yet.

        @raise ValueError: It cannot be one, or should not.
        """
        place = address.place
        listening = (
            ListeningEndpoint.fromDescription(self._reactor, place, self._limits, mayAnnounce=True)
            if isinstance(place, str)
            else ListeningEndpoint(place, repr(place), None)
        )
        if listening.complaint:
            raise ValueError(f"cannot listen on {place!r}: {listening.complaint}")
        return _Place(address, listening, Entrance(self._server, self._server.entrance.audience))

    def _add(self, place: _Place) -> None:
        place.entrance.audience = self._audienceOf(place.address)
        self._places[place.address.key] = place

    def _remove(self, place: _Place) -> None:
        """
        A place goes, and its clients with it.
        """
        del self._places[place.address.key]
        place.listening.close()
        self._log.info("no longer listening on {it}", it=place.listening.description)
        for client in self._clientsOf(lambda entrance: entrance is place.entrance):
            client.disconnect()

    def _tellThrottle(self) -> None:
        self._server.throttle.ports = self.listening

    def _openAll(self, places: Sequence[_Place]) -> None:
        """
        Open them, or none.  All are looked at before any is opened; and last come those
        whose files would stay if this is the process's end.
        """
        acceptFailed = self._server.throttle.acceptFailed
        paths = [one.listening.path for one in places if one.listening.path is not None]
        with ExitStack() as alone:
            for directory in sorted({os.path.dirname(path) for path in paths}):
                alone.enter_context(startingAlone(os.path.join(directory, "")))
            for place in places:
                place.listening.removeStaleSocket()
            try:
                for place in sorted(places, key=lambda one: one.listening.hasFile):
                    place.listening.takeOver = self._takeOver
                    place.listening.open(place.entrance, acceptFailed)
            except BaseException:
                for place in places:
                    place.listening.close()
                raise
        for place in places:
            self._warnIfExposed(place)

    def _openLate(self, places: Sequence[_Place]) -> None:
        """
        Open those for which others had to go.
        """
        for place in places if self._isOpen else ():
            try:
                self._openAll([place])
            except CannotListen as problem:
                self._log.critical("cannot listen on {problem}", problem=problem)

    def _changeFiles(
        self, wanted: dict[Hashable, ListeningAddress], opened: Sequence[_Place]
    ) -> None:
        """
        Give the files of sockets that stay another mode or owner.
        """
        try:
            for key, place in self._places.items():
                address = wanted.get(key, place.address)
                if isinstance(address.place, str) and address.place != place.address.place:
                    place.listening.changeFile(address.place)
        except CannotListen:
            for one in opened:
                one.listening.close()
            raise

    def _warnIfExposed(self, place: _Place) -> None:
        if place.listening.isOpen:
            self._log.warn(
                "{place} can be reached from other machines, whose users can connect to"
                " every phone{ofView} and read its pair record, which is a key to it; without"
                " interface= it is this machine alone",
                place=place.listening.description,
                ofView="" if place.address.view is None else " of its view",
            )

    # Views

    def _audienceOf(self, address: ListeningAddress) -> Audience:
        """
        The audience that the clients of a place belong to: that of all who have nothing
        kept from them, of a view with a name, or of this place alone.
        """
        named = address.view
        if named is None:
            return self._server.entrance.audience
        key = self._audienceKey(address, named)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._server.audienceOf(named.view, named.name)
            self._audiences[key] = audience
        return audience

    def _audienceKey(self, address: ListeningAddress, named: NamedView) -> Hashable:
        return ("at", address.key) if named.isOfPlace else ("view", named.name)

    def _applyViews(self) -> None:
        """
        Have each place show what its view is now.
        """
        inUse = set()
        for place in self._places.values():
            before, audience = place.entrance.audience, self._audienceOf(place.address)
            named = place.address.view
            if named is not None:
                inUse.add(self._audienceKey(place.address, named))
                self._changeView(audience, named)
            if audience is not before:
                self._changeAudience(place.entrance, audience)
        for key in self._audiences.keys() - inUse:
            self._audiences.pop(key).stop()

    def _changeView(self, audience: Audience, named: NamedView) -> None:
        devices = audience.devices
        if not isinstance(devices, ViewedDevices) or devices.view == named.view:
            return
        devices.changeView(named.view)
        self._log.info("view {view} has changed", view=named.name)
        for client in self._clientsOf(lambda entrance: entrance.audience is audience):
            client.checkAccess()

    def _changeAudience(self, entrance: Entrance, audience: Audience) -> None:
        """
        A place has another view: phones have other numbers there, so that all but streams
        begin anew.
        """
        clients = self._clientsOf(lambda one: one is entrance)
        for client in clients:
            if not client.hasStream:
                client.disconnect()
        entrance.audience = audience
        for client in clients:
            if client.hasStream:
                client.checkAccess()

    def _clientsOf(self, isMeant: Callable[[Entrance], bool]) -> list[Any]:
        return [client for client in self._server.clients if isMeant(client.entrance)]
