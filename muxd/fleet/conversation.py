# -*- test-case-name: tests.fleet.test_conversation -*-
"""
A job's conversation with its hub, and how long it has a phone: without sockets and without a
clock, for both kinds of programs (L{muxd.fleet.client}, L{muxd.fleet.blocking}).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from muxd.fleet.codec import BadMessage
from muxd.fleet.messages import (
    VERSION,
    Alive,
    Done,
    Hello,
    HostLine,
    Over,
    Page,
    PhoneLine,
    Refused,
    Release,
    Reserved,
    Role,
    Show,
    WaitLine,
    Welcome,
    Withdraw,
)
from muxd.fleet.terms import Times
from muxd.fleet.values import KEPT, FleetError, Why

HUB = "tcp:127.0.0.1:7300"
"""Where a hub is if nothing else is said."""

VARIABLE = "MUXD_HUB"
"""What says so in the environment."""

TERM = 30.0
"""Seconds that a reservation lasts unless it is renewed."""

PATIENCE = 10.0
"""Seconds in which a hub has to answer hello."""

RENEWED = 1 / 3
"""Of its term, after which a reservation is renewed."""

ANSWER = 8.0
"""Seconds that a hub has for an answer, at least: its registry and a host may take some."""

RETRY = 1.0
"""Seconds until a reservation is renewed again after that has failed, or a hub asked again."""


def signsOfLife(times: Times, hubs: int) -> tuple[float, float]:
    """
    How often a job says that it is there, and how long a hub may say nothing that is to answer
    that, in seconds.  Where there is another hub, a job that waits at one that does nothing any
    more has to be there before its place in the queue is given away.

    @param times: As they follow from the hub's term.
    @param hubs: How many there are.
    """
    alive, silence = times.jobAlive, times.jobSilence(hubs)
    return (alive, silence) if hubs < 2 else (min(alive, KEPT / 5), min(silence, 0.8 * KEPT))


def hubPlace(given: str | None, environ: Mapping[str, str]) -> str:
    """
    Where a hub is, as a client endpoint is described.

    @param given: What the program says; the environment counts where that is nothing.
    """
    return given or environ.get(VARIABLE) or HUB


class HubLost(Exception):
    """
    The connection to the hub is over, or there is none.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """
    What there is, as it is shown.
    """

    hosts: tuple[HostLine, ...]
    phones: tuple[PhoneLine, ...]
    waiting: tuple[WaitLine, ...]


@dataclass(frozen=True, slots=True)
class Welcomed:
    """
    The hub has taken the job in.

    @ivar term: Seconds for which a job may be silent.
    """

    term: float


@dataclass(frozen=True, slots=True)
class Answered:
    """
    What was asked for has come.

    @ivar number: Of the question.
    @ivar answer: The answer, or why there is none.
    """

    number: int
    answer: Reserved | Done | Page | FleetError


