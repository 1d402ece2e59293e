# -*- test-case-name: tests.fleet.etcd.test_following -*-
"""
How a hub stays up to date with etcd: a snapshot, a watch from behind it, and a canary.

An open watch that says nothing may be one of a node that has lost its cluster.  So a hub writes
a key again and again and expects to hear of it; if it does not, nothing that it knows can be
relied on, and it tries the next node::

    STOPPED --start--> CONNECTING --watch--> LISTENING --canary--> FRESH
    CONNECTING --trouble--> CONNECTING       LISTENING, FRESH --trouble--> CONNECTING
    any --stop--> STOPPED
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from secrets import token_hex
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.etcd.answers import (
    BadAnswer,
    KeyValue,
    encoded,
    modifiedIn,
    number,
    part,
    put,
    rangeAnswer,
    revisionOf,
    watchAnswer,
)
from muxd.fleet.etcd.gateway import EtcdError, EtcdStream, Gateway
from muxd.fleet.etcd.keys import VALUES, Keys, Kind, Secret
from muxd.fleet.etcd.mirror import Mirror
from muxd.fleet.patience import inTime
from muxd.fleet.terms import USUAL, Times
from muxd.fleet.values import What
from muxd.ratelimit import RateLimit

TERM = 10
"""Seconds of a hub's own lease."""

PAGE = 1000
"""Keys of a snapshot that are asked for at once."""

DELAYS = (0.1, 0.5, 1.0, 2.0)
"""Seconds until the next attempt to connect."""


class FollowState(Enum):
    """
    How far it is.

    @cvar LISTENING: There is a watch, and no canary has come yet.
    """

    STOPPED = "stopped"
    CONNECTING = "connecting"
    LISTENING = "listening"
    FRESH = "fresh"


TRANSITIONS: dict[FollowState, frozenset[FollowState]] = {
    FollowState.STOPPED: frozenset({FollowState.CONNECTING}),
    FollowState.CONNECTING: frozenset({FollowState.LISTENING, FollowState.STOPPED}),
    FollowState.LISTENING: frozenset(
        {FollowState.FRESH, FollowState.CONNECTING, FollowState.STOPPED}
    ),
    FollowState.FRESH: frozenset({FollowState.CONNECTING, FollowState.STOPPED}),
}


class Follower(Protocol):
    """
    What is told.
    """

    def loaded(self) -> None:
        """
        The mirror has another fleet than before.
        """

    def happened(self, whats: list[What]) -> None:
        """
        The mirror has changed.
        """

    def settled(self) -> None:
        """
        All that has come is told.
        """

    def stale(self, why: str) -> None:
        """
        It may not be true any more.
        """

    def fresh(self) -> None:
        """
        It is true again.
        """


