# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
The registry of a fleet in etcd, which several hubs have together.

Whatever is done has been heard of by the hub's own watch before it is said to be done, so that
nothing that is told later contradicts it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from secrets import token_hex
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.fleet.embedded import makeKey
from muxd.fleet.etcd.answers import (
    BadAnswer,
    delete,
    flag,
    modifiedIn,
    put,
    revisionOf,
)
from muxd.fleet.etcd.following import Following, FollowState
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.jobs import Jobs
from muxd.fleet.etcd.keys import VALUES, Announced, Hosted, Keys, Kind
from muxd.fleet.etcd.leases import Leases
from muxd.fleet.etcd.mirror import HeldEntry, Mirror
from muxd.fleet.interfaces import IFleetRegistry, IFleetWatcher
from muxd.fleet.patience import inTime
from muxd.fleet.roster import MOST_HOSTS, MOST_PHONES
from muxd.fleet.terms import USUAL, Times
from muxd.fleet.values import (
    Change,
    FleetError,
    HostRecord,
    PhoneRecord,
    Request,
    Reservation,
    Waiting,
    What,
    Why,
)
from muxd.identity import udidKey
from muxd.ratelimit import RateLimit

T = TypeVar("T")

AT_ONCE = 100
"""Changes of one transaction; etcd takes 128."""

LAST_PATIENCE = 1.0
"""Seconds in which etcd may hear that a hub stops."""


@dataclass(slots=True)
class _Announcement:
    """
    What a host has announced by this hub.

    @ivar lease: That of etcd.
    @ivar before: Leases that it has had before, and that phones of its have which it has not told
        of again yet: they are renewed as well until it has told of all.
    @ivar told: The keys of the phones that it has told of since.
    """

    name: str
    lease: int
    before: frozenset[int]
    told: set[str] = field(default_factory=set)


