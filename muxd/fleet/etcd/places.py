# -*- test-case-name: tests.fleet.etcd.test_tickets -*-
"""
The places that jobs with tickets have in the queue, whichever hub serves them.

Each has a lease of its own.  A hub where a ticket asks again gives its place another lease, which
the one before may not know yet: what that hub does for the job names the revision of what it has
written itself, and is in vain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from muxd.fleet.etcd.answers import flag, modifiedIn, put, revisionOf
from muxd.fleet.etcd.following import Following
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.keys import Keys, Kind
from muxd.fleet.etcd.leases import Leases
from muxd.fleet.etcd.mirror import Mirror
from muxd.fleet.states import JobState
from muxd.fleet.values import KEPT, PhoneRecord, Request, Reservation

RENEWED = 5.0
"""Seconds after which the leases of places are renewed: each has at least L{KEPT} left when its
hub is killed."""

MOST_TRIES = 16
"""How often a place is asked for that changes at the same moment."""


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """
    A phone that is asked for, for a job.

    @ivar lease: Of the reservation that comes of it.
    @ivar body: The transaction.
    """

    phone: PhoneRecord
    lease: int
    body: dict[str, Any] = field(repr=False)


@dataclass(slots=True, eq=False)
class Job:
    """
    A job of this hub.

    @ivar isAsking: Whether a phone is being asked for, for it, or soon will be again.
    @ivar isDue: Whether it does not wait any longer.
    @ivar isMissed: Whether another phone was meant for it meanwhile, or the same anew.
    @ivar retry: When one is asked for again.
    @ivar lease: Of its place, if it has a ticket; 0 if it has none yet.
    @ivar placed: The revision in which this hub has said that it serves the place; 0 if it has
        not.
    @ivar isPlacing: Whether it is saying so.
    @ivar attempt: What was asked for, for it, of which it is not known whether it was done.
    @ivar isKept: Whether its place, or a phone that it is being given, is left for what asks with
        its ticket again.
    """

    name: str
    request: Request
    wanted: Deferred[Reservation]
    state: JobState = JobState.WAITING
    isAsking: bool = False
    isDue: bool = False
    timer: IDelayedCall | None = None
    isMissed: bool = False
    retry: IDelayedCall | None = None
    lease: int = 0
    placed: int = 0
    isPlacing: bool = False
    attempt: Attempt | None = None
    isKept: bool = False

    @property
    def hasTicket(self) -> bool:
        """
        Whether it may ask again, at whichever hub.
        """
        return bool(self.request.ticket)

    @property
    def isSettled(self) -> bool:
        """
        Whether its place is known to be served here, as far as it needs to be.
        """
        return not self.hasTicket or (self.placed > 0 and not self.isPlacing)


class Places:
    """
    Those that this hub serves, or is asked for.
    """

    def __init__(
        self, keys: Keys, gateway: Gateway, mirror: Mirror, following: Following, leases: Leases
    ) -> None:
        self._keys = keys
        self._gateway = gateway
        self._mirror = mirror
        self._following = following
        self._leases = leases

    def granted(self, job: Job) -> Reservation | None:
        """
        What a job that asks again was given, and may not know of.
        """
        entry = self._mirror.heldIn.get(job.name)
        isBefore = entry is not None and entry.reservation.asked < job.request.asked
        return entry.reservation if entry is not None and isBefore else None

    def isHere(self, job: Job) -> bool:
        """
        Whether a job is in the queue, by this hub.
        """
        entry = self._mirror.queue.get(job.name)
        if entry is None or not job.hasTicket:
            return entry is not None
        return entry.lease == job.lease and entry.modified == job.placed

    def isElsewhere(self, job: Job) -> bool:
        """
        Whether a job has asked elsewhere since, and waits there, or has a phone.
        """
        if not job.hasTicket:
            return False
        entry, held = self._mirror.queue.get(job.name), self._mirror.heldIn.get(job.name)
        if entry is None:
            return held is not None and held.reservation.asked > job.request.asked
        isLater = entry.modified > job.placed > 0 or entry.queued.asked > job.request.asked
        return entry.lease != job.lease and isLater

    async def take(self, job: Job, value: bytes) -> bool:
        """
        Have the place of a ticket be served here, wherever it was before; or have a new one.

        @return: Whether it is; if not, it has asked elsewhere since, or has been given a phone.
        @raise EtcdError: It cannot be had.
        """
        job.isPlacing = True
        try:
            job.lease = await self._leases.grant(KEPT + RENEWED)
            for _ in range(MOST_TRIES):
                if self.granted(job) is not None or self.isElsewhere(job):
                    return False
                if await self._takeOnce(job, value):
                    return True
        finally:
            job.isPlacing = False
        raise EtcdError("a place in the queue is another one all the time")

    async def _takeOnce(self, job: Job, value: bytes) -> bool:
        """
        @return: Whether it is.
        """
        key = self._keys.of(Kind.QUEUED, job.name)
        before = self._mirror.queue.get(job.name)
        condition = modifiedIn(key, 0 if before is None else before.modified)
        body = {"compare": [condition], "success": [put(key, value, job.lease)]}
        said = await self._gateway.ask("/v3/kv/txn", body)
        if flag(said, "succeeded"):
            await self._following.reach(revisionOf(said))
        else:
            await self._following.catchUp()
        after = self._mirror.queue.get(job.name)
        if after is None or after.lease != job.lease:
            return False
        # Also if that had no answer, and was done all the same.
        job.placed = after.modified
        return True
