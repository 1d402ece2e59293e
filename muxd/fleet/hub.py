# -*- test-case-name: tests.fleet.test_hub -*-
"""
The hub: what hosts and jobs connect to.

It keeps nothing of its own but what is connected.  What there is, and which job has it, is
the registry's, which it watches; and it tells each host of the reservations of its phones.  No
job hears of a reservation before the phone's host has confirmed that it enforces it.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable
from secrets import token_bytes
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.fleet.interfaces import IFleetRegistry, IFleetWatcher
from muxd.fleet.messages import Grant
from muxd.fleet.patience import inTime
from muxd.fleet.terms import TERM, Times
from muxd.fleet.values import (
    KEPT,
    Change,
    Confirmed,
    Door,
    Drained,
    Ended,
    FleetError,
    Granted,
    HostCame,
    HostGone,
    PhoneCame,
    PhoneGone,
    PhoneRecord,
    Renewed,
    Reservation,
    Snapshot,
    Why,
)
from muxd.identity import udidKey
from muxd.ratelimit import RateLimit

ENTERING = 4
"""How many hosts announce themselves and their phones at the same time.  When all come at once,
others wait, without a lease: that leaves room for what renews the leases of those that are there.
Otherwise these would end, and their hosts would come once more."""

CONFIRM = 5.0
"""Seconds in which a host has to confirm a reservation."""


class HostLink(Protocol):
    """
    A host that is connected.
    """

    def grant(self, grant: Grant) -> None:
        """
        It has a reservation to enforce.
        """

    def revoke(self, token: int) -> None:
        """
        It has it no longer.
        """

    def dismiss(self) -> None:
        """
        It has a newer connection.
        """

    def fresh(self) -> None:
        """
        The registry can be relied on again.
        """

    def stop(self) -> None:
        """
        The hub is stopping.
        """


class JobLink(Protocol):
    """
    A job that is connected.
    """

    def over(self, token: int, how: str) -> None:
        """
        A reservation is over; perhaps one of this job's.
        """

    def stop(self) -> None:
        """
        The hub is stopping.
        """


@implementer(IFleetWatcher)
class Hub:
    """
    What all that have connected share.

    @ivar registry: What there is.
    @ivar term: Seconds that a host's lease lasts.
    @ivar times: What follows from it.
    @ivar admins: The names that may take phones from every job, and drain hosts.
    @ivar hosts: Those that are connected here, by name.
    @ivar doors: Of all hosts that there are.
    @ivar phones: All that there are, by L{PhoneRecord.key}.
    @ivar revision: Of the last change.
    @ivar isFresh: Whether all this is true at present.
    @ivar limit: Of complaints about what connects.
    @ivar entrance: By which hosts come in.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        registry: IFleetRegistry,
        term: float = TERM,
        admins: frozenset[str] = frozenset(),
        secret: Callable[[int], bytes] = token_bytes,
    ) -> None:
        """
        @param secret: Makes bytes that cannot be guessed.
        """
        self.clock = clock
        self.registry = registry
        self.term = term
        self.times = Times(term)
        self.admins = admins
        self.hosts: dict[str, HostLink] = {}
        self.jobs: set[JobLink] = set()
        self.doors: dict[str, Door] = {}
        self.phones: dict[str, PhoneRecord] = {}
        self.holders: dict[str, Reservation] = {}
        self.draining: frozenset[str] = frozenset()
        self.revision = 0
        self.isFresh = False
        # Not when this is made: until the reactor runs, its clock may be another one.
        self._staleSince: float | None = None
        self._isTold = False
        self.connections = 0
        self.limit = RateLimit(clock, self._summarise)
        self.entrance = DeferredSemaphore(ENTERING)
        self._secret = secret(32)
        self._reservations: dict[int, Reservation] = {}
        self._confirming: dict[int, list[Deferred[bool]]] = {}
        # How often a host has confirmed a reservation, by whichever hub.
        self._heard: Counter[int] = Counter()
        self._order: list[str] | None = None
        self._leaving: set[IDelayedCall] = set()

    def start(self) -> Deferred[None]:
        """
        Begin to watch.
        """
        return self.registry.watch(self)

    def stop(self) -> None:
        """
        Have all go, and watch no more.
        """
        self.registry.unwatch(self)
        for host in tuple(self.hosts.values()):
            host.stop()
        for job in tuple(self.jobs):
            job.stop()
        for token in list(self._confirming):
            self._confirmed(token, False)
        for timer in self._leaving:
            timer.cancel()
        self._leaving.clear()
        self.limit.stop()

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn("{count} more {kind}", count=count, kind=kind)

    def keyOf(self, host: str) -> str:
        """
        What this hub knocks with at a host's door: another one for each, so that no host can
        knock at another's.
        """
        return hmac.new(self._secret, host.encode(), "sha256").hexdigest()[:32]

    def order(self) -> list[str]:
        """
        The keys of all phones, sorted.
        """
        if self._order is None:
            self._order = sorted(self.phones)
        return self._order

    # Reservations

    def tokensOf(self, host: str) -> tuple[int, ...]:
        """
        The reservations of a host's phones.
        """
        return tuple(one.token for one in self._reservations.values() if one.host == host)

    def grantsOf(self, host: str) -> list[Grant]:
        """
        What a host has to enforce.
        """
        return [self._grant(one) for one in self._reservations.values() if one.host == host]

    async def renew(self, token: int, key: str) -> Reservation:
        """
        A job goes on with its phone.

        @raise FleetError: It has none, or the phone's host does not confirm that.
        """
        heard = self._heard[token]
        reservation = await self.registry.renew(token, key)
        if not await self.confirmation(reservation, heard):
            raise FleetError(Why.HOST_SILENT, reservation.host)
        return reservation

    def confirmation(self, reservation: Reservation, heard: int = 0) -> Deferred[bool]:
        """
        Wait until a host has confirmed what it has been told of, or will be when it is back.

        @param heard: How often it had done so before.
        @return: fires with whether it has; it has not if nothing is heard of it.
        """
        if reservation.token not in self._reservations:
            return succeed(False)
        if self._heard[reservation.token] > heard:
            return succeed(True)
        confirmed: Deferred[bool] = Deferred()
        self._confirming.setdefault(reservation.token, []).append(confirmed)

        def silent(failure: Failure) -> bool:
            failure.trap(TimeoutError)
            self._log.warn("{host} does not confirm {it}", host=reservation.host, it=reservation)
            return False

        return inTime(confirmed, CONFIRM, self.clock).addErrback(silent)

    def confirmed(self, host: str, token: int, does: bool) -> None:
        """
        A host enforces a reservation, or does not.
        """
        reservation = self._reservations.get(token)
        if reservation is None or reservation.host != host:
            return
        if does:
            self._quietly(self.registry.confirm(token), "{it} is not confirmed", reservation)
        else:
            self._log.warn("{host} denies {it}", host=host, it=reservation)
            self._confirmed(token, False)
            self.giveUp(reservation)

    def giveUp(self, reservation: Reservation) -> None:
        """
        End a reservation.
        """
        released = self.registry.release(reservation.token, reservation.key)
        self._quietly(released, "{it} is not released", reservation)

    def giveUpLater(self, reservation: Reservation) -> None:
        """
        End a reservation of a job whose connection is lost before it heard of it, unless it asks
        again for it meanwhile: then that is another one.
        """

        def giveUp() -> None:
            self._leaving.discard(timer)
            self.giveUp(reservation)

        timer = self.clock.callLater(KEPT, giveUp)
        self._leaving.add(timer)

    def _quietly(self, done: Deferred[None], complaint: str, it: Reservation) -> None:
        """
        What is not done now ends by itself: it is not renewed.
        """

        def failed(failure: Failure) -> None:
            if not failure.check(FleetError):
                self._log.failure(complaint, failure, it=it)
            elif self.limit.admit("reservations that are not confirmed or released"):
                self._log.warn(complaint + ": {error}", error=failure.value, it=it)

        done.addErrback(failed)

    def _confirmed(self, token: int, does: bool) -> None:
        for each in self._confirming.pop(token, ()):
            if not each.called:
                each.callback(does)

    def _grant(self, one: Reservation) -> Grant:
        # A host that hears of it again has it for a whole term: when it is over before, the host
        # is told, and until then no other job gets the phone.
        return Grant(
            token=one.token,
            key=one.key,
            udid=one.udid,
            user=one.user,
            reason=one.reason,
            term=one.term,
        )

    def _tellHost(self, reservation: Reservation) -> None:
        peer = self.hosts.get(reservation.host)
        if peer is not None:
            peer.grant(self._grant(reservation))

    # IFleetWatcher

    def began(self, snapshot: Snapshot) -> None:
        """
        See L{IFleetWatcher}.
        """
        self.doors = {host.name: host.door for host in snapshot.hosts}
        self.phones = {phone.key: phone for phone in snapshot.phones}
        if snapshot.secret:
            self._secret = snapshot.secret
        before = self._reservations
        self._reservations = {one.token: one for one in snapshot.reservations}
        self.holders = {_keyOf(one): one for one in snapshot.reservations}
        self.draining = snapshot.draining
        self.revision = snapshot.revision
        self._order = None
        for token in before.keys() - self._reservations.keys():
            self._end(before[token], "it is over")
        for token in snapshot.confirmed:
            self._heard[token] += 1
            self._confirmed(token, True)
        for host, peer in self.hosts.items():
            for grant in self.grantsOf(host):
                peer.grant(grant)

    def changed(self, change: Change) -> None:
        """
        See L{IFleetWatcher}.
        """
        self.revision = change.revision
        match change.what:
            case HostCame(host):
                self.doors[host.name] = host.door
            case HostGone(name):
                self.doors.pop(name, None)
            case PhoneCame(phone):
                if self.phones.get(phone.key) is None:
                    self._order = None
                self.phones[phone.key] = phone
            case PhoneGone(phone):
                del self.phones[phone.key]
                self._order = None
            case Granted(reservation):
                self._reservations[reservation.token] = reservation
                self.holders[_keyOf(reservation)] = reservation
                self._tellHost(reservation)
            case Renewed(reservation):
                self._tellHost(reservation)
            case Confirmed(token):
                self._heard[token] += 1
                self._confirmed(token, True)
            case Ended(reservation, how):
                self._end(reservation, how)
            case Drained(host=name, isDraining=isDraining):
                others = self.draining - {name}
                self.draining = others | {name} if isDraining else others

    def stale(self, why: str) -> None:
        """
        See L{IFleetWatcher}.
        """
        if self.isFresh:
            self._staleSince = self.clock.seconds()
        self.isFresh = False
        self.staleness()
        if self.limit.admit("times that the fleet's registry could not be relied on"):
            self._isTold = True
            self._log.warn("the fleet's registry cannot be relied on: {why}", why=why)

    def staleness(self) -> float:
        """
        For how long none of this has been sure, in seconds; 0 while it is.  What has never been
        counts from the first time that it is asked for.
        """
        if self.isFresh:
            return 0.0
        now = self.clock.seconds()
        if self._staleSince is None:
            self._staleSince = now
        return now - self._staleSince

    @property
    def isOfNoUse(self) -> bool:
        """
        Whether this hub has lost its registry for so long that what knows of another one is better
        off there.
        """
        return self.staleness() > self.times.grace

    def fresh(self) -> None:
        """
        See L{IFleetWatcher}.
        """
        if self._isTold:
            self._log.info(
                "the fleet's registry can be relied on again, after {seconds:.0f} s",
                seconds=self.staleness(),
            )
        self._isTold = False
        self.isFresh = True
        for host in tuple(self.hosts.values()):
            host.fresh()

    def _end(self, reservation: Reservation, how: str) -> None:
        token = reservation.token
        self._reservations.pop(token, None)
        self._heard.pop(token, None)
        if self.holders.get(_keyOf(reservation)) == reservation:
            del self.holders[_keyOf(reservation)]
        self._confirmed(token, False)
        peer = self.hosts.get(reservation.host)
        if peer is not None:
            peer.revoke(token)
        for job in tuple(self.jobs):
            job.over(token, how)


def _keyOf(reservation: Reservation) -> str:
    return udidKey(reservation.udid)
