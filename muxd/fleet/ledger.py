# -*- test-case-name: tests.fleet.test_ledgermachine -*-
"""
The registry of a fleet as a machine without I/O: it is told what happens, and when, and what
comes of it is taken from it afterwards.

Each change has a revision, higher than that of every change before it; the revision of a
grant is its fencing token.  So no token is ever used twice, as long as a machine begins above
the last revision of the one before it.

Jobs that wait are served in the order of their coming: a phone that becomes free goes to the
first of those that it will do for.  Since it goes at once, a job that comes and finds a free
phone takes it from no other; but for each whose connection is lost, and whose place is kept for a
while, one phone is kept as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hmac import compare_digest

from muxd.fleet.deadlines import Deadlines
from muxd.fleet.roster import Roster
from muxd.fleet.states import (
    JOBS,
    RESERVATIONS,
    Event,
    JobState,
    ReservationState,
    step,
)
from muxd.fleet.turns import Turns
from muxd.fleet.values import (
    KEPT,
    Change,
    Confirmed,
    Drained,
    Ended,
    FleetError,
    Granted,
    HostRecord,
    PhoneCame,
    PhoneGone,
    PhoneRecord,
    Renewed,
    Request,
    Reservation,
    Snapshot,
    Waiting,
    What,
    Why,
    oneLess,
)
from muxd.identity import udidKey

MOST_WAITING = 4096
MOST_WAITING_PER_USER = 512
MOST_HELD_PER_USER = 1024

ASKED_AGAIN = "the same ticket has been used again"
LOST = "the connection is lost"

_HOW = {
    ReservationState.RELEASED: "it was released",
    ReservationState.EXPIRED: "it was not renewed in time",
    ReservationState.REVOKED: "it was taken",
}


@dataclass(slots=True)
class _Held:
    """
    A reservation that is in force.

    @ivar isConfirmed: Whether its host has said that it enforces it, since it was renewed.
    """

    reservation: Reservation
    state: ReservationState = ReservationState.HELD
    isConfirmed: bool = False


@dataclass(slots=True)
class _Job:
    """
    A job that waits.

    @ivar order: Its place among all; it is lower than that of every job that has come later.
    @ivar number: Of the last that has asked with its ticket.
    """

    order: int
    number: int
    request: Request
    state: JobState = JobState.WAITING


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What has come of a job's waiting.

    @ivar job: Its number.
    @ivar result: What it has, or why it has nothing.
    """

    job: int
    result: Reservation | FleetError


