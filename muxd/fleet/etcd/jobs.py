# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
How jobs get phones by etcd: the queue is there, in the order of revisions, and each hub serves
its own jobs when it is their turn.

A phone that becomes free is the first one's that it fits, whichever hub that has asked, and all
hubs see the same order: one phone is meant for each job.  What decides is a transaction, on the
phone's reservation and the job's place in the queue.

The place of a job with a ticket has a lease of its own, which the hub renews that serves the job.
A hub where the same ticket asks again gives the place another lease: from then on what the other
hub tries for that job is in vain, as its transactions name the revision of what it has written
itself.  Nothing else is served with what is meant for a place, until its lease is over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.etcd.answers import BadAnswer, delete, put, revisionOf
from muxd.fleet.etcd.following import Following
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.grants import Grants
from muxd.fleet.etcd.keys import VALUES, Keys, Kind, Queued
from muxd.fleet.etcd.leases import Leases
from muxd.fleet.etcd.mirror import Mirror
from muxd.fleet.etcd.places import RENEWED, Job, Places
from muxd.fleet.ledger import (
    ASKED_AGAIN,
    LOST,
    MOST_HELD_PER_USER,
    MOST_WAITING,
    MOST_WAITING_PER_USER,
)
from muxd.fleet.states import JOBS, Event, JobState, step
from muxd.fleet.values import KEPT, FleetError, PhoneRecord, Request, Reservation, Waiting, Why
from muxd.ratelimit import RateLimit

RETRY = 1.0
"""Seconds until a phone is asked for again that etcd has refused to give."""

