# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
What there is in etcd, as a hub knows it: a machine without I/O that is told of keys, and says
what that means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from muxd.fleet.codec import BadMessage
from muxd.fleet.etcd.answers import Event, KeyValue
from muxd.fleet.etcd.keys import VALUES, Announced, Held, Hosted, Keys, Kind, Queued, Secret
from muxd.fleet.requirement import Requirement
from muxd.fleet.turns import Turns
from muxd.fleet.values import (
    Confirmed,
    Drained,
    Ended,
    Granted,
    HostCame,
    HostGone,
    HostRecord,
    PhoneCame,
    PhoneGone,
    PhoneRecord,
    Renewed,
    Reservation,
    Snapshot,
    What,
    oneLess,
)
from muxd.identity import udidKey

OVER = "it was released, or not renewed in time"
TAKEN = "it was taken"

_TYPES: dict[Kind, type[Any]] = {
    Kind.HOST: Hosted,
    Kind.PHONE: Announced,
    Kind.HELD: Held,
    Kind.QUEUED: Queued,
    Kind.SECRET: Secret,
}


@dataclass(frozen=True, slots=True)
class HostEntry:
    """
    A host.

    @ivar number: The revision in which it has announced itself.
    """

    record: HostRecord
    number: int
    lease: int


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A phone that a host says it has.

    @ivar created: The revision in which it did so first.
    @ivar value: As it is in etcd.
    """

    record: PhoneRecord
    created: int
    value: bytes
    lease: int


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """
    A reservation.

    @ivar lease: That of etcd, with which it ends.
    """

    reservation: Reservation
    lease: int


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """
    A job that waits, at whichever hub.

    @ivar created: The revision in which it has come.
    @ivar modified: The revision in which the hub that serves it has said so.
    """

    queued: Queued
    requirement: Requirement
    created: int
    modified: int
    lease: int


class Mirror:
    """
    What there is.

    @ivar revision: Up to which all is known.
    @ivar hosts: By name.
    @ivar claims: What each host says it has, by its name and the phone's key.
    @ivar phones: Those that there are, by their keys.
    @ivar held: Reservations by the phones' keys.
    @ivar byToken: The same.
    @ivar heldIn: The same, of those that were given to jobs with tickets, by their places.
    @ivar queue: Jobs that wait, in the order of their coming.
    @ivar moved: Those of them that were said anew to be served by some hub, and the revisions of
        that: emptied by what looks at it.
    @ivar turns: Which of the phones that are free is meant for which of the jobs.
    @ivar refused: The keys of those that are free as far as is known, and that etcd does not give.
    """

    def __init__(self, keys: Keys, complain: Callable[[str], None]) -> None:
        """
        @param complain: Called with what makes no sense, as a text.
        """
        self._keys = keys
        self._complain = complain
        self.revision = 0
        self.clear()

    def clear(self) -> None:
        """
        Forget everything.
        """
        self.hosts: dict[str, HostEntry] = {}
        self.claims: dict[str, dict[str, Claim]] = {}
        self.phones: dict[str, PhoneRecord] = {}
        self.held: dict[str, HeldEntry] = {}
        self.byToken: dict[int, HeldEntry] = {}
        self.heldIn: dict[str, HeldEntry] = {}
        self.heldBy: Counter[str] = Counter()
        self.queue: dict[str, QueueEntry] = {}
        self.moved: list[tuple[str, int]] = []
        self._isUnordered = False
        self.draining: set[str] = set()
        self.confirmed: set[int] = set()
        self.secret = b""
        self.turns: Turns[str] = Turns()
        self.refused: set[str] = set()
        self._claimants: dict[str, dict[str, Claim]] = {}
        self._whats: list[What] = []

    def load(self, pairs: Iterable[KeyValue], revision: int) -> None:
        """
        This is all that there is.
        """
        self.clear()
        self.apply(Event(pair, False) for pair in pairs)
        self.revision = revision

    def apply(self, events: Iterable[Event]) -> list[What]:
        """
        This has changed, and nothing else has up to the highest revision of it.

        @return: What that means, in order.
        """
        ranked = []
        for event in events:
            self.revision = max(self.revision, event.pair.modified)
            where = self._keys.parse(event.pair.key)
            if where is None:
                self._complain(f"{event.pair.key!r:.200} is no key of a fleet")
            else:
                ranked.append((_rank(where[0], event), where, event))
        for _, where, event in sorted(ranked, key=lambda one: one[0]):
            self._applyOne(*where, event)
        if self._isUnordered:
            # A snapshot is in the order of changes, and some may have gone to another hub.
            self._isUnordered = False
            self.queue = dict(sorted(self.queue.items(), key=lambda one: one[1].created))
        whats, self._whats = self._whats, []
        return whats

    def refuse(self, key: str) -> None:
        """
        Etcd does not give a phone, for no reason that is known here: it is none to wait for, as
        long as nothing is heard of it.
        """
        self.refused.add(key)
        self.turns.withhold(key)

    def snapshot(self, revision: int) -> Snapshot:
        """
        All of it.

        @param revision: What it is to have for one.
        """
        return Snapshot(
            revision=revision,
            hosts=tuple(entry.record for entry in self.hosts.values()),
            phones=tuple(self.phones.values()),
            reservations=tuple(entry.reservation for entry in self.held.values()),
            draining=frozenset(self.draining),
            confirmed=frozenset(self.confirmed),
            secret=self.secret,
        )

    def _applyOne(self, kind: Kind, parts: tuple[str, ...], event: Event) -> None:
        pair = event.pair
        value = None if event.isEnd else self._value(kind, pair)
        match kind:
            case Kind.HOST:
                self._host(parts[0], value, pair)
            case Kind.PHONE:
                self._phone(parts[0], parts[1], value, pair)
            case Kind.HELD:
                self._holds(parts[0], value, pair)
            case Kind.RENEWED | Kind.CONFIRMED if not event.isEnd and parts[0].isdecimal():
                self._heard(kind, int(parts[0]))
            case Kind.QUEUED:
                self._waits(parts[0], value, pair)
            case Kind.DRAINED:
                self._drains(parts[0], not event.isEnd)
            case Kind.SECRET if value is not None:
                self.secret = bytes.fromhex(value.secret)

    def _value(self, kind: Kind, pair: KeyValue) -> Any:
        """
        What a key has for a value; None if it makes no sense, which is as if it had ended.
        """
        wanted = _TYPES.get(kind)
        if wanted is None:
            return None
        try:
            value = VALUES.decode(pair.value)
        except BadMessage as error:
            self._complain(f"{pair.key!r:.200}: {error}")
            return None
        if type(value) is not wanted:
            self._complain(f"{pair.key!r:.200}: expected {wanted.__name__}, got {value!r:.80}")
            return None
        return value

    def _host(self, name: str, value: Hosted | None, pair: KeyValue) -> None:
        before = self.hosts.get(name)
        if value is None or value.door is None:
            if before is not None:
                del self.hosts[name]
                self._whats.append(HostGone(name))
            return
        record = HostRecord(name=name, door=value.door)
        self.hosts[name] = HostEntry(record, pair.modified, pair.lease)
        if before is None or before.record != record:
            self._whats.append(HostCame(record))

    def _phone(self, host: str, key: str, value: Announced | None, pair: KeyValue) -> None:
        claims = self.claims.setdefault(host, {})
        claimants = self._claimants.setdefault(key, {})
        if value is None or value.phone.key != key:
            claims.pop(key, None)
            claimants.pop(host, None)
        else:
            claim = Claim(value.phone.of(host), pair.created, pair.value, pair.lease)
            claims[key] = claimants[host] = claim
        if not claims:
            del self.claims[host]
        if not claimants:
            del self._claimants[key]
        self._show(key)

    def _show(self, key: str) -> None:
        """
        A phone is that host's that has said first that it has it.
        """
        claimants = self._claimants.get(key, {})
        first = min(claimants.values(), key=lambda one: one.created, default=None)
        before = self.phones.get(key)
        now = None if first is None else first.record
        if before == now:
            return
        if before is not None and (now is None or now.host != before.host):
            del self.phones[key]
            self._whats.append(PhoneGone(before))
        if now is not None:
            self.phones[key] = now
            self._whats.append(PhoneCame(now))
        self._settle(key)

    def _holds(self, key: str, value: Held | None, pair: KeyValue) -> None:
        before = self.held.get(key)
        if before is not None and before.reservation.token == pair.modified:
            return
        if before is not None:
            del self.held[key]
            token = before.reservation.token
            del self.byToken[token]
            if self.heldIn.get(before.reservation.place) is before:
                del self.heldIn[before.reservation.place]
            self.confirmed.discard(token)
            oneLess(self.heldBy, before.reservation.user)
            self._whats.append(Ended(before.reservation, OVER if value is None else TAKEN))
        if value is not None and udidKey(value.udid) == key:
            entry = HeldEntry(value.reservation(pair.modified), pair.lease)
            self.held[key] = self.byToken[pair.modified] = entry
            if value.place:
                self.heldIn[value.place] = entry
            self.heldBy[value.user] += 1
            self._whats.append(Granted(entry.reservation))
        self._settle(key)

    def _heard(self, kind: Kind, token: int) -> None:
        entry = self.byToken.get(token)
        if entry is None:
            return
        if kind is Kind.RENEWED:
            self.confirmed.discard(token)
            self._whats.append(Renewed(entry.reservation))
        else:
            self.confirmed.add(token)
            self._whats.append(Confirmed(token))

    def _waits(self, name: str, value: Queued | None, pair: KeyValue) -> None:
        requirement = None
        if value is not None:
            try:
                requirement = value.requirement()
            except BadMessage as error:
                self._complain(f"a job that waits: {error}")
        if value is not None and requirement is not None:
            entry = QueueEntry(value, requirement, pair.created, pair.modified, pair.lease)
            if name in self.queue:
                self.moved.append((name, pair.modified))
            elif self.queue:
                last = next(reversed(self.queue.values()))
                self._isUnordered |= last.created > entry.created
            self.queue[name] = entry
            self.turns.come(name, entry.created, requirement)
            return
        self.queue.pop(name, None)
        self.turns.leave(name)

    def _drains(self, host: str, isDraining: bool) -> None:
        if isDraining == (host in self.draining):
            return
        if isDraining:
            self.draining.add(host)
        else:
            self.draining.discard(host)
        self._whats.append(Drained(host, isDraining))
        for key in self.claims.get(host, ()):
            self._settle(key)

    def _settle(self, key: str) -> None:
        self.refused.discard(key)
        phone = self.phones.get(key)
        if phone is None or key in self.held or phone.host in self.draining:
            self.turns.withhold(key)
        else:
            self.turns.offer(phone)


_ENDS = (Kind.PHONE, Kind.HOST)
_COMES = (Kind.HOST, Kind.PHONE, Kind.HELD, Kind.RENEWED, Kind.CONFIRMED)


def _rank(kind: Kind, event: Event) -> tuple[int, int]:
    """
    In which order changes mean something: one revision may have many of them.
    """
    order = _ENDS if event.isEnd else _COMES
    place = order.index(kind) if kind in order else len(order)
    return event.pair.modified, place if event.isEnd else 10 + place