class Ledger:
    """
    Hosts, phones, reservations and the queue.  Every method begins with what is due by then.

    @ivar revision: Of the last change.
    """

    def __init__(self, revision: int, makeKey: Callable[[], str]) -> None:
        """
        @param revision: No change has had a higher one.
        @param makeKey: Makes the keys of reservations, which nothing can guess.
        """
        self.revision = revision
        self._makeKey = makeKey
        self._roster = Roster(self._next, self._emit)
        self._draining: set[str] = set()
        self._held: dict[str, _Held] = {}
        self._byToken: dict[int, _Held] = {}
        self._heldBy: Counter[str] = Counter()
        self._jobs: dict[int, _Job] = {}
        # By their orders.
        self._turns: Turns[int] = Turns()
        # Of the same jobs those with a ticket by what it makes of them, and by their numbers those
        # that are told what becomes of them: not those whose connections are lost.
        self._places: dict[str, _Job] = {}
        self._byNumber: dict[int, _Job] = {}
        self._heldIn: dict[str, _Held] = {}
        self._waitingOf: Counter[str] = Counter()
        self._lastJob = 0
        self._now = 0.0
        self._ends: Deadlines[tuple[str, int]] = Deadlines()
        self._changes: list[Change] = []
        self._outcomes: list[Outcome] = []

    # What has come of it

    def changes(self) -> list[Change]:
        """
        What has changed since this was called last.
        """
        changes, self._changes = self._changes, []
        return changes

    def outcomes(self) -> list[Outcome]:
        """
        The jobs that wait no longer since this was called last.
        """
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def next(self) -> float | None:
        """
        When L{tick} has something to do; None for never.
        """
        due = [each for each in (self._roster.first, self._ends.first) if each is not None]
        return min(due, default=None)

    def snapshot(self) -> Snapshot:
        """
        All that there is now.
        """
        return Snapshot(
            revision=self.revision,
            hosts=tuple(self._roster.hosts),
            phones=tuple(self._roster.visible.values()),
            reservations=tuple(held.reservation for held in self._held.values()),
            draining=frozenset(self._draining),
            confirmed=frozenset(token for token, held in self._byToken.items() if held.isConfirmed),
        )

    def waiting(self, now: float) -> list[Waiting]:
        """
        The queue, the job that has waited for the longest first.
        """
        return [
            Waiting(
                user=job.request.user,
                requirement=str(job.request.requirement),
                reason=job.request.reason,
                left=max(0.0, self._ends.of(("job", job.order)) - now),
            )
            for job in self._jobs.values()
        ]

    def left(self, now: float, token: int) -> float | None:
        """
        For how many seconds a reservation goes on; None if it is over.
        """
        return self._ends.of(("held", token)) - now if token in self._byToken else None

    # Time

    def tick(self, now: float) -> None:
        """
        Do what is due.
        """
        self._now = now
        self._roster.lapse(now)
        for kind, number in self._ends.due(now):
            if kind == "job":
                job = self._jobs[number]
                isTold = job.state is JobState.WAITING
                self._finishJob(job, Event.SILENCE, FleetError(Why.WAITED) if isTold else None)
            else:
                self._end(self._byToken[number], Event.SILENCE)

    # Hosts

    def announce(self, now: float, host: HostRecord, term: float) -> int | None:
        """
        See L{Roster.announce}.
        """
        self.tick(now)
        return self._roster.announce(now, host, term)

    def keepAlive(self, now: float, lease: int) -> bool:
        """
        See L{Roster.keepAlive}.
        """
        self.tick(now)
        return self._roster.keepAlive(now, lease)

    def leave(self, now: float, lease: int) -> bool:
        """
        See L{Roster.leave}.
        """
        self.tick(now)
        return self._roster.leave(lease)

    def tell(
        self, now: float, lease: int, phones: Iterable[PhoneRecord], isComplete: bool = False
    ) -> bool:
        """
        See L{Roster.tell}.
        """
        self.tick(now)
        return self._roster.tell(lease, phones, isComplete)

    def untell(self, now: float, lease: int, udids: Iterable[str]) -> bool:
        """
        See L{Roster.untell}.
        """
        self.tick(now)
        return self._roster.untell(lease, map(udidKey, udids))

    def drain(self, now: float, host: str, isDraining: bool) -> None:
        """
        Give no more of a host's phones to jobs, or give them again.  Jobs that have one keep it.
        """
        self.tick(now)
        if isDraining == (host in self._draining):
            return
        if isDraining:
            self._draining.add(host)
        else:
            self._draining.discard(host)
        self._emit(Drained(host, isDraining))
        for phone in [one for one in self._roster.visible.values() if one.host == host]:
            self._settle(phone.key)

    # Reservations

    def adopt(self, now: float, reservation: Reservation) -> None:
        """
        A reservation is in force from before: it has its whole term again.
        """
        self._hold(now, reservation)

    def adoptDraining(self, hosts: Iterable[str]) -> None:
        """
        Hosts are drained from before.
        """
        self._draining.update(hosts)

    def ask(self, now: float, request: Request) -> int:
        """
        A job wants a phone.

        @return: Its number in L{outcomes}.
        """
        self.tick(now)
        self._lastJob += 1
        job = _Job(self._lastJob, self._lastJob, request)
        waiting, held = self._places.get(request.place), self._heldIn.get(request.place)
        if waiting is not None and waiting.request.asked > request.asked:
            return self._answer(job, FleetError(Why.OVER, ASKED_AGAIN))
        if waiting is not None:
            return self._adopt(now, waiting, job)
        if held is not None and held.reservation.asked > request.asked:
            return self._answer(job, FleetError(Why.OVER, ASKED_AGAIN))
        if held is not None and held.reservation.asked < request.asked:
            return self._answer(job, self._grantAnew(now, held, request))
        # Those that it waits for count, so that none of them finds that there is no room.
        if self._heldBy[request.user] + self._waitingOf[request.user] >= MOST_HELD_PER_USER:
            return self._answer(job, FleetError(Why.TOO_MANY))
        phone = next(self._turns.unmeant(request.requirement), None)
        if phone is None and request.take:
            phone = self._taken(request)
        if phone is not None:
            return self._answer(job, self._grant(now, phone, request))
        if request.wait <= 0:
            return self._answer(job, self._whyNot(request))
        isFull = len(self._jobs) >= MOST_WAITING
        if isFull or self._waitingOf[request.user] >= MOST_WAITING_PER_USER:
            return self._answer(job, FleetError(Why.TOO_MANY))
        self._jobs[job.order] = self._byNumber[job.number] = job
        self._turns.come(job.order, job.order, request.requirement)
        if request.place:
            self._places[request.place] = job
        self._waitingOf[request.user] += 1
        self._ends.set(("job", job.order), now + request.wait)
        return job.number

    def withdraw(self, now: float, number: int) -> None:
        """
        A job does not want a phone any more.  Harmless if it waits no longer.
        """
        self.tick(now)
        job = self._byNumber.get(number)
        if job is not None:
            self._finishJob(job, Event.LEAVE, None)

    def keep(self, now: float, place: str) -> None:
        """
        The connection of a job with a ticket is lost: its place is kept for a while.  Harmless
        if it waits no longer.
        """
        self.tick(now)
        job = self._places.get(place)
        if job is None or job.state is JobState.KEPT:
            return
        job.state = step(JOBS, job.state, Event.LOSE)
        key = ("job", job.order)
        self._ends.set(key, min(self._ends.of(key), now + KEPT))
        self._tellJob(job, FleetError(Why.OVER, LOST))

    def renew(self, now: float, token: int, key: str) -> Reservation | None:
        """
        A job goes on.

        @return: What it has; None if that is over, or not its own.
        """
        self.tick(now)
        held = self._byToken.get(token)
        if held is None or not compare_digest(held.reservation.key.encode(), key.encode()):
            return None
        held.state = step(RESERVATIONS, held.state, Event.RENEW)
        self._ends.set(("held", token), now + held.reservation.term)
        held.isConfirmed = False
        self._emit(Renewed(held.reservation))
        return held.reservation

    def confirm(self, now: float, token: int) -> None:
        """
        A host enforces a reservation.  Harmless if it is over.
        """
        self.tick(now)
        held = self._byToken.get(token)
        if held is not None and not held.isConfirmed:
            held.isConfirmed = True
            self._emit(Confirmed(token))

    def release(self, now: float, token: int, key: str) -> bool:
        """
        A job is done.

        @return: Whether it still had its phone.
        """
        self.tick(now)
        held = self._byToken.get(token)
        if held is None or not compare_digest(held.reservation.key.encode(), key.encode()):
            return False
        self._end(held, Event.RELEASE)
        return True

    # Within

    def _next(self) -> int:
        self.revision += 1
        return self.revision

    def _emit(self, what: What) -> None:
        self._changes.append(Change(self._next(), what))
        match what:
            case PhoneCame(phone) | PhoneGone(phone):
                self._settle(phone.key)

    def _settle(self, key: str) -> None:
        """
        A phone may have become free, or be another one in some way, or not be there any more.
        """
        phone = self._roster.visible.get(key)
        if phone is None or key in self._held or phone.host in self._draining:
            self._turns.withhold(key)
        else:
            self._turns.offer(phone)
        self._serve()

    def _serve(self) -> None:
        """
        Give phones to the jobs that they are meant for.
        """
        for order in self._turns.settle():
            self._serveOne(self._jobs[order])

    def _serveOne(self, job: _Job) -> None:
        """
        Give a job what is meant for it, if something is, and its connection is not lost.
        """
        key = self._turns.of(job.order)
        if key is not None and job.state is JobState.WAITING:
            phone = self._turns.free[key]
            self._finishJob(job, Event.GRANT, self._grant(self._now, phone, job.request))

    def _adopt(self, now: float, job: _Job, asked: _Job) -> int:
        """
        A job that waits has asked again.
        """
        if job.state is not JobState.KEPT:
            self._tellJob(job, FleetError(Why.OVER, ASKED_AGAIN))
        job.state = step(JOBS, job.state, Event.ADOPT)
        job.number, job.request = asked.number, asked.request
        self._byNumber[job.number] = job
        self._ends.set(("job", job.order), now + job.request.wait)
        self._serveOne(job)
        return asked.number

    def _grantAnew(self, now: float, held: _Held, request: Request) -> Reservation:
        """
        A job has asked again that was given a phone already: what was told of that, and may be
        on its way to it still, is worth nothing any more.
        """
        self._strike(held, Event.REVOKE)
        reservation = replace(
            held.reservation,
            token=self._next(),
            key=self._makeKey(),
            reason=request.reason,
            term=request.term,
            asked=request.asked,
        )
        return self._give(now, reservation)

    def _taken(self, request: Request) -> PhoneRecord | None:
        """
        Take a phone from a job, if it is one that it may be taken from.
        """
        for key, held in self._held.items():
            phone = self._roster.visible.get(key)
            mayTake = request.isAdmin or held.reservation.user == request.user
            if phone is None or not mayTake or phone.host in self._draining:
                continue
            if request.requirement.fits(phone):
                self._strike(held, Event.REVOKE)
                return phone
        return None

    def _whyNot(self, request: Request) -> FleetError:
        fitting = [one for one in self._roster.visible.values() if request.requirement.fits(one)]
        if not fitting:
            return FleetError(Why.NO_SUCH_PHONE, str(request.requirement))
        held = [self._held[one.key].reservation for one in fitting if one.key in self._held]
        if held:
            return FleetError(Why.TAKEN, f"{held[0].udid} is reserved by {held[0].user}")
        if any(one.key in self._turns.free for one in fitting):
            return FleetError(Why.TAKEN, "a job waits for it whose connection is lost")
        return FleetError(Why.TAKEN, f"host {fitting[0].host} is drained")

    def _grant(self, now: float, phone: PhoneRecord, request: Request) -> Reservation:
        reservation = Reservation(
            token=self._next(),
            key=self._makeKey(),
            udid=phone.udid,
            host=phone.host,
            user=request.user,
            reason=request.reason,
            term=request.term,
            place=request.place,
            asked=request.asked,
        )
        return self._give(now, reservation)

    def _give(self, now: float, reservation: Reservation) -> Reservation:
        self._hold(now, reservation)
        self._changes.append(Change(reservation.token, Granted(reservation)))
        return reservation

    def _hold(self, now: float, reservation: Reservation) -> None:
        key = udidKey(reservation.udid)
        held = _Held(reservation)
        self._held[key] = self._byToken[reservation.token] = held
        if reservation.place:
            self._heldIn[reservation.place] = held
        self._heldBy[reservation.user] += 1
        self._turns.withhold(key)
        self._ends.set(("held", reservation.token), now + reservation.term)

    def _end(self, held: _Held, event: Event) -> None:
        """
        End a reservation, and give its phone to the next job.
        """
        self._strike(held, event)
        self._settle(udidKey(held.reservation.udid))

    def _strike(self, held: _Held, event: Event) -> None:
        reservation = held.reservation
        held.state = step(RESERVATIONS, held.state, event)
        del self._held[udidKey(reservation.udid)]
        del self._byToken[reservation.token]
        if self._heldIn.get(reservation.place) is held:
            del self._heldIn[reservation.place]
        oneLess(self._heldBy, reservation.user)
        self._ends.discard(("held", reservation.token))
        self._changes.append(Change(self._next(), Ended(reservation, _HOW[held.state])))

    def _answer(self, job: _Job, result: Reservation | FleetError) -> int:
        """
        A job need not wait.
        """
        event = Event.GRANT if isinstance(result, Reservation) else Event.REFUSE
        job.state = step(JOBS, job.state, event)
        self._outcomes.append(Outcome(job.number, result))
        return job.number

    def _finishJob(self, job: _Job, event: Event, result: Reservation | FleetError | None) -> None:
        wasKept = job.state is JobState.KEPT
        job.state = step(JOBS, job.state, event)
        del self._jobs[job.order]
        self._turns.leave(job.order)
        self._places.pop(job.request.place, None)
        oneLess(self._waitingOf, job.request.user)
        self._ends.discard(("job", job.order))
        if wasKept:
            self._serve()
        else:
            self._tellJob(job, result)

    def _tellJob(self, job: _Job, result: Reservation | FleetError | None) -> None:
        """
        What has asked last waits no longer.
        """
        del self._byNumber[job.number]
        if result is not None:
            self._outcomes.append(Outcome(job.number, result))
