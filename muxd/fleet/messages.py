# -*- test-case-name: tests.fleet.test_messages -*-
"""
What hosts, jobs and a hub say to each other; and what is said at a host's door.

Each message has a frame: its length in 4 bytes, the highest first, and that
many bytes of JSON.  The one that has connected says L{Hello} first, and hears L{Welcome} or
L{Refused}.  Versions are whole: a hub refuses what it does not know, and says what it knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from muxd.fleet.codec import (
    LARGEST_NUMBER,
    Codec,
    Form,
    choice,
    enumForm,
    flag,
    many,
    manyForm,
    one,
    part,
    partForm,
    seconds,
    text,
    textForm,
    whole,
    wordForm,
)
from muxd.fleet.requirement import LONGEST
from muxd.fleet.roster import MOST_HOSTS, MOST_PHONES
from muxd.fleet.values import Door, DoorKind, PhoneRecord, Why

VERSION = 1

LONGEST_HELLO = 4096
"""Bytes of the first message of a connection."""

LONGEST_OF_JOB = 16384
LONGEST_OF_HOST = 1 << 20
LONGEST_OF_HUB = 1 << 21

PHONES_AT_ONCE = 100
"""In one message."""

LONGEST_NAME = 64
LONGEST_UDID = 64
LONGEST_KEY = 64
LONGEST_REASON = 200
LONGEST_LABEL = 64
MOST_LABELS = 16

MOST_TIMES = 1_000_000
"""How often a job may have asked with one ticket."""

SHORTEST_TERM, LONGEST_TERM = 2.0, 3600.0
LONGEST_WAIT = 86400.0


class Role(Enum):
    """
    What has connected to a hub.
    """

    HOST = "host"
    JOB = "job"


def _number(most: int = LARGEST_NUMBER) -> Form:
    form: Form = whole(most).metadata["form"]
    return form


NAME = textForm(LONGEST_NAME)
UDID = wordForm("[0-9A-Za-z][0-9A-Za-z-]{0,63}")
TICKET = wordForm("(?:[0-9a-f]{32})?")
_OPTIONAL = textForm(LONGEST_NAME, isOptional=True)

DOOR = partForm(Door, {"kind": enumForm(DoorKind), "where": textForm(255), "port": _number(65535)})
PHONE = partForm(
    PhoneRecord,
    {
        "udid": UDID,
        "host": NAME,
        "labels": manyForm(textForm(LONGEST_LABEL), MOST_LABELS),
        "version": _OPTIONAL,
        "model": _OPTIONAL,
        "name": _OPTIONAL,
        "productID": _number(0xFFFF),
        "locationID": _number(0xFFFFFFFF),
        "speed": _number(),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """
    The first message.

    @ivar name: What it calls itself; its certificate has to have that name, if it has one.
    @ivar door: A host's.
    @ivar hasOthers: Whether it knows of other hubs, too: one that is of no use to it sends it to
        those.
    """

    version: int = whole(1000)
    role: Role = choice(Role)
    name: str = text(LONGEST_NAME)
    door: Door | None = part(DOOR)
    hasOthers: bool = flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """
    The hub's answer.

    @ivar term: Seconds that a host's lease lasts, and a job may be silent.
    @ivar key: For a host: what the hub itself knocks with.
    @ivar tokens: For a host: the reservations of its phones that are in force; all others are
        over.
    """

    name: str = text(LONGEST_NAME)
    term: float = seconds(SHORTEST_TERM, LONGEST_TERM)
    key: str = text(LONGEST_KEY, isOptional=True)
    tokens: tuple[int, ...] = many(_number(), MOST_PHONES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """
    The answer to something that is not done.

    @ivar number: That of the request; 0 for the whole connection, which ends.
    """

    number: int = whole(default=0)
    why: Why = choice(Why)
    detail: str = text(400, isOptional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """
    It is still there; a hub answers with the same.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """
    A host has these phones.
    """

    phones: tuple[PhoneRecord, ...] = many(PHONE, PHONES_AT_ONCE)
    isComplete: bool = flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """
    A host has them no more.
    """

    udids: tuple[str, ...] = many(UDID, MOST_PHONES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """
    A host, or a job, has nothing more to say and does not come back.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """
    A host is told that a job has one of its phones for itself, for so long from now.
    """

    token: int = whole()
    key: str = text(LONGEST_KEY)
    udid: str = one(UDID)
    user: str = text(LONGEST_NAME)
    reason: str = text(LONGEST_REASON, isOptional=True)
    term: float = seconds(0.0, LONGEST_TERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """
    A host enforces it.
    """

    token: int = whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """
    A host does not, as it knows of a later one.
    """

    token: int = whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """
    A host is told that it is over.
    """

    token: int = whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """
    A job wants a phone.

    @ivar ticket: What it proves itself by when it asks again, perhaps another hub, and what
        nothing can guess; empty if it does not.  A hub of an older version does not look at it.
    @ivar asked: How often it has asked with this ticket before.
    """

    number: int = whole()
    phone: str = text(LONGEST, isOptional=True)
    reason: str = text(LONGEST_REASON, isOptional=True)
    term: float = seconds(SHORTEST_TERM, LONGEST_TERM)
    wait: float = seconds(0.0, LONGEST_WAIT)
    take: bool = flag()
    ticket: str = one(TICKET, "")
    asked: int = whole(MOST_TIMES, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """
    It has one.
    """

    number: int = whole()
    token: int = whole()
    key: str = text(LONGEST_KEY)
    term: float = seconds(0.0, LONGEST_TERM)
    door: Door | None = part(DOOR)
    phone: PhoneRecord | None = part(PHONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """
    A job goes on.
    """

    number: int = whole()
    token: int = whole()
    key: str = text(LONGEST_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """
    A job is done.
    """

    number: int = whole()
    token: int = whole()
    key: str = text(LONGEST_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """
    A job does not want what it has asked for in another message.
    """

    number: int = whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """
    An operator wants a host's phones given to no more jobs, or given again.
    """

    number: int = whole()
    host: str = text(LONGEST_NAME)
    isDraining: bool = flag()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    It is done.
    """

    number: int = whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """
    A job has lost its phone.
    """

    token: int = whole()
    detail: str = text(400, isOptional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """
    A job wants to see what there is, from behind a phone on.

    @ivar after: The UDID, as it is compared; empty for the beginning.
    @ivar host: Of this host alone whether it is there, and nothing else; empty for all.
    """

    number: int = whole()
    after: str = text(LONGEST_UDID, isOptional=True)
    host: str = text(LONGEST_NAME, isOptional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLine:
    """
    A host, as it is shown.
    """

    name: str
    door: str = ""
    phones: int = 0
    isDraining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneLine:
    """
    A phone, as it is shown.

    @ivar user: Whose job has it; empty for none.
    """

    phone: PhoneRecord
    user: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLine:
    """
    A job that waits, as it is shown.
    """

    user: str
    phone: str = ""
    reason: str = ""
    left: int = 0


_FLAG: Form = flag().metadata["form"]
_REASON = textForm(LONGEST_REASON, isOptional=True)
HOST_LINE = partForm(
    HostLine,
    {
        "name": NAME,
        "door": textForm(400, isOptional=True),
        "phones": _number(),
        "isDraining": _FLAG,
    },
)
PHONE_LINE = partForm(PhoneLine, {"phone": PHONE, "user": _OPTIONAL, "reason": _REASON})
WAIT_LINE = partForm(
    WaitLine,
    {
        "user": NAME,
        "phone": textForm(LONGEST_REASON, isOptional=True),
        "reason": _REASON,
        "left": _number(),
    },
)

MOST_WAITING_SHOWN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Some of it.  Hosts and jobs that wait are on the first page.

    @ivar after: Where the next page begins; empty if this is the last.
    """

    number: int = whole()
    revision: int = whole()
    hosts: tuple[HostLine, ...] = many(HOST_LINE, MOST_HOSTS)
    phones: tuple[PhoneLine, ...] = many(PHONE_LINE, PHONES_AT_ONCE)
    waiting: tuple[WaitLine, ...] = many(WAIT_LINE, MOST_WAITING_SHOWN)
    after: str = text(LONGEST_UDID, isOptional=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """
    The first message at a host's door: for which phone, and with which key.
    """

    version: int = whole(1000)
    udid: str = one(UDID)
    key: str = text(LONGEST_KEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """
    The host's answer.  What follows is what usbmuxd says, of this phone alone.
    """


TO_HUB = Codec(
    Hello, Alive, Phones, Gone, Leave, Confirm, Deny, Reserve, Renew, Release, Withdraw, Drain, Show
)
FROM_HUB = Codec(Welcome, Refused, Alive, Grant, Revoke, Reserved, Done, Over, Page)
AT_DOOR = Codec(Knock)
FROM_DOOR = Codec(Enter, Refused)
