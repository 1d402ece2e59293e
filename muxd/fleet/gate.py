# -*- test-case-name: tests.fleet.test_gate -*-
"""
The gate of one host: which jobs are let in to which of its phones, and when they are cut.

The host is the only place that can really keep a job out.  So it decides by what it was told
last and by its own clock, which is never set: a reservation that is not renewed is over here at
its time, whatever the hub, the job and the network between them do.

A phone is held by one token at most.  A later token ends the one before it; an earlier one that
comes late is denied.  While a phone is held by none, the hub's own key opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.fleet.deadlines import Deadlines
from muxd.identity import udidKey

MOST_REMEMBERED = 1 << 16
"""Phones whose last token is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """
    What opens a phone to those who have its key.

    @ivar key: The phone's, see L{udidKey}.
    @ivar token: Of a reservation; 0 for what all share who use the hub's socket.
    @ivar user: Whose job it is, for the log.
    """

    key: str
    token: int
    user: str
    secret: str


class Gate:
    """
    The gate.

    @ivar shared: The hub's own key; empty before it has told one.
    """

    def __init__(
        self,
        clock: IReactorTime,
        cut: Callable[[Pass, str], object],
        began: Callable[[Pass], object] = lambda _: None,
    ) -> None:
        """
        @param clock: One that goes on evenly.
        @param cut: Called with a pass that does not hold any more, and why: what it has let
            in has to go before this returns.
        @param began: Called with that of a reservation, before it opens anything.
        """
        self.shared = ""
        self._clock = clock
        self._cut = cut
        self._began = began
        self._held: dict[str, Pass] = {}
        self._byToken: dict[int, Pass] = {}
        self._open: dict[str, Pass] = {}
        self._last: dict[str, int] = {}
        self._ends: Deadlines[int] = Deadlines()
        self._timer: IDelayedCall | None = None

    @property
    def tokens(self) -> list[int]:
        """
        Those in force.
        """
        return sorted(self._byToken)

    def grant(self, token: int, secret: str, udid: str, user: str, term: float) -> bool:
        """
        A job has a phone for itself, for so long from now.

        @return: Whether it does; not if another one had it later.
        """
        self.tick()
        key = udidKey(udid)
        last = self._last.pop(key, 0)
        self._last[key] = max(last, token)
        if len(self._last) > MOST_REMEMBERED:
            del self._last[next(iter(self._last))]
        if token < last:
            return False
        held = self._held.get(key)
        if held is None or held.token != token:
            if token == last:
                # It was over here already: its job may not come back to it.
                return False
            self._end(held, f"{user} has it now")
            self._end(self._open.get(key), f"{user} has it for itself now")
            held = self._held[key] = self._byToken[token] = Pass(key, token, user, secret)
            self._began(held)
        self._ends.set(token, self._clock.seconds() + term)
        self._schedule()
        return True

    def revoke(self, token: int, why: str = "the reservation is over") -> None:
        """
        A job has a phone no longer.  Harmless if it had not.
        """
        self._end(self._byToken.get(token), why)
        self._schedule()

    def keepOnly(self, tokens: frozenset[int]) -> None:
        """
        All other reservations are over.
        """
        for token in self._byToken.keys() - tokens:
            self.revoke(token)

    def share(self, secret: str) -> None:
        """
        The hub has another key of its own, or none: what the one before has let in goes.
        """
        if secret != self.shared:
            self.shared = secret
            for each in list(self._open.values()):
                self._end(each, "the hub has another key")

    def knock(self, udid: str, secret: str) -> Pass | None:
        """
        Something wants to be let in.

        @return: What lets it in, the same for all with this key; None if it has to stay
            outside.
        """
        self.tick()
        key = udidKey(udid)
        held = self._held.get(key)
        if held is not None:
            return held if _isSame(held.secret, secret) else None
        if not self.shared or not _isSame(self.shared, secret):
            return None
        return self._open.setdefault(key, Pass(key, 0, "users of the hub's socket", secret))

    def holderOf(self, udid: str) -> str:
        """
        Whose job has a phone; empty for none.
        """
        held = self._held.get(udidKey(udid))
        return "" if held is None else held.user

    def gone(self, udid: str) -> None:
        """
        A phone is not here any more.  A reservation outlives that.
        """
        self._end(self._open.get(udidKey(udid)), "the phone is gone")

    def stop(self) -> None:
        """
        Let nothing in any more.
        """
        for each in [*self._held.values(), *self._open.values()]:
            self._end(each, "the host is stopping")
        self.shared = ""
        self._schedule()

    def tick(self) -> None:
        """
        End what is over.
        """
        for token in self._ends.due(self._clock.seconds()):
            self._end(self._byToken[token], "it was not renewed in time")

    def _end(self, ended: Pass | None, why: str) -> None:
        if ended is None:
            return
        if ended.token:
            del self._held[ended.key], self._byToken[ended.token]
            self._ends.discard(ended.token)
        else:
            del self._open[ended.key]
        self._cut(ended, why)

    def _schedule(self) -> None:
        first = self._ends.first
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if first is not None:
            delay = max(0.0, first - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._due)

    def _due(self) -> None:
        self.tick()
        self._schedule()


def _isSame(one: str, other: str) -> bool:
    return compare_digest(one.encode(), other.encode())