class Following:
    """
    A hub's link to etcd, kept up to date through the nodes that there are.

    @ivar state: See L{FollowState}.
    @ivar lease: The hub's own, of etcd; 0 before there is one.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        gateway: Gateway,
        keys: Keys,
        mirror: Mirror,
        follower: Follower,
        makeName: Callable[[], str] = lambda: token_hex(16),
        times: Times = USUAL,
    ) -> None:
        """
        @param makeName: Makes what cannot be guessed, of 32 letters.
        """
        self.state = FollowState.STOPPED
        self.lease = 0
        self._clock = clock
        self._times = times
        self._gateway = gateway
        self._keys = keys
        self._mirror = mirror
        self._follower = follower
        self._makeName = makeName
        self._canary = keys.of(Kind.CANARY, makeName())
        self._cluster = 0
        self._isKnown = False
        self._isResuming = False
        self._seen = 0.0
        self._due = 0.0
        self._stream: EtcdStream | None = None
        self._ended: Deferred[str] | None = None
        self._running: Deferred[None] | None = None
        self._created: Deferred[None] | None = None
        self._beating: Deferred[None] | None = None
        self._beats = LoopingCall(self._beat)
        self._beats.clock = clock
        self._waiting: list[tuple[int, Deferred[None]]] = []
        # The first time is told by what follows; what goes on is worth a line each minute.
        self._limit = RateLimit(clock, lambda kind, count: None, burst=1)
        self._toldAt: float | None = None

    def start(self) -> None:
        """
        Begin.
        """
        self._enter(FollowState.CONNECTING)
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._failed)

    def stop(self) -> None:
        """
        End.
        """
        if self.state is FollowState.STOPPED:
            return
        self._leaveStream()
        self._enter(FollowState.STOPPED)
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        self._giveUpWaiting()
        self._limit.stop()

    async def reach(self, revision: int) -> None:
        """
        Wait until all is known up to a revision.

        It is heard of within the time of a beat, also if it is that of something that is not
        watched.

        @raise EtcdError: That is not to be expected any more.
        """
        if self._mirror.revision >= revision:
            return
        if self.state is not FollowState.FRESH:
            raise EtcdError("the watch is not up to date")
        reached: Deferred[None] = Deferred()
        self._waiting.append((revision, reached))
        await reached

    async def catchUp(self) -> None:
        """
        Wait until all is known up to now.

        @raise EtcdError: That is not to be expected any more.
        """
        await self.reach(revisionOf(await self._putCanary()))

    # Within

    def _enter(self, state: FollowState) -> None:
        assert state in TRANSITIONS[self.state], (self.state, state)
        self.state = state

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("etcd is not followed any more", failure)

    async def _run(self) -> None:
        failures = 0
        while True:
            place = self._gateway.place
            ended: Deferred[str] = Deferred()
            self._ended = ended
            try:
                await self._connect()
                why = await ended
            except CancelledError:
                raise
            except (EtcdError, BadAnswer) as error:
                why = str(error)
            except Exception as error:
                self._log.failure("what etcd says cannot be followed")
                self._isKnown = False
                why = f"{type(error).__name__}"
            if self.state is FollowState.STOPPED:
                return
            failures = 0 if self.state is FollowState.FRESH else failures + 1
            self._leaveStream()
            if self.state is not FollowState.CONNECTING:
                self._enter(FollowState.CONNECTING)
            self._gateway.moveFrom(place)
            self._isStale(self._gateway.told(place, why))
            delay = DELAYS[min(failures, len(DELAYS) - 1)]
            await deferLater(self._clock, delay)

    def _isStale(self, why: str) -> None:
        self._giveUpWaiting()
        now = self._clock.seconds()
        if self._toldAt is None:
            self._toldAt = now
            self._limit.admit("trouble")
            self._follower.stale(why)
        elif self._limit.admit("trouble"):
            self._log.warn(
                "etcd has not been reached for {seconds:.0f} s: {why}",
                seconds=now - self._toldAt,
                why=why,
            )

    async def _connect(self) -> None:
        """
        Have a lease, know what there is, and listen.
        """
        await self._haveLease()
        self._isResuming = self._isKnown
        if not self._isKnown:
            await self._load()
        created: Deferred[None] = Deferred()
        self._created = created
        stream = EtcdStream(self._lineReceived, self._streamEnded)
        self._stream = stream
        key, end = encoded(self._keys.prefix), encoded(self._keys.end)
        start = str(self._mirror.revision + 1)
        request = {"create_request": {"key": key, "range_end": end, "start_revision": start}}
        await self._gateway.stream("/v3/watch", request, stream)
        try:
            await inTime(created, self._times.engineAnswer, self._clock)
        except TimeoutError as error:
            raise EtcdError("the watch does not begin") from error
        self._enter(FollowState.LISTENING)
        self._seen = self._clock.seconds()
        self._due = self._seen
        if not self._beats.running:
            self._beats.start(self._times.canary, now=True)

    async def _haveLease(self) -> None:
        if self.lease and await self._keepLease():
            return
        asked = {"TTL": str(TERM)}
        said = await self._gateway.ask("/v3/lease/grant", asked, isUrgent=True)
        self.lease = number(said, "ID")

    async def _keepLease(self) -> bool:
        asked = {"ID": str(self.lease)}
        said = await self._gateway.ask("/v3/lease/keepalive", asked, isUrgent=True)
        return number(part(said, "result"), "TTL") > 0

    async def _load(self) -> None:
        """
        Know what there is; and see that there is a secret.
        """
        secret = self._keys.of(Kind.SECRET)
        value = VALUES.encode(Secret(secret=self._makeName() + self._makeName()))
        body = {"compare": [modifiedIn(secret, 0)], "success": [put(secret, value)]}
        await self._gateway.ask("/v3/kv/txn", body)
        pairs: list[KeyValue] = []
        key, revision = self._keys.prefix, 0
        while True:
            asked = {"key": encoded(key), "range_end": encoded(self._keys.end), "limit": str(PAGE)}
            if revision:
                asked["revision"] = str(revision)
            said = rangeAnswer(await self._gateway.ask("/v3/kv/range", asked))
            revision = revision or said.revision
            pairs += said.pairs
            if not said.hasMore or not said.pairs:
                break
            if said.pairs[-1].key < key:
                raise BadAnswer("expected keys in order")
            key = said.pairs[-1].key + b"\0"
        self._cluster = said.cluster
        self._mirror.load(pairs, revision)
        self._isKnown = True
        self._follower.loaded()

    def _lineReceived(self, line: bytes) -> None:
        answer = watchAnswer(line)
        if answer.trouble:
            if answer.isCompacted:
                self._isKnown = False
            self._cut(answer.trouble)
            return
        isBefore = answer.isCreated and self._isResuming
        if answer.cluster != self._cluster or (
            # It goes on from a backup; or this node is behind, which is not worth knowing better.
            isBefore and answer.revision < self._mirror.revision
        ):
            self._isKnown = False
            self._cut("what was known is not its past")
            return
        if answer.isCreated and self._created is not None:
            created, self._created = self._created, None
            created.callback(None)
        # The revision of the whole answer may be ahead of what it tells.
        whats = self._mirror.apply(answer.events)
        if whats:
            self._follower.happened(whats)
        if any(event.pair.key == self._canary for event in answer.events):
            self._seen = self._clock.seconds()
            if self.state is FollowState.LISTENING:
                self._enter(FollowState.FRESH)
                self._toldAt = None
                self._follower.fresh()
        self._reached()
        self._follower.settled()

    def _reached(self) -> None:
        revision = self._mirror.revision
        now = [each for at, each in self._waiting if at <= revision]
        self._waiting = [(at, each) for at, each in self._waiting if at > revision]
        for each in now:
            each.callback(None)

    def _giveUpWaiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for _, each in waiting:
            each.errback(EtcdError("the watch is not up to date"))

    def _streamEnded(self, why: str) -> None:
        self._cut(why)

    def _cut(self, why: str) -> None:
        """
        Begin anew.
        """
        created, self._created = self._created, None
        if created is not None and not created.called:
            created.errback(EtcdError(why))
        elif self._ended is not None and not self._ended.called:
            self._ended.callback(why)

    def _leaveStream(self) -> None:
        if self._beats.running:
            self._beats.stop()
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
        self._created = None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _beat(self) -> None:
        now = self._clock.seconds()
        # What has come while nothing was done here has not been read yet: that is no silence.
        self._seen += max(0.0, now - self._due)
        self._due = now + self._times.canary
        late = now - self._seen
        if late > self._times.unsure:
            if self.state is FollowState.LISTENING:
                # Its revisions may have begun anew below ours.
                self._isKnown = False
            self._cut(f"expected to hear of a change within {self._times.unsure:g} s")
            return
        if self._beating is None or self._beating.called:
            self._beating = Deferred.fromCoroutine(self._beatOnce())
            self._beating.addErrback(self._beatFailed)

    async def _putCanary(self) -> dict[str, Any]:
        said = put(self._canary, b"{}", self.lease)["request_put"]
        return await self._gateway.ask("/v3/kv/put", said, isUrgent=True)

    async def _beatOnce(self) -> None:
        try:
            isKept = await self._keepLease()
            if isKept:
                await self._putCanary()
            else:
                self._cut("the lease of this hub is over")
        except (EtcdError, BadAnswer) as error:
            # If it goes on, what is known is not sure any more, which is told.
            self._log.debug("etcd: {error}", error=error)

    def _beatFailed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("the canary failed", failure)
