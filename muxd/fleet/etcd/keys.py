# -*- test-case-name: tests.fleet.etcd.test_registry -*-
"""
The keys of a fleet in etcd, and what they have for values.

Behind the prefix there are::

    hosts/HOST             its door                        with the host's lease
    phones/HOST/UDID       what the host says of it        with the host's lease
    held/UDID              a reservation                   with its own lease
    renewed/TOKEN          written when it is renewed      with its own lease
    confirmed/TOKEN        its host enforces it            with its own lease
    queue/JOB              what a job waits for            with the lease of the job's hub
    queue/PLACE            the same, with a ticket         with its own lease
    canary/HUB             what a hub looks for            with the hub's lease
    drained/HOST           its phones go to no job
    secret                 what hubs make their keys from

A reservation's token is the revision in which its C{held} was written.  A job that waits with a
ticket has a place that is called by what the user, the ticket and the phones make together, and
by nothing of which hub: another one goes on with it by giving it another lease.  The queue is in
the order of the revisions in which places were written first, which that does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from muxd.fleet.codec import BadMessage, Codec, one, part, seconds, text, whole, wordForm
from muxd.fleet.messages import (
    DOOR,
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_REASON,
    LONGEST_TERM,
    LONGEST_WAIT,
    PHONE,
    UDID,
)
from muxd.fleet.requirement import LONGEST, Requirement
from muxd.fleet.values import Door, PhoneRecord, Request, Reservation


class Kind(Enum):
    """
    What a key is for: the first part of its name.
    """

    HOST = "hosts"
    PHONE = "phones"
    HELD = "held"
    RENEWED = "renewed"
    CONFIRMED = "confirmed"
    QUEUED = "queue"
    CANARY = "canary"
    DRAINED = "drained"
    SECRET = "secret"


PLACE = wordForm("(?:[0-9a-f]{40})?")
"""A place in the queue."""

PARTS = {Kind.PHONE: 2, Kind.SECRET: 0}
"""How many parts come behind the kind; one for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """
    The value of a host.
    """

    door: Door | None = part(DOOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """
    The value of a phone.
    """

    phone: PhoneRecord = one(PHONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    The value of a reservation.
    """

    key: str = text(LONGEST_KEY)
    udid: str = one(UDID)
    host: str = text(LONGEST_NAME)
    user: str = text(LONGEST_NAME)
    reason: str = text(LONGEST_REASON, isOptional=True)
    term: float = seconds(0.0, LONGEST_TERM)
    place: str = one(PLACE, "")
    asked: int = whole(default=0)

    @classmethod
    def of(cls, phone: PhoneRecord, request: Request, key: str) -> Held:
        """
        A phone for a job.
        """
        return cls(
            key=key,
            udid=phone.udid,
            host=phone.host,
            user=request.user,
            reason=request.reason,
            term=request.term,
            place=request.place,
            asked=request.asked,
        )

    def reservation(self, token: int) -> Reservation:
        """
        The reservation that it is.
        """
        return Reservation(
            token=token,
            key=self.key,
            udid=self.udid,
            host=self.host,
            user=self.user,
            reason=self.reason,
            term=self.term,
            place=self.place,
            asked=self.asked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """
    The value of a job that waits.
    """

    user: str = text(LONGEST_NAME)
    phone: str = text(LONGEST, isOptional=True)
    reason: str = text(LONGEST_REASON, isOptional=True)
    wait: float = seconds(0.0, LONGEST_WAIT)
    asked: int = whole(default=0)

    @classmethod
    def of(cls, request: Request) -> Queued:
        """
        What a job waits for.
        """
        return cls(
            user=request.user,
            phone=str(request.requirement),
            reason=request.reason,
            wait=request.wait,
            asked=request.asked,
        )

    def requirement(self) -> Requirement:
        """
        What the phone has to be.

        @raise BadMessage: It makes no sense.
        """
        try:
            return Requirement.fromString(self.phone)
        except ValueError as error:
            raise BadMessage(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """
    The value of what hubs make their keys from.
    """

    secret: str = one(wordForm("[0-9a-f]{64}"))


VALUES = Codec(Hosted, Announced, Held, Queued, Secret)


class Keys:
    """
    The names of keys.

    @ivar prefix: Of all of them.
    """

    def __init__(self, prefix: str) -> None:
        """
        @param prefix: A slash is put behind it if it has none.
        """
        self.prefix = f"{prefix.rstrip('/')}/".encode()

    @property
    def end(self) -> bytes:
        """
        Above all keys with the prefix.
        """
        return self.prefix[:-1] + b"0"

    def of(self, kind: Kind, *parts: str) -> bytes:
        """
        The name of a key.
        """
        words = (kind.value, *(quote(each, safe="") for each in parts))
        return self.prefix + "/".join(words).encode()

    def parse(self, key: bytes) -> tuple[Kind, tuple[str, ...]] | None:
        """
        What a key is for; None if it is none of these.
        """
        if not key.startswith(self.prefix):
            return None
        try:
            first, *rest = key[len(self.prefix) :].decode("ascii").split("/")
            kind = Kind(first)
            found = tuple(unquote(each, errors="strict") for each in rest)
        except ValueError:
            return None
        if len(found) != PARTS.get(kind, 1) or not all(map(_isName, found)):
            return None
        return kind, found


def _isName(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()
