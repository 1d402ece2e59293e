# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
How jobs get phones by etcd: the queue is there, in the order of revisions, and each hub serves
its own jobs when it is their turn.

A phone that becomes free is the first one's that it fits, whichever hub that has asked, and all
hubs see the same order.  What decides is a transaction, on the phone's reservation and the
job's place in the queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.etcd.answers import (
    BadAnswer,
    delete,
    flag,
    isThere,
    modifiedIn,
    number,
    put,
    revisionOf,
)
from muxd.fleet.etcd.following import Following
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.keys import VALUES, Held, Keys, Kind, Queued
from muxd.fleet.etcd.mirror import Mirror
from muxd.fleet.ledger import MOST_HELD_PER_USER, MOST_WAITING, MOST_WAITING_PER_USER
from muxd.fleet.states import JOBS, Event, JobState, step
from muxd.fleet.values import FleetError, PhoneRecord, Request, Reservation, Waiting, Why
from muxd.ratelimit import RateLimit

NOT_FOUND = 5
"""The number of gRPC for what there is not."""

RETRY = 1.0
"""Seconds until a phone is asked for again that etcd has refused to give."""

MOST_TRIES = 16
"""How many free phones are tried that other hubs' jobs take at the same moment."""


@dataclass(slots=True, eq=False)
class _Job:
    """
    A job of this hub.

    @ivar isAsking: Whether a phone is being asked for, for it, or soon will be again.
    @ivar isDue: Whether it does not wait any longer.
    @ivar missed: The phones whose turn came to it meanwhile.
    @ivar retry: When one is asked for again.
    """

    name: str
    request: Request
    wanted: Deferred[Reservation]
    state: JobState = JobState.WAITING
    isAsking: bool = False
    isDue: bool = False
    timer: IDelayedCall | None = None
    missed: set[str] = field(default_factory=set)
    retry: IDelayedCall | None = None


