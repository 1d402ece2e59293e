# -*- test-case-name: tests.fleet.test_ledgermachine -*-
"""
The hosts of a fleet, each under one lease, and the phones that they claim to have.

Several hosts may claim one phone, be it that it has been moved or that one of them lies.  It is
that host's that claimed it first, until that one takes it back or its lease is over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from muxd.fleet.deadlines import Deadlines
from muxd.fleet.states import LEASES, Event, LeaseState, step
from muxd.fleet.values import HostCame, HostGone, HostRecord, PhoneCame, PhoneGone, PhoneRecord

MOST_HOSTS = 1024
MOST_PHONES = 1024
"""Of one host."""


@dataclass(slots=True)
class _Lease:
    """
    A host's announcement.

    @ivar told: The phones that it has told of since.
    """

    number: int
    host: HostRecord
    term: float
    state: LeaseState = LeaseState.LIVE
    told: set[str] = field(default_factory=set)


class Roster:
    """
    What is there.  It knows no clock: each call says what time it is.

    @ivar visible: The phones that there are, by L{PhoneRecord.key}.
    """

    def __init__(
        self,
        number: Callable[[], int],
        emit: Callable[[HostCame | HostGone | PhoneCame | PhoneGone], None],
    ) -> None:
        """
        @param number: Makes numbers for leases that no other has had.
        @param emit: Called with what happens.
        """
        self.visible: dict[str, PhoneRecord] = {}
        self._number = number
        self._emit = emit
        self._leases: dict[str, _Lease] = {}
        self._byNumber: dict[int, _Lease] = {}
        self._claims: dict[str, dict[str, PhoneRecord]] = {}
        self._claimed: dict[str, set[str]] = {}
        self._deadlines: Deadlines[int] = Deadlines()

    @property
    def hosts(self) -> list[HostRecord]:
        """
        The hosts that are there.
        """
        return [lease.host for lease in self._leases.values()]

    @property
    def first(self) -> float | None:
        """
        When the next lease is over.
        """
        return self._deadlines.first

    def left(self, name: str, now: float) -> float | None:
        """
        For how many seconds a host's lease goes on; None if it is not there.
        """
        lease = self._leases.get(name)
        return None if lease is None else self._deadlines.of(lease.number) - now

    def announce(self, now: float, host: HostRecord, term: float) -> int | None:
        """
        A host is there.  If it was, what it has told holds until it has told all of it anew.

        @return: The number of its lease; None if there are too many hosts.
        """
        before = self._leases.get(host.name)
        if before is None and len(self._leases) >= MOST_HOSTS:
            return None
        if before is not None:
            self._end(before, Event.REPLACE)
        lease = _Lease(self._number(), host, term)
        self._leases[host.name] = self._byNumber[lease.number] = lease
        self._deadlines.set(lease.number, now + term)
        if before is None or before.host != host:
            self._emit(HostCame(host))
        return lease.number

    def keepAlive(self, now: float, number: int) -> bool:
        """
        A host is still there.

        @return: Whether its lease goes on; if not, it has to announce itself anew.
        """
        lease = self._byNumber.get(number)
        if lease is None:
            return False
        lease.state = step(LEASES, lease.state, Event.RENEW)
        self._deadlines.set(number, now + lease.term)
        return True

    def leave(self, number: int) -> bool:
        """
        A host takes leave.
        """
        return self._finish(number, Event.LEAVE)

    def lapse(self, now: float) -> None:
        """
        End the leases of hosts that have been silent for too long.
        """
        for number in self._deadlines.due(now):
            self._finish(number, Event.SILENCE)

    def tell(self, number: int, phones: Iterable[PhoneRecord], isComplete: bool) -> bool:
        """
        A host has these phones.  More than L{MOST_PHONES} are not taken.

        @param isComplete: Whether it has told of all by now: others that it had are gone.
        @return: Whether its lease goes on.
        """
        lease = self._byNumber.get(number)
        if lease is None:
            return False
        claimed = self._claimed.setdefault(lease.host.name, set())
        for phone in phones:
            if phone.key in claimed or len(claimed) < MOST_PHONES:
                lease.told.add(phone.key)
                self._claim(phone.of(lease.host.name))
        if isComplete:
            self._unclaim(lease.host.name, claimed - lease.told)
        return True

    def untell(self, number: int, keys: Iterable[str]) -> bool:
        """
        A host does not have these phones any more.

        @return: Whether its lease goes on.
        """
        lease = self._byNumber.get(number)
        if lease is None:
            return False
        found = set(keys) & self._claimed.get(lease.host.name, set())
        lease.told -= found
        self._unclaim(lease.host.name, found)
        return True

    def _finish(self, number: int, event: Event) -> bool:
        lease = self._byNumber.get(number)
        if lease is None:
            return False
        self._end(lease, event)
        del self._leases[lease.host.name]
        self._unclaim(lease.host.name, self._claimed.get(lease.host.name, set()).copy())
        self._claimed.pop(lease.host.name, None)
        self._emit(HostGone(lease.host.name))
        return True

    def _end(self, lease: _Lease, event: Event) -> None:
        lease.state = step(LEASES, lease.state, event)
        del self._byNumber[lease.number]
        self._deadlines.discard(lease.number)

    def _claim(self, phone: PhoneRecord) -> None:
        self._claimed[phone.host].add(phone.key)
        claims = self._claims.setdefault(phone.key, {})
        claims[phone.host] = phone
        if next(iter(claims)) == phone.host and self.visible.get(phone.key) != phone:
            self.visible[phone.key] = phone
            self._emit(PhoneCame(phone))

    def _unclaim(self, host: str, keys: Collection[str]) -> None:
        for key in sorted(keys):
            self._claimed[host].discard(key)
            claims = self._claims[key]
            del claims[host]
            shown = self.visible[key]
            if shown.host == host:
                del self.visible[key]
                self._emit(PhoneGone(shown))
                for following in claims.values():
                    self.visible[key] = following
                    self._emit(PhoneCame(following))
                    break
            if not claims:
                del self._claims[key]
