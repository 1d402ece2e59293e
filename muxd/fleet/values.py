# -*- test-case-name: tests.fleet.test_messages -*-
"""
What a fleet is made of, as values: hosts, their doors, phones, reservations, and changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from hashlib import sha256

from muxd.fleet.requirement import ANY_PHONE, Requirement
from muxd.identity import udidKey

KEPT = 15.0
"""Seconds for which a job's place in the queue is kept when its connection is lost, and a phone
that it was given and may not know of."""


class DoorKind(Enum):
    """
    How a host's door is reached.
    """

    UNIX = "unix"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """
    Where a host lets in what is meant for its phones.

    It has no description of an endpoint: what a host says is never parsed as one, or it could
    have others start programs.

    @ivar where: A host's name or address; of a UNIX socket its path.
    """

    kind: DoorKind
    where: str
    port: int = 0

    def __str__(self) -> str:
        return self.where if self.kind is DoorKind.UNIX else f"{self.where}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """
    A host.

    @ivar name: That of its certificate, if it has one.
    @ivar door: Where its phones are reached.
    """

    name: str
    door: Door


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRecord:
    """
    A phone, as its host has announced it.

    @ivar labels: What its host's operator calls it.
    @ivar version: Of iOS; empty if the phone has not said it yet.
    @ivar model: Such as C{iPhone14,5}; empty as well.
    @ivar name: What its owner calls it; empty as well.
    """

    udid: str
    host: str
    labels: tuple[str, ...] = ()
    version: str = ""
    model: str = ""
    name: str = ""
    productID: int = 0
    locationID: int = 0
    speed: int = 0

    @property
    def key(self) -> str:
        """
        The UDID as it is compared.
        """
        return udidKey(self.udid)

    def of(self, host: str) -> PhoneRecord:
        """
        The same phone as one of another host.
        """
        return replace(self, host=host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What a job wants.

    @ivar user: Whose job it is: the name in its certificate, if it has one.
    @ivar term: Seconds that a reservation lasts unless it is renewed.
    @ivar wait: Seconds that the job waits for a phone; 0 for not at all.
    @ivar take: Whether to take it from another job of the same user.
    @ivar isAdmin: Whether to take it from whichever job has it.
    @ivar ticket: What the job proves itself by when it asks again; empty if it cannot.
    @ivar asked: How often it has asked with this ticket before, perhaps at other hubs.
    """

    user: str
    requirement: Requirement = ANY_PHONE
    reason: str = ""
    term: float = 30.0
    wait: float = 0.0
    take: bool = False
    isAdmin: bool = False
    ticket: str = field(default="", repr=False)
    asked: int = 0

    @property
    def place(self) -> str:
        """
        What its place in the queue is called, which says nothing of the ticket; empty without one.
        The ticket of another user has another place, and so has one for other phones: a place
        cannot be taken for one phone and used for another.
        """
        if not self.ticket:
            return ""
        said = f"{self.user}\n{self.ticket}\n{self.requirement}"
        return sha256(said.encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """
    A phone that a job has for itself.

    @ivar token: The fencing token: higher than that of every reservation before it.
    @ivar key: What the job proves itself by; tokens can be guessed.
    @ivar term: Seconds that it lasts unless it is renewed.
    @ivar place: The L{Request.place} of the job that it was given to.
    @ivar asked: How often that had asked before.
    """

    token: int
    key: str
    udid: str
    host: str
    user: str
    reason: str
    term: float
    place: str = ""
    asked: int = 0

    def __repr__(self) -> str:
        """
        Without the key, as this may be logged.
        """
        return f"<reservation {self.token} of {self.udid} at {self.host} by {self.user}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """
    A job in the queue, as it is shown.

    @ivar left: Seconds that it goes on waiting.
    """

    user: str
    requirement: str
    reason: str
    left: float


class Why(Enum):
    """
    Why a job has no phone, or has it no longer.
    """

    NO_SUCH_PHONE = "no such phone is in the fleet"
    TAKEN = "no such phone is free"
    WAITED = "no such phone has become free in time"
    TOO_MANY = "too many jobs wait, or this user has too many reservations"
    OVER = "the reservation is over"
    STALE = "the registry cannot be relied on at present"
    HOST_SILENT = "the phone's host does not answer"
    STOPPED = "the hub is stopping"
    NOT_ALLOWED = "this is not allowed to this user"


class FleetError(Exception):
    """
    A job cannot have what it wants.

    @ivar why: The kind of reason.
    """

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why.value}{': ' if detail else ''}{detail}")
        self.why = why


@dataclass(frozen=True, slots=True)
class HostCame:
    """
    A host has announced itself, or its door is another one.
    """

    host: HostRecord


@dataclass(frozen=True, slots=True)
class HostGone:
    """
    A host has left, or was silent for too long.  Its phones have gone before it.
    """

    name: str


@dataclass(frozen=True, slots=True)
class PhoneCame:
    """
    A phone is there, or there is more to say of it.
    """

    phone: PhoneRecord


@dataclass(frozen=True, slots=True)
class PhoneGone:
    """
    A phone is no longer there.
    """

    phone: PhoneRecord


@dataclass(frozen=True, slots=True)
class Granted:
    """
    A job has a phone.
    """

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Ended:
    """
    It has it no longer.
    """

    reservation: Reservation
    how: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """
    It has it for its whole term again.
    """

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Confirmed:
    """
    The phone's host enforces a reservation, as it was granted or renewed last.
    """

    token: int


@dataclass(frozen=True, slots=True)
class Drained:
    """
    A host's phones are given to jobs no more, or again.
    """

    host: str
    isDraining: bool


What = HostCame | HostGone | PhoneCame | PhoneGone | Granted | Ended | Renewed | Confirmed | Drained


@dataclass(frozen=True, slots=True)
class Change:
    """
    Something that has happened.

    @ivar revision: Higher than that of everything before it.
    """

    revision: int
    what: What


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    A fleet at some moment: changes with higher revisions follow.

    @ivar draining: The names of hosts whose phones are not given to jobs any more.
    @ivar confirmed: The tokens of those reservations that hosts have confirmed since they were
        granted or renewed.
    @ivar secret: What all hubs of this fleet make their keys from; empty if each has its own.
    """

    revision: int
    hosts: tuple[HostRecord, ...] = ()
    phones: tuple[PhoneRecord, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    draining: frozenset[str] = frozenset()
    confirmed: frozenset[int] = frozenset()
    secret: bytes = field(default=b"", repr=False)


def after(snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    """
    A fleet after more changes: what a watcher knows.
    """
    hosts = {host.name: host for host in snapshot.hosts}
    phones = {phone.key: phone for phone in snapshot.phones}
    reservations = {one.token: one for one in snapshot.reservations}
    draining, confirmed = set(snapshot.draining), set(snapshot.confirmed)
    revision = snapshot.revision
    for change in changes:
        revision = change.revision
        match change.what:
            case HostCame(host):
                hosts[host.name] = host
            case HostGone(name):
                hosts.pop(name, None)
            case PhoneCame(phone):
                phones[phone.key] = phone
            case PhoneGone(phone):
                phones.pop(phone.key, None)
            case Granted(reservation):
                reservations[reservation.token] = reservation
            case Ended(reservation, _):
                reservations.pop(reservation.token, None)
                confirmed.discard(reservation.token)
            case Confirmed(token):
                confirmed.add(token)
            case Renewed(reservation):
                confirmed.discard(reservation.token)
            case Drained(host=name, isDraining=True):
                draining.add(name)
            case Drained(host=name):
                draining.discard(name)
    return replace(
        snapshot,
        revision=revision,
        hosts=tuple(hosts.values()),
        phones=tuple(phones.values()),
        reservations=tuple(reservations.values()),
        draining=frozenset(draining),
        confirmed=frozenset(confirmed),
    )


def oneLess(counts: Counter[str], user: str) -> None:
    """
    Count one less of a user's; of one that has none any more nothing is kept.
    """
    counts[user] -= 1
    if not counts[user]:
        del counts[user]