MOST_TRIES = 16
"""How many free phones are tried that other hubs' jobs take at the same moment."""


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
        leases: Leases,
        makeKey: Callable[[], str],
        name: str,
    ) -> None:
        """
        @param leases: By which those of places in the queue are renewed.
        @param makeKey: Makes the keys of reservations, which nothing can guess.
        @param name: The hub's, which no other has.
        """
        self._clock = clock
        self._gateway = gateway
        self._keys = keys
        self._mirror = mirror
        self._following = following
        self._leases = leases
        self._name = name
        self._last = 0
        self._jobs: dict[str, Job] = {}
        self._seen: dict[str, float] = {}
        self._forgetting: set[str] = set()
        # One after the other, as they have come.
        self._lock = DeferredLock()
        self._limit = RateLimit(clock, self._summarise, burst=3)
        self._places = Places(keys, gateway, mirror, following, leases)
        self._grants = Grants(keys, gateway, mirror, following, leases, makeKey)
        self._renewal: IDelayedCall | None = None
        self._leaving: set[IDelayedCall] = set()
        self._isStopped = False

    def ask(self, request: Request, ready: Awaitable[None]) -> Deferred[Reservation]:
        """
        A job wants a phone.

        @param ready: What is waited for first.
        """
        self._last += 1
        name = request.place or f"{self._name}-{self._last}"
        before = self._jobs.get(name)
        if before is not None and before.request.asked > request.asked:
            # Nothing waits for it.
            getattr(ready, "close", lambda: None)()
            return fail(FleetError(Why.OVER, ASKED_AGAIN))
        if before is not None:
            self._leave(before, Event.REFUSE, ASKED_AGAIN)
        wanted: Deferred[Reservation] = Deferred(lambda _: self._withdraw(job))
        job = Job(name, request, wanted)
        self._jobs[name] = job
        if job.hasTicket:
            self._renewLater()
        begun = Deferred.fromCoroutine(self._begin(job, ready))
        begun.addErrback(lambda failure: self._refuse(job, failure))
        return wanted

    def keepPlace(self, request: Request) -> None:
        """
        See L{muxd.fleet.interfaces.IFleetRegistry}.
        """
        job = self._jobs.get(request.place)
        if job is not None:
            if job.lease:
                self.inBackground(self._leases.renew(job.lease))
            self._leave(job, Event.LOSE, LOST)

    def serve(self) -> None:
        """
        What there is has changed: ask for what is the turn of jobs of this hub.
        """
        self._note()
        for name in self._mirror.turns.settle():
            job = self._jobs.get(name)
            if job is not None:
                self._askFor(job)

    def _askFor(self, job: Job) -> None:
        """
        Ask for what is meant for a job of this hub, if something is.
        """
        key = self._mirror.turns.of(job.name)
        # What is not settled is looked at when it is known whose place it is.
        if key is None or job.state is not JobState.WAITING or not job.isSettled:
            return
        if job.isAsking:
            job.isMissed = True
            return
        job.isMissed = False
        self._startServing(job, self._mirror.phones[key])

    def fresh(self) -> None:
        """
        What is known is true again: see to it that all jobs are in the queue.
        """
        for job in list(self._jobs.values()):
            if job.timer is None or job.isAsking:
                continue
            self._look(job)
            self._askFor(job)
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
        the queue; those with tickets have time to ask another hub.
        """
        self._isStopped = True
        for timer in (*self._leaving, self._renewal):
            if timer is not None and timer.active():
                timer.cancel()
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

    # Within

    async def _begin(self, job: Job, ready: Awaitable[None]) -> None:
        await ready
        await self._lock.acquire()
        try:
            await self._beginInTurn(job)
        finally:
            self._lock.release()

    async def _beginInTurn(self, job: Job) -> None:
        mirror, request = self._mirror, job.request
        if request.asked and job.hasTicket:
            # Another hub may have served it just now.
            await self._following.catchUp()
        places = self._places
        if job.name in mirror.queue or places.granted(job) or places.isElsewhere(job):
            await self._goOn(job)
            return
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
            await self._goOn(job)

    async def _goOn(self, job: Job) -> None:
        """
        A job has the phone that it was given before, if it asks again; or waits, in the place
        that it had, or in a new one.
        """
        for _ in range(MOST_TRIES):
            if job.state is not JobState.WAITING:
                return
            if self._places.isElsewhere(job):
                self._leave(job, Event.REFUSE, ASKED_AGAIN)
                return
            granted = self._places.granted(job)
            if granted is None:
                if await self._wait(job):
                    return
                continue
            # What was told of that, and may be on its way to it still, is worth nothing any more.
            phone = PhoneRecord(udid=granted.udid, host=granted.host)
            job.isPlacing = True
            try:
                reservation = await self._grant(job, phone, over=granted.token, isSame=True)
            except FleetError:
                # It was over at once.
                reservation = None
            finally:
                job.isPlacing = False
            if reservation is not None:
                self._serveWith(job, reservation)
                return
        raise EtcdError("a job's place in the queue is another one all the time")

    async def _wait(self, job: Job) -> bool:
        """
        Put a job into the queue.

        @return: whether it is there.
        """
        if job.timer is None:
            job.timer = self._clock.callLater(job.request.wait, self._due, job)
        if not await self._enqueue(job):
            return False
        if job.state is JobState.WAITING:
            # Something may have become free while it was not in the queue yet, or not settled.
            self.serve()
            self._askFor(job)
        return True

    async def _enqueue(self, job: Job) -> bool:
        """
        @return: whether it is there; what it was given before is its own otherwise.
        """
        value = VALUES.encode(Queued.of(job.request))
        if job.hasTicket:
            if not await self._places.take(job, value):
                return False
            if job.state is not JobState.WAITING and not job.isKept:
                self._forget(job)
            return True
        key = self._keys.of(Kind.QUEUED, job.name)
        body = {"success": [put(key, value, self._following.lease)]}
        said = await self._gateway.ask("/v3/kv/txn", body)
        await self._following.reach(revisionOf(said))
        return True

    def _look(self, job: Job) -> None:
        """
        See to it that a job which waits here has its place, and is not served elsewhere.
        """
        if job.isPlacing or job.timer is None or job.isAsking:
            return
        if self._places.isElsewhere(job):
            self._leave(job, Event.REFUSE, ASKED_AGAIN)
        elif not self._places.isHere(job):
            self.inBackground(self._goOnAgain(job))

    async def _goOnAgain(self, job: Job) -> None:
        try:
            await self._goOn(job)
        except (EtcdError, BadAnswer):
            if job.attempt is not None and job.state is JobState.WAITING:
                self._retry(job)
            raise

    async def _findFree(self, job: Job) -> Reservation | None:
        """
        A phone that is free, and not meant for a job that waits.
        """
        tried: set[str] = set()
        while len(tried) < MOST_TRIES and job.state is JobState.WAITING:
            self.serve()
            phones = self._mirror.turns.unmeant(job.request.requirement)
            phone = next((each for each in phones if each.key not in tried), None)
            if phone is None:
                return None
            tried.add(phone.key)
            reservation = await self._grant(job, phone)
            if reservation is not None:
                return reservation
        return None

    async def _takeOver(self, job: Job) -> Reservation | None:
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

    def _startServing(self, job: Job, phone: PhoneRecord) -> None:
        job.isAsking = True
        served = Deferred.fromCoroutine(self._serveOne(job, phone))
        served.addErrback(self._failed)

    async def _serveOne(self, job: Job, phone: PhoneRecord) -> None:
        reservation, isRefused = None, False
        try:
            if job.attempt is None:
                reservation = await self._grant(job, phone, isQueued=True)
            else:
                reservation = await self._carryOut(job)
        except (EtcdError, BadAnswer) as error:
            isWaiting = job.state is JobState.WAITING
            if isWaiting and self._limit.admit("phones that are not given"):
                self._log.warn("{phone} is not given: {error}", phone=phone.udid, error=error)
            isRefused = True
        except FleetError:
            # It was over at once.
            pass
        finally:
            job.isAsking = False
        if reservation is not None:
            self._serveWith(job, reservation)
        elif job.isDue:
            self._finish(job, Event.SILENCE, FleetError(Why.WAITED))
        elif job.state is JobState.WAITING and isRefused:
            # It would refuse the next one as well, as fast as it is asked.
            self._retry(job)
        elif job.state is JobState.WAITING:
            if not job.isMissed and self._mirror.turns.of(job.name) == phone.key:
                self._mirror.refuse(phone.key)
            self.serve()
            self._askFor(job)

    def _retry(self, job: Job) -> None:
        job.isAsking = True
        job.retry = self._clock.callLater(RETRY, self._askAgain, job)

    def _askAgain(self, job: Job) -> None:
        job.retry, job.isAsking = None, False
        if job.attempt is not None:
            self._startServing(job, job.attempt.phone)
            return
        self.serve()
        self._askFor(job)

    async def _grant(
        self,
        job: Job,
        phone: PhoneRecord,
        over: int = 0,
        isQueued: bool = False,
        isSame: bool = False,
    ) -> Reservation | None:
        """
        Try to get a phone for a job: see L{Grants}.

        @return: It; None if it is another job's, or not to be had.
        """
        job.attempt = await self._grants.prepare(job, phone, over, isQueued, isSame)
        return await self._carryOut(job)

    async def _carryOut(self, job: Job) -> Reservation | None:
        try:
            return await self._grants.carryOut(job)
        except (EtcdError, BadAnswer):
            if job.state is not JobState.WAITING:
                self._giveUp(job)
            raise

    def _giveUp(self, job: Job) -> None:
        """
        What was asked for is of no use to a job any more, whether it was done or not.
        """
        attempt, job.attempt = job.attempt, None
        if attempt is not None:
            self._end(job, attempt.lease)

    def _renewLater(self) -> None:
        if self._renewal is None and not self._isStopped:
            self._renewal = self._clock.callLater(RENEWED, self._renewAll)

    def _renewAll(self) -> None:
        self._renewal = None
        for job in [one for one in self._jobs.values() if one.hasTicket]:
            self._renewLater()
            self.inBackground(self._renew(job))

    async def _renew(self, job: Job) -> None:
        if job.lease:
            await self._leases.renew(job.lease)
        if job.state is JobState.WAITING:
            self._look(job)

    def _serveWith(self, job: Job, reservation: Reservation) -> None:
        if job.state is JobState.WAITING:
            self._finish(job, Event.GRANT, reservation)
            return
        entry = self._mirror.byToken.get(reservation.token)
        if entry is not None:
            self._end(job, entry.lease)

    def _end(self, job: Job, lease: int) -> None:
        """
        End a reservation of a job that has not heard of it; if it may ask again, it has the time
        for that, and what it is given then has another lease.
        """
        if self._isStopped:
            return
        if not job.isKept:
            self._leases.end(lease)
            return

        def end() -> None:
            self._leaving.discard(timer)
            self._leases.end(lease)

        timer = self._clock.callLater(KEPT, end)
        self._leaving.add(timer)

    def _refuse(self, job: Job, failure: Failure) -> None:
        """
        A job could not even begin to wait.
        """
        error = failure.value
        if isinstance(error, (EtcdError, BadAnswer)):
            error = FleetError(Why.STALE, str(error))
        elif not isinstance(error, FleetError):
            self._failed(failure)
            error = FleetError(Why.STALE)
        # Another hub may do better.
        job.isKept = job.hasTicket and error.why is Why.STALE
        self._finish(job, Event.REFUSE, error)

    def _due(self, job: Job) -> None:
        job.isDue = True
        if not job.isAsking or job.retry is not None:
            self._finish(job, Event.SILENCE, FleetError(Why.WAITED))

    def _withdraw(self, job: Job) -> None:
        self._finish(job, Event.LEAVE, None)

    def _leave(self, job: Job, event: Event, why: str) -> None:
        """
        Serve a job no more, and leave its place to what asks with the same ticket.
        """
        job.isKept = True
        self._finish(job, event, FleetError(Why.OVER, why))

    def _finish(self, job: Job, event: Event, result: Reservation | FleetError | None) -> None:
        if job.state is not JobState.WAITING:
            return
        job.state = step(JOBS, job.state, event)
        del self._jobs[job.name]
        isQueued = job.timer is not None
        for timer in (job.timer, job.retry):
            if timer is not None and timer.active():
                timer.cancel()
        self._giveUp(job)
        isItsOwn = event is Event.GRANT or not job.isKept
        if isQueued and isItsOwn and not self._isStopped:
            self._forget(job, event is Event.GRANT)
        if isinstance(result, Reservation):
            job.wanted.callback(result)
        elif result is not None:
            job.wanted.errback(result)

    def _forget(self, job: Job, isServed: bool = False) -> None:
        """
        Take a job out of the queue.

        @param isServed: Whether it is not in it any more, by that.
        """
        if not job.hasTicket and not isServed:
            self._forgetName(job.name)
        elif job.lease:
            self._leases.end(job.lease)

    def _forgetName(self, name: str) -> None:
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
        moved, self._mirror.moved = self._mirror.moved, []
        for name, revision in moved:
            self._seen.pop(name, None)
            job = self._jobs.get(name)
            if job is not None and job.isSettled and job.placed < revision:
                self._leave(job, Event.REFUSE, ASKED_AGAIN)
        if self._seen.keys() != queue.keys():
            self._seen = {name: self._seen.get(name, now) for name in queue}
        for name in queue:
            if name.startswith(f"{self._name}-") and name not in self._jobs:
                self._forgetName(name)

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
