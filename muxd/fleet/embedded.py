# -*- test-case-name: tests.fleet.test_embedded -*-
"""
The registry that needs nothing else: a ledger, a clock, and a directory.

A grant is on the disk before it is told to anything.  Writing takes about a millisecond
of the reactor's time, as there are few a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.fleet.interfaces import IFleetRegistry, IFleetWatcher
from muxd.fleet.ledger import Ledger
from muxd.fleet.state import BLOCK, StateDirectory
from muxd.fleet.values import (
    Change,
    Ended,
    FleetError,
    Granted,
    HostRecord,
    PhoneRecord,
    Request,
    Reservation,
    Waiting,
    Why,
)

T = TypeVar("T")

LOW = BLOCK // 2
"""Revisions left at which more are set aside."""

LOWEST = BLOCK // 10
"""Revisions left at which nothing is done any more, if no more can be set aside."""


LOOK = 1.0
"""Seconds between two looks at the time, while there is something that ends."""

STALL = 1.0
"""Seconds by which a look has to be late for this process to have done nothing meanwhile."""


def makeKey() -> str:
    """
    A key that cannot be guessed.
    """
    return token_hex(16)


@implementer(IFleetRegistry)
class EmbeddedRegistry:
    """
    A registry in this process.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        state: StateDirectory,
        makeKey: Callable[[], str] = makeKey,
    ) -> None:
        """
        @param state: What it remembers, opened by L{start}.
        @param makeKey: Makes the keys of reservations.
        """
        self._clock = clock
        self._state = state
        self._makeKey = makeKey
        self._ledger = Ledger(0, makeKey)
        self._isRunning = False
        self._watchers: dict[IFleetWatcher, int] = {}
        self._jobs: dict[int, Deferred[Reservation]] = {}
        self._timer: IDelayedCall | None = None
        self._isFlushing = False
        self._stalled = 0.0
        self._expected = 0.0

    def _now(self) -> float:
        """
        The time, without that in which this process did nothing: what was said to it then has
        not been read yet, and nothing is over because of that.
        """
        return self._clock.seconds() - self._stalled

    @property
    def isFresh(self) -> bool:
        """
        Whether it runs.
        """
        return self._isRunning

    def start(self) -> None:
        """
        Begin with what was in force when the last process ended.

        @raise CannotRemember: The directory cannot be used.
        """
        self._ledger = Ledger(self._state.open(), self._makeKey)
        now = self._now()
        for reservation in self._state.reservations:
            self._ledger.adopt(now, reservation)
        self._ledger.adoptDraining(self._state.draining)
        self._isRunning = True
        for watcher in self._watchers:
            watcher.began(self._ledger.snapshot())
            watcher.fresh()
        self._flush()

    def stop(self) -> None:
        """
        Tell all that wait that they have nothing.  Reservations stay in force for the next
        process.
        """
        if not self._isRunning:
            return
        self._isRunning = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        jobs, self._jobs = self._jobs, {}
        for waiting in jobs.values():
            waiting.errback(FleetError(Why.STOPPED))
        for watcher in tuple(self._watchers):
            self._tell(watcher.stale, "the hub has stopped")
        self._state.close()

    # IFleetRegistry

    def announce(self, host: HostRecord, term: float) -> Deferred[int]:
        """
        See L{IFleetRegistry}.
        """

        def announce(now: float) -> int:
            lease = self._ledger.announce(now, host, term)
            if lease is None:
                raise FleetError(Why.TOO_MANY, "there are too many hosts")
            return lease

        return self._do(announce)

    def keepAlive(self, lease: int) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.keepAlive(now, lease))

    def leave(self, lease: int) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.leave(now, lease)).addCallback(_nothing)

    def tell(
        self, lease: int, phones: Sequence[PhoneRecord], isComplete: bool = False
    ) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.tell(now, lease, phones, isComplete))

    def untell(self, lease: int, udids: Sequence[str]) -> Deferred[bool]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.untell(now, lease, udids))

    def drain(self, host: str, isDraining: bool) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """

        def drain(now: float) -> None:
            others = self._state.draining - {host}
            self._save(others | {host} if isDraining else others)
            self._ledger.drain(now, host, isDraining)

        return self._do(drain)

    def watch(self, watcher: IFleetWatcher) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        snapshot = self._ledger.snapshot()
        self._watchers[watcher] = snapshot.revision
        if self._isRunning:
            watcher.began(snapshot)
            watcher.fresh()
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
        numbers: list[int] = []
        wanted: Deferred[Reservation] = Deferred(lambda _: self._withdraw(numbers))

        def reserve(now: float) -> None:
            numbers.append(self._ledger.ask(now, request))
            self._jobs[numbers[0]] = wanted

        self._do(reserve).addErrback(wanted.errback)
        return wanted

    def keepPlace(self, request: Request) -> None:
        """
        See L{IFleetRegistry}.
        """
        self._do(lambda now: self._ledger.keep(now, request.place)).addErrback(_nothing)

    def renew(self, token: int, key: str) -> Deferred[Reservation]:
        """
        See L{IFleetRegistry}.
        """

        def renew(now: float) -> Reservation:
            reservation = self._ledger.renew(now, token, key)
            if reservation is None:
                raise FleetError(Why.OVER)
            return reservation

        return self._do(renew)

    def confirm(self, token: int) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.confirm(now, token))

    def release(self, token: int, key: str) -> Deferred[None]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(lambda now: self._ledger.release(now, token, key)).addCallback(_nothing)

    def waiting(self) -> Deferred[list[Waiting]]:
        """
        See L{IFleetRegistry}.
        """
        return self._do(self._ledger.waiting)

    # Within

    def _do(self, act: Callable[[float], T]) -> Deferred[T]:
        """
        Do something with the ledger, and whatever comes of it.
        """
        if not self._isRunning:
            return fail(FleetError(Why.STALE, "the registry is not running"))
        try:
            self._extend()
            result = act(self._now())
        except FleetError:
            return fail(Failure())
        finally:
            self._flush()
        return succeed(result)

    def _extend(self) -> None:
        """
        @raise FleetError: Revisions might be used that the next process would use again.
        """
        left = self._state.ceiling - self._ledger.revision
        if left > LOW:
            return
        try:
            self._state.extend(self._ledger.revision)
        except OSError as error:
            self._log.error("revisions cannot be set aside: {error}", error=error)
            if left < LOWEST:
                raise FleetError(Why.STALE, f"revisions cannot be set aside: {error}") from error

    def _save(self, draining: frozenset[str]) -> None:
        """
        @raise FleetError: It cannot be remembered.
        """
        try:
            self._state.saveDraining(draining)
        except OSError as error:
            raise FleetError(Why.STALE, f"it cannot be remembered: {error}") from error

    def _withdraw(self, numbers: Sequence[int]) -> None:
        """
        A job that waits has been cancelled.
        """
        for number in numbers:
            if self._jobs.pop(number, None) is not None and self._isRunning:
                self._ledger.withdraw(self._now(), number)
                self._flush()

    def _tick(self) -> None:
        self._timer = None
        late = self._now() - self._expected
        if late > STALL:
            self._log.warn("nothing was done here for {late:.1f} s", late=late)
            self._stalled += late
        self._ledger.tick(self._now())
        self._flush()

    def _flush(self) -> None:
        """
        Remember and tell what has come of it, until nothing more does.
        """
        if self._isFlushing:
            return
        self._isFlushing = True
        try:
            while self._isRunning and self._flushOnce():
                pass
        finally:
            self._isFlushing = False
        self._schedule()

    def _flushOnce(self) -> bool:
        changes, outcomes = self._ledger.changes(), self._ledger.outcomes()
        failed = [one for one in map(self._remember, changes) if one is not None]
        for reservation in failed:
            self._ledger.release(self._now(), reservation.token, reservation.key)
        for watcher in tuple(self._watchers):
            for change in changes:
                if change.revision > self._watchers.get(watcher, change.revision):
                    self._watchers[watcher] = change.revision
                    self._tell(watcher.changed, change)
        for outcome in outcomes:
            result = outcome.result
            if result in failed:
                result = FleetError(Why.STALE, "it could not be stored")
            waiting = self._jobs.pop(outcome.job, None)
            if isinstance(result, FleetError):
                if waiting is not None:
                    waiting.errback(result)
            elif waiting is not None:
                waiting.callback(result)
            else:
                self._ledger.release(self._now(), result.token, result.key)
        return bool(changes or outcomes)

    def _remember(self, change: Change) -> Reservation | None:
        """
        @return: A reservation that is to be given up, as it is not remembered.
        """
        try:
            match change.what:
                case Granted(reservation):
                    self._state.save(reservation)
                case Ended(reservation, _):
                    self._state.forget(reservation)
        except OSError as error:
            self._log.error("{change} is not remembered: {error}", change=change, error=error)
            if isinstance(change.what, Granted):
                return change.what.reservation
        return None

    def _tell(self, tell: Callable[[T], None], what: T) -> None:
        try:
            tell(what)
        except Exception:
            self._log.failure("a watcher of the fleet failed: {it!r}", it=tell)

    def _schedule(self) -> None:
        due = self._ledger.next if self._isRunning else None
        if self._timer is not None:
            if due is not None and self._expected <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            now = self._now()
            self._expected = max(now, min(due, now + LOOK))
            self._timer = self._clock.callLater(self._expected - now, self._tick)


def _nothing(_: object) -> None:
    """
    What is done has no result.
    """