@implementer(IFleetRegistry)
class EtcdRegistry:
    """
    A fleet's registry in etcd, which several hubs share.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        gateway: Gateway,
        keys: Keys,
        makeKey: Callable[[], str] = makeKey,
        makeName: Callable[[], str] = lambda: token_hex(16),
        closing: Callable[[], Deferred[Any]] = lambda: succeed(None),
        times: Times = USUAL,
    ) -> None:
        """
        @param makeKey: Makes the keys of reservations.
        @param closing: Closes what is left of connections.
        @param makeName: Makes what cannot be guessed, of 32 hexadecimal digits.
        """
        self._clock = clock
        self._gateway = gateway
        self._keys = keys
        self._limit = RateLimit(clock, self._summarise)
        self._mirror = Mirror(keys, self._complain)
        self._following = Following(clock, gateway, keys, self._mirror, self, makeName, times)
        self._times = times
        self._leases = Leases(clock, gateway)
        name = makeName()[:16]
        self._jobs = Jobs(
            clock, gateway, keys, self._mirror, self._following, self._leases, makeKey, name
        )
        self._closing = closing
        self._announced: dict[int, _Announcement] = {}
        self._watchers: dict[IFleetWatcher, int] = {}
        self._beginning: list[Deferred[None]] = []
        self._readiness: list[Deferred[None]] = []
        self._revision = 0
        self._isLoaded = False
        self._trouble = "it has not been reached yet"

    @property
    def isFresh(self) -> bool:
        """
        Whether etcd can be relied on.
        """
        return self._following.state is FollowState.FRESH

    def start(self) -> None:
        """
        Begin to follow it.
        """
        self._following.start()

    def stop(self) -> Deferred[None]:
        """
        Tell all that wait that they have nothing.  Reservations stay in force.
        """
        if self._following.state is FollowState.STOPPED:
            return succeed(None)
        lease = self._following.lease if self.isFresh else 0
        self._following.stop()
        self._jobs.stop()
        self._leases.stop()
        self._limit.stop()
        self._trouble = "the hub has stopped"
        for waiting in [*self._readiness, *self._beginning]:
            waiting.cancel()
        self._tellAll("stale", self._trouble)
        # What is in the queue goes with it, at once.
        left = Deferred.fromCoroutine(self._leases.revoke(lease)) if lease else succeed(0)
        left.addTimeout(LAST_PATIENCE, self._clock).addErrback(lambda _: 0)
        left.addCallback(lambda _: self._gateway.close())
        closed: Deferred[Any] = left.addCallback(lambda _: self._closing())
        return closed.addTimeout(2 * LAST_PATIENCE, self._clock).addBoth(lambda _: None)

    # IFleetRegistry

    def announce(self, host: HostRecord, term: float) -> Deferred[int]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._announce(host, term))

    def keepAlive(self, lease: int) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._keepAlive(lease))

    def leave(self, lease: int) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._leave(lease))

    def tell(
        self, lease: int, phones: Sequence[PhoneRecord], isComplete: bool = False
    ) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._tell(lease, phones, isComplete))

    def untell(self, lease: int, udids: Sequence[str]) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._untell(lease, [udidKey(each) for each in udids]))

    def drain(self, host: str, isDraining: bool) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        key = self._keys.of(Kind.DRAINED, host)
        changes = [put(key, b"{}") if isDraining else delete(key)]
        return self._do(self._change([], changes)).addCallback(lambda _: None)

    def watch(self, watcher: IFleetWatcher) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        self._watchers[watcher] = self._revision
        if not self._isLoaded:
            begun: Deferred[None] = Deferred(self._beginning.remove)
            self._beginning.append(begun)
            return begun.addErrback(lambda _: None)
        watcher.began(self._mirror.snapshot(self._revision))
        if self.isFresh:
            watcher.fresh()
        else:
            watcher.stale(self._trouble)
        return succeed(None)

    def unwatch(self, watcher: IFleetWatcher) -> None:
        """
        See L{IFleetRegistry}.
        """
        self._watchers.pop(watcher, None)

    def reserve(self, request: Request) -> Deferred[Reservation]:
        """
        See L{IFleetRegistry}.
        """
        return self._jobs.ask(request, self._ready())

    def keepPlace(self, request: Request) -> None:
        """
        See L{IFleetRegistry}.
        """
        self._jobs.keepPlace(request)

    def renew(self, token: int, key: str) -> Deferred[Reservation]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._renew(token, key))

    def confirm(self, token: int) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._confirm(token))

    def release(self, token: int, key: str) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._release(token, key)).addErrback(self._releaseLater, token, key)

    def waiting(self) -> Deferred[list[Waiting]]:
        """
        See L{IFleetRegistry}.
        """
        return Deferred.fromCoroutine(self._jobs.waiting())

    # Follower

    def loaded(self) -> None:
        """
        See L{muxd.fleet.etcd.following.Follower}.
        """
        self._isLoaded = True
        self._revision = max(self._revision + 1, self._mirror.revision)
        snapshot = self._mirror.snapshot(self._revision)
        for watcher in tuple(self._watchers):
            self._watchers[watcher] = self._revision
            self._call(watcher.began, snapshot)
        beginning, self._beginning = self._beginning, []
        for each in beginning:
            each.callback(None)

    def happened(self, whats: list[What]) -> None:
        """
        See L{muxd.fleet.etcd.following.Follower}.
        """
        changes = []
        for what in whats:
            self._revision += 1
            changes.append(Change(self._revision, what))
        for watcher in tuple(self._watchers):
            for change in changes:
                if change.revision > self._watchers.get(watcher, change.revision):
                    self._watchers[watcher] = change.revision
                    self._call(watcher.changed, change)

    def settled(self) -> None:
        """
        See L{muxd.fleet.etcd.following.Follower}.
        """
        self._jobs.serve()

    def stale(self, why: str) -> None:
        """
        See L{muxd.fleet.etcd.following.Follower}.
        """
        self._trouble = why
        self._tellAll("stale", why)

    def fresh(self) -> None:
        """
        See L{muxd.fleet.etcd.following.Follower}.
        """
        self._tellAll("fresh")
        readiness, self._readiness = self._readiness, []
        for each in readiness:
            each.callback(None)
        self._jobs.fresh()

    # Within

    def _do(self, work: Awaitable[T]) -> Deferred[T]:
        """
        Do something once etcd can be relied on.
        """

        async def run() -> T:
            try:
                await self._ready()
            except FleetError:
                # Nothing waits for it.
                getattr(work, "close", lambda: None)()
                raise
            try:
                return await work
            except (EtcdError, BadAnswer) as error:
                raise FleetError(Why.STALE, str(error)) from error

        return Deferred.fromCoroutine(run())

    async def _ready(self) -> None:
        """
        Wait until etcd can be relied on.

        @raise FleetError: It cannot, or not in time.
        """
        if self.isFresh:
            return
        if self._following.state is FollowState.STOPPED:
            raise FleetError(Why.STALE, "the registry is not running")
        ready: Deferred[None] = Deferred(self._forgetReadiness)
        self._readiness.append(ready)
        try:
            await inTime(ready, self._times.unsure, self._clock)
        except Exception as error:
            raise FleetError(Why.STALE, self._trouble) from error

    def _forgetReadiness(self, ready: Deferred[None]) -> None:
        if ready in self._readiness:
            self._readiness.remove(ready)

    async def _change(self, conditions: list[dict[str, Any]], changes: list[dict[str, Any]]) -> int:
        """
        Do all of something, or none of it.

        @return: The revision; 0 if a condition does not hold.
        """
        body = {"compare": conditions, "success": changes}
        said = await self._gateway.ask("/v3/kv/txn", body)
        if not flag(said, "succeeded"):
            return 0
        await self._following.reach(revisionOf(said))
        return revisionOf(said)

    async def _announce(self, host: HostRecord, term: float) -> int:
        before = self._mirror.hosts.get(host.name)
        if before is None and len(self._mirror.hosts) >= MOST_HOSTS:
            raise FleetError(Why.TOO_MANY, "there are too many hosts")
        lease = await self._leases.grant(term)
        key = self._keys.of(Kind.HOST, host.name)
        revision = await self._change([], [put(key, VALUES.encode(Hosted(door=host.door)), lease)])
        others = {at: one for at, one in self._announced.items() if one.name != host.name}
        # What it had before stays, with the lease that it has, until it has told everything.
        claims = self._mirror.claims.get(host.name, {})
        old = {claim.lease for claim in claims.values()}
        if before is not None:
            old.add(before.lease)
        announced = _Announcement(host.name, lease, frozenset(old - {0, lease}))
        self._announced = {**others, revision: announced}
        return revision

    async def _changeOf(self, lease: int, changes: list[dict[str, Any]]) -> bool:
        """
        Changes of a host's, while its announcement is the last.
        """
        name = self._announced[lease].name
        isLast = modifiedIn(self._keys.of(Kind.HOST, name), lease)
        for at in range(0, len(changes), AT_ONCE):
            if not await self._change([isLast], changes[at : at + AT_ONCE]):
                return False
        return True

    def _current(self, lease: int) -> _Announcement | None:
        """
        What a host has announced, if it has not done so again, and its lease is not over.
        """
        announced = self._announced.get(lease)
        if announced is not None:
            entry = self._mirror.hosts.get(announced.name)
            if entry is not None and entry.number == lease:
                return announced
            del self._announced[lease]
        return None

    async def _keepAlive(self, lease: int) -> bool:
        announced = self._current(lease)
        if announced is None:
            return False
        for each in announced.before:
            self._jobs.inBackground(self._leases.renew(each))
        return await self._leases.renew(announced.lease)

    async def _leave(self, lease: int) -> None:
        announced = self._current(lease)
        if announced is not None:
            for each in (*announced.before, announced.lease):
                await self._following.reach(await self._leases.revoke(each))

    def _forget(self, announced: _Announcement) -> None:
        """
        End the leases that a host had before.
        """
        before, announced.before = announced.before, frozenset()
        for each in before:
            self._leases.end(each)

    async def _tell(self, lease: int, phones: Sequence[PhoneRecord], isComplete: bool) -> bool:
        changes = self._changesOf(lease, phones, isComplete)
        goesOn = changes is not None and await self._changeOf(lease, changes)
        announced = self._announced.get(lease)
        if goesOn and isComplete and announced is not None:
            self._forget(announced)
        return goesOn

    def _changesOf(
        self, lease: int, phones: Sequence[PhoneRecord], isComplete: bool
    ) -> list[dict[str, Any]] | None:
        """
        What a host changes by telling of phones; None if its lease is over.
        """
        announced = self._current(lease)
        if announced is None:
            return None
        name, claims = announced.name, self._mirror.claims.get(announced.name, {})
        changes: dict[str, dict[str, Any]] = {}
        room = MOST_PHONES - len(claims)
        for phone in phones:
            key = phone.key
            if key not in claims and key not in changes:
                if not room:
                    continue
                room -= 1
            announced.told.add(key)
            value = VALUES.encode(Announced(phone=phone.of(name)))
            known = claims.get(key)
            if known is None or (known.value, known.lease) != (value, announced.lease):
                where = self._keys.of(Kind.PHONE, name, key)
                changes[key] = put(where, value, announced.lease)
        if isComplete:
            for key in claims.keys() - announced.told:
                changes[key] = delete(self._keys.of(Kind.PHONE, name, key))
        return list(changes.values())

    async def _untell(self, lease: int, keys: Sequence[str]) -> bool:
        announced = self._current(lease)
        if announced is None:
            return False
        announced.told.difference_update(keys)
        there = self._mirror.claims.get(announced.name, {})
        gone = [self._keys.of(Kind.PHONE, announced.name, key) for key in keys if key in there]
        return await self._changeOf(lease, list(map(delete, dict.fromkeys(gone))))

    async def _mine(self, token: int, key: str) -> HeldEntry | None:
        """
        A job's reservation.
        """
        if token not in self._mirror.byToken:
            # Another hub may have granted it just now.
            await self._following.catchUp()
        return self._known(token, key)

    def _known(self, token: int, key: str) -> HeldEntry | None:
        entry = self._mirror.byToken.get(token)
        if entry is None or not compare_digest(entry.reservation.key.encode(), key.encode()):
            return None
        return entry

    async def _renew(self, token: int, key: str) -> Reservation:
        entry = await self._mine(token, key)
        if entry is None or not await self._leases.renew(entry.lease):
            raise FleetError(Why.OVER)
        held = self._keys.of(Kind.HELD, udidKey(entry.reservation.udid))
        renewed = self._keys.of(Kind.RENEWED, str(token))
        if not await self._change([modifiedIn(held, token)], [put(renewed, b"{}", entry.lease)]):
            raise FleetError(Why.OVER)
        return entry.reservation

    async def _confirm(self, token: int) -> None:
        entry = self._mirror.byToken.get(token)
        if entry is not None and token not in self._mirror.confirmed:
            held = self._keys.of(Kind.HELD, udidKey(entry.reservation.udid))
            confirmed = self._keys.of(Kind.CONFIRMED, str(token))
            await self._change([modifiedIn(held, token)], [put(confirmed, b"{}", entry.lease)])

    async def _release(self, token: int, key: str) -> None:
        entry = await self._mine(token, key)
        if entry is not None:
            revision = await self._leases.revoke(entry.lease)
            if revision:
                await self._following.reach(revision)
            else:
                # It was over before, perhaps by this, with the first answer lost.
                await self._following.catchUp()

    def _releaseLater(self, failure: Failure, token: int, key: str) -> Failure:
        """
        What a job does not want any more is over when etcd can be asked, whether the job was told
        so or not.
        """
        entry = self._known(token, key)
        if entry is not None:
            self._leases.end(entry.lease)
        return failure

    def _tellAll(self, name: str, *what: Any) -> None:
        for watcher in tuple(self._watchers):
            self._call(getattr(watcher, name), *what)

    def _call(self, tell: Callable[..., None], *what: Any) -> None:
        try:
            tell(*what)
        except Exception:
            self._log.failure("a watcher of the fleet failed: {it!r}", it=tell)

    def _complain(self, problem: str) -> None:
        if self._limit.admit("keys that make no sense"):
            self._log.warn("etcd has what is no fleet's: {problem}", problem=problem)

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn("{count} more {kind}", count=count, kind=kind)
