# -*- test-case-name: tests.fleet.etcd.test_leases -*-
"""
Leases of etcd: they are renewed, many with one request, and ended for sure.

A hub with a thousand hosts renews four hundred leases a second.  While an answer is awaited, and
for a moment after many requests, those that are to be renewed are gathered: so the busier the hub
is, the fewer requests there are.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from math import ceil

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.etcd.answers import BadAnswer, number, part, revisionOf, words
from muxd.fleet.etcd.gateway import EtcdError, Gateway
from muxd.fleet.messages import LONGEST_TERM

GATHER = 0.1
"""Seconds from one request to the next, when there are many."""

SPARE = 5
"""Requests that may come at once after a while without any."""

AT_ONCE = 512
"""Leases of one request."""

AGAIN = 1.0
"""Seconds until the end of a lease is asked for again, while etcd does not do it."""

NOT_FOUND = 5
"""The number of gRPC for what there is not."""


class Leases:
    """
    Those that a hub renews.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, gateway: Gateway) -> None:
        self._clock = clock
        self._gateway = gateway
        self._wanted: dict[int, list[Deferred[bool]]] = {}
        # Not by the clock, which is another one before the reactor runs.
        self._next = 0.0
        self._renewing: Deferred[None] | None = None
        # Until when; they are over by then, whatever etcd says.
        self._unwanted: dict[int, float] = {}
        self._ending: Deferred[None] | None = None
        self._isStopped = False

    async def grant(self, seconds: float) -> int:
        """
        Have a new one.
        """
        said = await self._gateway.ask("/v3/lease/grant", {"TTL": str(ceil(seconds))})
        return number(said, "ID")

    async def revoke(self, lease: int) -> int:
        """
        End one, and with it what is bound to it.

        @return: The revision by which it is over; 0 if it was before.
        """
        try:
            said = await self._gateway.ask("/v3/lease/revoke", {"ID": str(lease)})
        except EtcdError as error:
            if error.code != NOT_FOUND:
                raise
            return 0
        return revisionOf(said)

    def end(self, lease: int) -> None:
        """
        End one that is of no use, and with it what is bound to it: now, or as soon as etcd does
        it.  Otherwise a phone would stay with a job that does not know of it, for as long as that
        job had wanted it.
        """
        if self._isStopped:
            return
        self._unwanted[lease] = self._clock.seconds() + LONGEST_TERM
        ended = Deferred.fromCoroutine(self._end(lease))
        ended.addErrback(self._failed)

    def renew(self, lease: int) -> Deferred[bool]:
        """
        Have a lease last for its whole term again.

        @return: fires with whether it does; it is over if not.  It fails with an L{EtcdError} or
            a L{BadAnswer}.
        """
        renewed: Deferred[bool] = Deferred()
        self._wanted.setdefault(lease, []).append(renewed)
        if self._renewing is None:
            self._renewing = Deferred.fromCoroutine(self._renew())
            self._renewing.addBoth(self._rested)
        return renewed

    def stop(self) -> None:
        """
        Renew none any more: what waits for that is told so.
        """
        self._isStopped = True
        for doing in (self._renewing, self._ending):
            if doing is not None:
                doing.cancel()

    async def _end(self, lease: int) -> None:
        try:
            await self.revoke(lease)
        except (EtcdError, BadAnswer) as error:
            self._log.debug("a lease is not ended yet: {error}", error=error)
            if self._ending is None and not self._isStopped:
                self._ending = Deferred.fromCoroutine(self._endAll())
                self._ending.addErrback(self._failed)
        else:
            self._unwanted.pop(lease, None)

    async def _endAll(self) -> None:
        """
        End what could not be ended, one after the other, until it is done.
        """
        try:
            while self._unwanted:
                await deferLater(self._clock, AGAIN)
                now = self._clock.seconds()
                self._unwanted = {one: end for one, end in self._unwanted.items() if end > now}
                with suppress(EtcdError, BadAnswer):
                    for lease in list(self._unwanted):
                        await self.revoke(lease)
                        self._unwanted.pop(lease, None)
        finally:
            self._ending = None

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a lease cannot be ended", failure)

    async def _renew(self) -> None:
        while self._wanted and not self._isStopped:
            pause = self._next - self._clock.seconds()
            if pause > 0:
                await deferLater(self._clock, pause)
            now = self._clock.seconds()
            self._next = max(self._next, now - (SPARE - 1) * GATHER) + GATHER
            leases = list(self._wanted)[:AT_ONCE]
            waiting = {lease: self._wanted.pop(lease) for lease in leases}
            error: Exception | None = None
            terms: dict[int, int] = {}
            try:
                terms = await self._ask(leases)
            except CancelledError:
                error = EtcdError("the hub is stopping")
            except Exception as raised:
                error = raised
            for lease, each in waiting.items():
                for renewed in each:
                    if error is not None:
                        renewed.errback(error)
                    else:
                        renewed.callback(terms[lease] > 0)

    async def _ask(self, leases: Collection[int]) -> dict[int, int]:
        bodies = ({"ID": str(lease)} for lease in leases)
        terms = {}
        for said in await self._gateway.askEach("/v3/lease/keepalive", bodies):
            if "error" in said:
                raise EtcdError(words(part(said, "error"), "message") or "a lease is not renewed")
            result = part(said, "result")
            terms[number(result, "ID")] = number(result, "TTL")
        missing = set(leases) - terms.keys()
        if missing:
            raise BadAnswer(f"expected an answer for each lease, got none for {len(missing)}")
        return terms

    def _rested(self, _: object) -> None:
        self._renewing = None
        wanted, self._wanted = self._wanted, {}
        for each in wanted.values():
            for renewed in each:
                renewed.errback(EtcdError("the hub is stopping"))