@dataclass(frozen=True, slots=True)
class Ended:
    """
    A reservation is over.
    """

    token: int
    why: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """
    A phone has come that is not wanted any more: the message gives it back.
    """

    release: Release


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    The hub does not talk to this job; L{Conversation.problem} says why.
    """


Heard = Welcomed | Answered | Ended | Unwanted | Rejected | None


class Conversation:
    """
    What was asked on a connection, and what comes of it.

    @ivar problem: Why the hub does not talk to this job, if it has said so.
    """

    def __init__(self, name: str, hubs: int = 1) -> None:
        """
        @param name: Of the job.
        @param hubs: How many hubs it knows of.
        """
        self.hello = Hello(version=VERSION, role=Role.JOB, name=name, hasOthers=hubs > 1)
        self.problem = ""
        self._isWelcome = False
        self._number = 0
        self._asked: set[int] = set()
        self._unwanted: set[int] = set()

    def ask(self, kind: Any, **fields: Any) -> Any:
        """
        The message that asks for something; its C{number} is that of the answer.
        """
        self._number += 1
        self._asked.add(self._number)
        return kind(number=self._number, **fields)

    def withdraw(self, number: int) -> Withdraw:
        """
        What was asked for is not wanted any more.
        """
        self._unwanted.add(number)
        return Withdraw(number=number)

    def lost(self) -> HubLost:
        """
        What to raise when the connection is over.
        """
        return HubLost(self.problem or "the hub is lost")

    def heard(self, message: Any) -> Heard:
        """
        The hub has said something.

        @raise BadMessage: It is nothing that a hub says to a job.
        """
        match message:
            case Welcome(term=term) if not self._isWelcome:
                self._isWelcome = True
                return Welcomed(term)
            case Refused(number=0):
                self.problem = message.detail or message.why.value
                return Rejected()
            case Refused(number=number):
                return self._answered(number, FleetError(message.why, _bare(message)))
            case Reserved(number=number) | Done(number=number) | Page(number=number):
                return self._answered(number, message)
            case Over(token=token, detail=detail):
                return Ended(token, detail)
            case Alive():
                return None
            case _:
                raise BadMessage("this is nothing that a hub says to a job")

    def _answered(self, number: int, answer: Any) -> Heard:
        if number not in self._asked:
            return None
        self._asked.discard(number)
        if number not in self._unwanted:
            return Answered(number, answer)
        self._unwanted.discard(number)
        if isinstance(answer, Reserved):
            # The hub had said yes by then.
            return Unwanted(self.ask(Release, token=answer.token, key=answer.key))
        return None


async def wholeFleet(ask: Callable[..., Awaitable[Any]]) -> FleetView:
    """
    See what there is, page by page.

    @param ask: Asks for something, and gives the answer.
    """
    first: Page | None = None
    phones: list[PhoneLine] = []
    after = ""
    while True:
        page: Page = await ask(Show, after=after)
        first = first or page
        phones += page.phones
        # A hub that goes in circles is not followed.
        if not page.after or page.after <= after:
            return FleetView(hosts=first.hosts, phones=tuple(phones), waiting=first.waiting)
        after = page.after


def makeTicket() -> str:
    """
    A ticket, which cannot be guessed.
    """
    return token_hex(16)


class Asking:
    """
    How a job asks for a phone, from one hub to the next, until it has one or is told why not.

    A hub that is lost while the job waits may not be the only one, and the next one may know of
    its place in the queue; or it is soon there again.  One that has lost its registry is as good
    as lost, if there is another one; but it is there, and where all are like that, they are asked
    in turn until the time is over.
    """

    def __init__(self, wait: float, ticket: str, hubs: int = 1) -> None:
        """
        @param wait: Seconds to wait for a phone, from when it is asked for first.
        @param hubs: How many hubs there are.
        """
        self._hubs = hubs
        self._wait = wait
        self._end = 0.0
        self._ticket = ticket
        self._asked = 0
        self._since: float | None = None
        self._giveUp: float | None = None

    def fields(self, now: float) -> dict[str, Any]:
        """
        What to ask a hub with.
        """
        if not self._asked:
            self._end = now + self._wait
        fields = {
            "wait": max(0.0, self._end - now),
            "ticket": self._ticket,
            "asked": self._asked,
        }
        self._asked += 1
        self._since = now
        return fields

    def again(self, error: Exception, now: float) -> float | None:
        """
        It has failed.

        @return: Seconds until some hub is to be asked again; None if none is.
        """
        since, self._since = self._since, None
        if not self._asked:
            return None
        why = error.why if isinstance(error, FleetError) else Why.STOPPED
        isStale = why is Why.STALE and self._hubs > 1
        # A job that does not wait is to know from one that can tell.
        if now >= self._end and not (isStale and self._asked < self._hubs):
            return None
        if (isStale or why is Why.STOPPED) and since is not None:
            # The one that it waited at is lost.  As long as places are kept, it looks for another.
            self._giveUp = now + KEPT
            return 0.0 if now >= since + RETRY else RETRY
        isLooking = self._giveUp is not None and now < self._giveUp
        return RETRY if isLooking and why in (Why.STOPPED, Why.STALE) else None


class Lease:
    """
    How long a job has its phone, as far as it knows itself, and when to ask for more.

    @ivar deadline: When it is over.
    """

    def __init__(self, term: float, now: float) -> None:
        """
        @param term: Seconds that it lasts unless it is renewed.
        """
        self.deadline = now + term
        self._term = term
        self._due = now + term * RENEWED

    def isOver(self, now: float) -> bool:
        """
        Whether it is.
        """
        return now >= self.deadline

    def wait(self, now: float) -> float:
        """
        Seconds until there is something to do.
        """
        return max(0.0, min(self._due, self.deadline) - now)

    def patience(self, now: float) -> float:
        """
        Seconds to wait for the answer, so that there is time to ask another hub.
        """
        return max(0.0, min(max(self._term * RENEWED, ANSWER), self.deadline - now))

    def renewed(self, asked: float, now: float) -> None:
        """
        It goes on.

        @param asked: When that was asked for: it counts from then on.
        """
        self.deadline = asked + self._term
        self._due = now + self._term * RENEWED

    def failed(self, now: float) -> None:
        """
        It could not be asked for; it will be soon again.
        """
        self._due = now + min(RETRY, self._term * RENEWED)


def _bare(refused: Refused) -> str:
    """
    The detail without the words that the kind of reason has anyway.
    """
    return refused.detail.removeprefix(refused.why.value).removeprefix(": ")