class Jobs:
    """
    Those of this hub.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        gateway: Gateway,
        keys: Keys,
        mirror: Mirror,
        following: Following,
        makeKey: Callable[[], str],
        name: str,
    ) -> None:
        """
        @param makeKey: Makes the keys of reservations, which nothing can guess.
        @param name: The hub's, which no other has.
        """
        self._clock = clock
        self._gateway = gateway
        self._keys = keys
        self._mirror = mirror
        self._following = following
        self._makeKey = makeKey
        self._name = name
        self._last = 0
        self._jobs: dict[str, _Job] = {}
        self._seen: dict[str, float] = {}
        self._forgetting: set[str] = set()
        # One after the other, as they have come.
        self._lock = DeferredLock()
        self._limit = RateLimit(clock, self._summarise, burst=3)
        self._isStopped = False

    def ask(self, request: Request, ready: Awaitable[None]) -> Deferred[Reservation]:
        """
        A job wants a phone.

        @param ready: What is waited for first.
        """
        self._last += 1
        name = f"{self._name}-{self._last}"
        wanted: Deferred[Reservation] = Deferred(lambda _: self._withdraw(job))
        job = _Job(name, request, wanted)
        self._jobs[name] = job
        begun = Deferred.fromCoroutine(self._begin(job, ready))
        begun.addErrback(lambda failure: self._refuse(job, failure))
        return wanted

    def serve(self) -> None:
        """
        What there is has changed: ask for what is the turn of jobs of this hub.
        """
        mirror = self._mirror
        self._note()
        while mirror.dirty:
            key = next(iter(mirror.dirty))
            del mirror.dirty[key]
            phone = mirror.phones[key]
            name = self._firstFor(phone)
            job = self._jobs.get(name or "")
            if job is None or job.state is not JobState.WAITING:
                continue
            if job.isAsking:
                job.missed.add(key)
            else:
                job.isAsking = True
                served = Deferred.fromCoroutine(self._serveOne(job, phone))
                served.addErrback(self._failed)

    def fresh(self) -> None:
        """
        What is known is true again: see to it that all jobs are in the queue.
        """
        for job in list(self._jobs.values()):
            if job.timer is None or job.isAsking:
                continue
            if job.name not in self._mirror.queue:
                self.inBackground(self._enqueue(job))
            self._mirror.markFor(job.request.requirement)
        self.serve()

    async def waiting(self) -> list[Waiting]:
        """
        The queue, with all in it that have come before this is called.
        """
        await self._lock.run(lambda: None)
        now = self._clock.seconds()
        return [
            Waiting(
                user=entry.queued.user,
                requirement=str(entry.requirement),
                reason=entry.queued.reason,
                left=max(0.0, entry.queued.wait - (now - self._seen.get(name, now))),
            )
            for name, entry in self._mirror.queue.items()
        ]

    def stop(self) -> None:
        """
        Tell all that wait that they have nothing.  The end of the hub's lease takes them out of
        the queue.
        """
        self._isStopped = True
        for job in list(self._jobs.values()):
            self._finish(job, Event.REFUSE, FleetError(Why.STOPPED))
        self._limit.stop()

    def inBackground(self, work: Awaitable[Any]) -> None:
        """
        Do something that may fail without harm: it is done by a lease's end otherwise.
        """

        async def run() -> None:
            try:
                await work
            except (EtcdError, BadAnswer) as error:
                self._log.debug("{error}", error=error)

        Deferred.fromCoroutine(run()).addErrback(self._failed)

    async def revoke(self, lease: int) -> int:
        """
        End a lease, and with it what is bound to it.

        @return: The revision by which it is over; 0 if it was before.
        """
        try:
            said = await self._gateway.ask("/v3/lease/revoke", {"ID": str(lease)})
        except EtcdError as error:
            if error.code != NOT_FOUND:
                raise
            return 0
        return revisionOf(said)

    # Within

    async def _begin(self, job: _Job, ready: Awaitable[None]) -> None:
        await ready
        await self._lock.acquire()
        try:
            await self._beginInTurn(job)
        finally:
            self._lock.release()

    async def _beginInTurn(self, job: _Job) -> None:
        mirror, request = self._mirror, job.request
        waiting = [entry for entry in mirror.queue.values() if entry.queued.user == request.user]
        if mirror.heldBy[request.user] + len(waiting) >= MOST_HELD_PER_USER:
            raise FleetError(Why.TOO_MANY)
        reservation = await self._findFree(job)
        if reservation is None and request.take:
            reservation = await self._takeOver(job)
        if reservation is not None:
            self._serveWith(job, reservation)
        elif job.state is JobState.WAITING:
            if request.wait <= 0:
                raise self._whyNot(request)
            if len(mirror.queue) >= MOST_WAITING or len(waiting) >= MOST_WAITING_PER_USER:
                raise FleetError(Why.TOO_MANY)
            await self._wait(job)

    async def _wait(self, job: _Job) -> None:
        """
        Put a job into the queue.
        """
        job.timer = self._clock.callLater(job.request.wait, self._due, job)
        await self._enqueue(job)
        if job.state is JobState.WAITING:
            # Something may have become free while it was not in the queue yet.
            self._mirror.markFor(job.request.requirement)
            self.serve()

    async def _enqueue(self, job: _Job) -> None:
        key = self._keys.of(Kind.QUEUED, job.name)
        value = VALUES.encode(Queued.of(job.request))
        body = {"success": [put(key, value, self._following.lease)]}
        said = await self._gateway.ask("/v3/kv/txn", body)
        await self._following.reach(revisionOf(said))

    async def _findFree(self, job: _Job) -> Reservation | None:
        """
        A phone that is free, and not meant for a job that waits.
        """
        tried: set[str] = set()
        fits, only = job.request.requirement.fits, job.request.requirement.udid
        while len(tried) < MOST_TRIES and job.state is JobState.WAITING:
            free = self._mirror.free
            keys = free if only is None else [only] if only in free else []
            phones = (self._mirror.phones[key] for key in keys if key not in tried)
            found = (each for each in phones if fits(each) and self._firstFor(each) is None)
            phone = next(found, None)
            if phone is None:
                return None
            tried.add(phone.key)
            reservation = await self._grant(job, phone)
            if reservation is not None:
                return reservation
        return None

    async def _takeOver(self, job: _Job) -> Reservation | None:
        request = job.request
        for key, entry in list(self._mirror.held.items()):
            phone = self._mirror.phones.get(key)
            mayTake = request.isAdmin or entry.reservation.user == request.user
            if phone is None or not mayTake or phone.host in self._mirror.draining:
                continue
            if request.requirement.fits(phone) and job.state is JobState.WAITING:
                reservation = await self._grant(job, phone, over=entry.reservation.token)
                if reservation is not None:
                    return reservation
        return None

    async def _serveOne(self, job: _Job, phone: PhoneRecord) -> None:
        reservation, isRefused = None, False
        try:
            reservation = await self._grant(job, phone, isQueued=True)
        except (EtcdError, BadAnswer) as error:
            if self._limit.admit("phones that are not given"):
                self._log.warn("{phone} is not given: {error}", phone=phone.udid, error=error)
            isRefused = True
        except FleetError:
            # It was over at once.
            pass
        finally:
            job.isAsking = False
        missed, job.missed = job.missed, set()
        if reservation is not None:
            self._serveWith(job, reservation)
        elif job.isDue:
            self._finish(job, Event.SILENCE, FleetError(Why.WAITED))
        elif job.state is JobState.WAITING and isRefused:
            # It would refuse the next one as well, as fast as it is asked.
            job.isAsking = True
            job.retry = self._clock.callLater(RETRY, self._askAgain, job)
        elif job.state is JobState.WAITING:
            # What has become free meanwhile was left for it.
            if missed:
                self._mirror.mark(lambda other: other.key in missed)
            self.serve()

    def _askAgain(self, job: _Job) -> None:
        job.retry, job.isAsking = None, False
        self._mirror.markFor(job.request.requirement)
        self.serve()

    async def _grant(
        self, job: _Job, phone: PhoneRecord, over: int = 0, isQueued: bool = False
    ) -> Reservation | None:
        """
        Try to get a phone for a job.

        @param over: The token of the reservation that ends by that; 0 for none.
        @param isQueued: Whether the job has to be in the queue, and leaves it by that.
        @return: It; None if it is another job's, or not to be had.
        """
        keys = self._keys
        asked = {"TTL": str(ceil(job.request.term))}
        lease = number(await self._gateway.ask("/v3/lease/grant", asked), "ID")
        held, queued = keys.of(Kind.HELD, phone.key), keys.of(Kind.QUEUED, job.name)
        value = VALUES.encode(Held.of(phone, job.request, self._makeKey()))
        conditions = [
            modifiedIn(held, over),
            isThere(keys.of(Kind.PHONE, phone.host, phone.key)),
            modifiedIn(keys.of(Kind.DRAINED, phone.host), 0),
        ]
        changes = [put(held, value, lease)]
        if isQueued:
            conditions.append(isThere(queued))
            changes.append(delete(queued))
        body = {"compare": conditions, "success": changes}
        try:
            said = await self._gateway.ask("/v3/kv/txn", body, isSafe=False)
            if not flag(said, "succeeded"):
                self.inBackground(self.revoke(lease))
                await self._following.catchUp()
                return None
            token = revisionOf(said)
            await self._following.reach(token)
        except (EtcdError, BadAnswer):
            # Whether it was done or not: it is not now.
            self.inBackground(self.revoke(lease))
            raise
        entry = self._mirror.byToken.get(token)
        if entry is None:
            raise FleetError(Why.OVER)
        return entry.reservation

    def _serveWith(self, job: _Job, reservation: Reservation) -> None:
        if job.state is JobState.WAITING:
            self._finish(job, Event.GRANT, reservation)
            return
        entry = self._mirror.byToken.get(reservation.token)
        if entry is not None:
            self.inBackground(self.revoke(entry.lease))

    def _refuse(self, job: _Job, failure: Failure) -> None:
        """
        A job could not even begin to wait.
        """
        error = failure.value
        if isinstance(error, (EtcdError, BadAnswer)):
            error = FleetError(Why.STALE, str(error))
        elif not isinstance(error, FleetError):
            self._failed(failure)
            error = FleetError(Why.STALE)
        self._finish(job, Event.REFUSE, error)

    def _due(self, job: _Job) -> None:
        job.isDue = True
        if not job.isAsking or job.retry is not None:
            self._finish(job, Event.SILENCE, FleetError(Why.WAITED))

    def _withdraw(self, job: _Job) -> None:
        self._finish(job, Event.LEAVE, None)

    def _finish(self, job: _Job, event: Event, result: Reservation | FleetError | None) -> None:
        if job.state is not JobState.WAITING:
            return
        job.state = step(JOBS, job.state, event)
        del self._jobs[job.name]
        isQueued = job.timer is not None
        for timer in (job.timer, job.retry):
            if timer is not None and timer.active():
                timer.cancel()
        if isQueued and event is not Event.GRANT and not self._isStopped:
            self._forget(job.name)
        if isinstance(result, Reservation):
            job.wanted.callback(result)
        elif result is not None:
            job.wanted.errback(result)

    def _forget(self, name: str) -> None:
        """
        Take a job out of the queue.
        """
        if name not in self._forgetting:
            self._forgetting.add(name)
            self.inBackground(self._delete(name))

    async def _delete(self, name: str) -> None:
        try:
            body = {"success": [delete(self._keys.of(Kind.QUEUED, name))]}
            await self._gateway.ask("/v3/kv/txn", body)
        finally:
            self._forgetting.discard(name)

    def _note(self) -> None:
        """
        Remember since when jobs wait; and forget those of this hub that do so no more.
        """
        now, queue = self._clock.seconds(), self._mirror.queue
        if self._seen.keys() != queue.keys():
            self._seen = {name: self._seen.get(name, now) for name in queue}
        for name in queue:
            if name.startswith(f"{self._name}-") and name not in self._jobs:
                self._forget(name)

    def _firstFor(self, phone: PhoneRecord) -> str | None:
        """
        The job whose turn it is with a phone.
        """
        queue = self._mirror.queue.items()
        return next((name for name, entry in queue if entry.requirement.fits(phone)), None)

    def _whyNot(self, request: Request) -> FleetError:
        phones = self._mirror.phones.values()
        fitting = [one for one in phones if request.requirement.fits(one)]
        if not fitting:
            return FleetError(Why.NO_SUCH_PHONE, str(request.requirement))
        held = [self._mirror.held[one.key] for one in fitting if one.key in self._mirror.held]
        if not held:
            return FleetError(Why.TAKEN, "its host is drained, or jobs wait for it")
        reservation = held[0].reservation
        return FleetError(Why.TAKEN, f"{reservation.udid} is reserved by {reservation.user}")

    def _summarise(self, kind: str, count: int) -> None:
        self._log.warn("{count} more {kind}", count=count, kind=kind)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a job cannot be served", failure)
