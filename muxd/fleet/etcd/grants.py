# -*- test-case-name: tests.fleet.etcd.test_lostanswers -*-
"""
How a job is given a phone by etcd: by a transaction, which may be done and its answer be lost.

Nothing is undone then before it is known what was done: a job leaves the queue by the same
transaction by which it gets the phone, and with that it would lose both.  The same is asked for
again, until there is an answer.  What had been done before is found by its lease, which nothing
else has; and then a copy of the question, which a frozen node may still have, comes to nothing:
what it depends on is different by then, or its lease is over.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.fleet.etcd.answers import delete, flag, isThere, modifiedIn, put, revisionOf
from muxd.fleet.etcd.following import Following
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.etcd.keys import VALUES, Held, Keys, Kind
from muxd.fleet.etcd.leases import NOT_FOUND, Leases
from muxd.fleet.etcd.mirror import Mirror
from muxd.fleet.etcd.places import Attempt, Job
from muxd.fleet.values import FleetError, PhoneRecord, Reservation, Why


class Grants:
    """
    What is asked for, for the jobs of this hub.
    """

    def __init__(
        self,
        keys: Keys,
        gateway: Gateway,
        mirror: Mirror,
        following: Following,
        leases: Leases,
        makeKey: Callable[[], str],
    ) -> None:
        """
        @param makeKey: Makes the keys of reservations, which nothing can guess.
        """
        self._keys = keys
        self._gateway = gateway
        self._mirror = mirror
        self._following = following
        self._leases = leases
        self._makeKey = makeKey

    async def prepare(
        self, job: Job, phone: PhoneRecord, over: int, isQueued: bool, isSame: bool
    ) -> Attempt:
        """
        What to ask for.

        @param over: The token of the reservation that ends by that; 0 for none.
        @param isSame: Whether that is the same job's, which keeps its phone whatever has become
            of that.
        @param isQueued: Whether the job has to be in the queue, and leaves it by that.
        """
        keys = self._keys
        lease = await self._leases.grant(job.request.term)
        held, queued = keys.of(Kind.HELD, phone.key), keys.of(Kind.QUEUED, job.name)
        value = VALUES.encode(Held.of(phone, job.request, self._makeKey()))
        conditions = [modifiedIn(held, over)]
        if not isSame:
            conditions.append(isThere(keys.of(Kind.PHONE, phone.host, phone.key)))
            conditions.append(modifiedIn(keys.of(Kind.DRAINED, phone.host), 0))
        changes = [put(held, value, lease)]
        if isQueued:
            isItsPlace = modifiedIn(queued, job.placed) if job.hasTicket else isThere(queued)
            conditions.append(isItsPlace)
            changes.append(delete(queued))
        return Attempt(phone, lease, {"compare": conditions, "success": changes})

    async def carryOut(self, job: Job) -> Reservation | None:
        """
        Ask for what is to be asked for, for a job, or see that it was done before.

        @return: What has come of it; None if the phone is another job's, or not to be had.
        @raise EtcdError: Whether it was done or not is not known, and it is to be asked for again:
            the job has it still as its C{attempt}.
        @raise BadAnswer: The same.
        @raise FleetError: It was done, and was over at once.
        """
        attempt = job.attempt
        assert attempt is not None
        try:
            said = await self._gateway.ask("/v3/kv/txn", attempt.body)
        except EtcdError as error:
            if error.code == NOT_FOUND:
                # Its lease is over, and with it whatever was done.
                job.attempt = None
            raise
        if flag(said, "succeeded"):
            token = revisionOf(said)
            await self._following.reach(token)
            entry = self._mirror.byToken.get(token)
        else:
            token = 0
            await self._following.catchUp()
            entry = self._mirror.held.get(attempt.phone.key)
        job.attempt = None
        if entry is not None and entry.lease == attempt.lease:
            return entry.reservation
        if token:
            raise FleetError(Why.OVER)
        self._leases.end(attempt.lease)
        return None
