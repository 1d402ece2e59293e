# -*- test-case-name: tests.fleet.test_hub,tests.fleet.test_tickets -*-
"""
A hub's connections with jobs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from muxd.fleet.hub import CONFIRM, Hub
from muxd.fleet.messages import (
    LONGEST_REASON,
    MOST_WAITING_SHOWN,
    PHONES_AT_ONCE,
    Alive,
    Done,
    Drain,
    HostLine,
    Leave,
    Over,
    Page,
    PhoneLine,
    Refused,
    Release,
    Renew,
    Reserve,
    Reserved,
    Show,
    WaitLine,
    Welcome,
    Withdraw,
)
from muxd.fleet.peer import LOST_HERE, Peer, PeerConnection
from muxd.fleet.requirement import Requirement
from muxd.fleet.values import FleetError, Request, Reservation, Why
from muxd.identity import udidKey

MOST_ASKED = 64
"""Requests of one connection that have no answer yet."""


class JobPeer(Peer):
    """
    A job, or an operator.
    """

    def __init__(
        self,
        hub: Hub,
        connection: PeerConnection,
        name: str,
        isProved: bool,
        hasOthers: bool = False,
    ) -> None:
        """
        @param isProved: Whether a certificate says that this is its name.
        @param hasOthers: Whether it knows of other hubs, too.
        """
        super().__init__(hub, connection, name)
        self._isProved = isProved
        self._hasOthers = hasOthers
        self._asked: dict[int, Deferred[Any]] = {}
        self._holds: dict[int, Reservation] = {}
        # What waits for a phone, with tickets, by the numbers of the requests.
        self._waiting: dict[int, Request] = {}
        # Those of them that are to ask another hub.
        self._sentOn: set[int] = set()
        self._isOver = False
        self._isLeaving = False
        self._mayBeBack = False

    def __str__(self) -> str:
        return f"job of {self.name}"

    def begin(self) -> None:
        """
        It has said what it is.
        """
        self.hub.jobs.add(self)
        self._connection.send(Welcome(name=self.name, term=self.hub.term))

    def stop(self) -> None:
        """
        The hub is stopping.
        """
        self._mayBeBack = not self._isLeaving
        super().stop()

    def ended(self, isLost: bool) -> None:
        """
        The connection is over: it waits no longer.  What it has goes on for its time, as it may
        be back.

        @param isLost: Whether that is not what the job wanted: then its places in the queue are
            kept, if it has tickets.
        """
        self._isOver = True
        self._mayBeBack = (self._mayBeBack or isLost) and not self._isLeaving
        self.hub.jobs.discard(self)
        if self._mayBeBack:
            for request in list(self._waiting.values()):
                self.hub.registry.keepPlace(request)
        for asked in list(self._asked.values()):
            asked.cancel()

    def over(self, token: int, how: str) -> None:
        """
        A reservation is over; perhaps one of this job's.
        """
        if self._holds.pop(token, None) is not None:
            self._connection.send(Over(token=token, detail=how))

    def received(self, message: Any) -> None:
        """
        It says something.
        """
        match message:
            case Alive():
                self._connection.send(Alive())
                self._sendOn()
            case Withdraw(number=number):
                if number in self._asked:
                    self._asked[number].cancel()
            case Leave():
                self._isLeaving = True
                self._connection.finish()
            case Reserve() | Renew() | Release() | Drain() | Show():
                self._ask(message)
            case _:
                self._connection.refuse(Why.NOT_ALLOWED, "this is nothing that a job says")

    def _sendOn(self) -> None:
        """
        When this hub has lost its registry, what waits here is served only once that is back: if
        the job knows of another hub, it is told to ask there, where it has its place.  What it
        holds is not touched by that.
        """
        if self._hasOthers and self.hub.isOfNoUse:
            for number, request in list(self._waiting.items()):
                self._sentOn.add(number)
                self.hub.registry.keepPlace(request)

    def _ask(self, message: Reserve | Renew | Release | Drain | Show) -> None:
        number = message.number
        if len(self._asked) >= MOST_ASKED or number in self._asked:
            self._refused(number, FleetError(Why.TOO_MANY, "ask for less at once"))
            return
        asked = Deferred.fromCoroutine(self._perform(message))
        self._asked[number] = asked

        def done(result: Any) -> None:
            del self._asked[number]
            if not isinstance(result, Failure):
                self._connection.send(result)
            elif result.check(FleetError):
                self._refused(number, result.value)
            elif result.check(CancelledError):
                self._refused(number, FleetError(Why.WAITED, "withdrawn"))
            else:
                self._failed(result)

        asked.addBoth(done)

    def _refused(self, number: int, error: Any) -> None:
        shown = "".join(each if each.isprintable() else "?" for each in str(error))
        self._connection.send(Refused(number=number, why=error.why, detail=shown[:400]))

    async def _perform(self, message: Reserve | Renew | Release | Drain | Show) -> Any:
        registry = self.hub.registry
        match message:
            case Reserve():
                return await self._reserve(message)
            case Renew(number=number, token=token, key=key):
                self._holds[token] = await self.hub.renew(token, key)
            case Release(number=number, token=token, key=key):
                self._holds.pop(token, None)
                await registry.release(token, key)
            case Drain(number=number, host=host, isDraining=isDraining):
                if not self._mayDrain():
                    raise FleetError(Why.NOT_ALLOWED, f"{self.name} is no --admin of this hub")
                await registry.drain(host, isDraining)
            case Show(number=number, host="", after=after):
                return await self._page(number, after)
            case Show(number=number, host=host):
                lines = (self._hostLine(host),) if host in self.hub.doors else ()
                return Page(number=number, revision=self.hub.revision, hosts=lines)
        return Done(number=number)

    def _isAdmin(self) -> bool:
        return self.name in self.hub.admins

    def _mayDrain(self) -> bool:
        """
        Without certificates, and without admins, all are of one mind.
        """
        return self._isAdmin() or not (self.hub.admins or self._isProved)

    async def _reserve(self, message: Reserve) -> Reserved:
        try:
            requirement = Requirement.fromString(message.phone)
        except ValueError as error:
            raise FleetError(Why.NO_SUCH_PHONE, str(error)) from error
        request = Request(
            user=self.name,
            requirement=requirement,
            reason=message.reason,
            term=message.term,
            wait=message.wait,
            take=message.take,
            isAdmin=self._isAdmin(),
            ticket=message.ticket,
            asked=message.asked,
        )
        clock = self.hub.clock
        end = clock.seconds() + request.wait
        while True:
            reservation = await self._registered(message.number, request)
            began = clock.seconds()
            isConfirmed, phone = False, None
            try:
                isConfirmed = await self.hub.confirmation(reservation)
                phone = self.hub.phones.get(udidKey(reservation.udid))
            finally:
                # It may be back when its connection is over, and also before, if the hub stops.
                if self._mayBeBack and request.ticket:
                    self.hub.giveUpLater(reservation)
                elif not isConfirmed or phone is None or self._isOver:
                    self.hub.giveUp(reservation)
            if isConfirmed and phone is not None:
                break
            # A host that has died has its phones until its lease is over, and has none for a
            # moment when it is back: a job that waits for one goes on waiting.  A host that
            # denies at once would be asked at once, again and again.
            left = end - clock.seconds()
            if left <= 0 or not (isConfirmed or clock.seconds() >= began + CONFIRM):
                if isConfirmed:
                    raise FleetError(Why.NO_SUCH_PHONE, f"{reservation.udid} has just gone")
                raise FleetError(Why.HOST_SILENT, reservation.host)
            request = replace(request, wait=left)
        self._holds[reservation.token] = reservation
        return Reserved(
            number=message.number,
            token=reservation.token,
            key=reservation.key,
            term=reservation.term,
            door=self.hub.doors.get(reservation.host),
            phone=phone,
        )

    async def _registered(self, number: int, request: Request) -> Reservation:
        """
        What the registry gives.
        """
        if request.ticket:
            self._waiting[number] = request
        try:
            return await self.hub.registry.reserve(request)
        except FleetError as error:
            if number not in self._sentOn:
                raise
            raise FleetError(Why.STALE, LOST_HERE) from error
        finally:
            self._waiting.pop(number, None)
            self._sentOn.discard(number)

    async def _page(self, number: int, after: str) -> Page:
        hub = self.hub
        order = hub.order()
        start = _behind(order, after)
        keys = order[start : start + PHONES_AT_ONCE]
        hosts: tuple[HostLine, ...] = ()
        waiting: tuple[WaitLine, ...] = ()
        if not after:
            count = Counter(phone.host for phone in hub.phones.values())
            hosts = tuple(self._hostLine(name, count[name]) for name in sorted(hub.doors))
            queue = await hub.registry.waiting()
            waiting = tuple(
                WaitLine(
                    user=one.user,
                    phone=one.requirement[:LONGEST_REASON],
                    reason=one.reason,
                    left=int(one.left),
                )
                for one in queue[:MOST_WAITING_SHOWN]
            )
        return Page(
            number=number,
            revision=hub.revision,
            hosts=hosts,
            phones=tuple(self._line(key) for key in keys if key in hub.phones),
            waiting=waiting,
            after=keys[-1] if start + PHONES_AT_ONCE < len(order) else "",
        )

    def _hostLine(self, name: str, phones: int | None = None) -> HostLine:
        hub = self.hub
        if phones is None:
            phones = sum(1 for phone in hub.phones.values() if phone.host == name)
        return HostLine(
            name=name,
            door=str(hub.doors[name]),
            phones=phones,
            isDraining=name in hub.draining,
        )

    def _line(self, key: str) -> PhoneLine:
        held = self.hub.holders.get(key)
        return PhoneLine(
            phone=self.hub.phones[key],
            user="" if held is None else held.user,
            reason="" if held is None else held.reason,
        )


def _behind(order: list[str], after: str) -> int:
    return bisect_right(order, after) if after else 0
