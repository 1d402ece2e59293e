# -*- test-case-name: tests.fleet.test_states -*-
"""
The lives of what a registry keeps: hosts' leases, reservations, and jobs that wait::

    lease        LIVE --RENEW--> LIVE      --SILENCE--> LAPSED   --LEAVE--> LEFT
                      --REPLACE--> REPLACED
    reservation  HELD --RENEW--> HELD      --SILENCE--> EXPIRED  --RELEASE--> RELEASED
                      --REVOKE--> REVOKED
    job          WAITING --GRANT--> SERVED --SILENCE--> TOLD     --REFUSE--> TOLD
                      --LEAVE--> WITHDRAWN --LOSE--> KEPT        --ADOPT--> WAITING
                 KEPT --ADOPT--> WAITING   --SILENCE, LEAVE--> WITHDRAWN

Whatever has ended stays so: its number is never given to anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar


class LeaseState(Enum):
    """
    Of a host's announcement.

    @cvar REPLACED: The same host has announced itself anew.
    """

    LIVE = "live"
    LAPSED = "lapsed"
    LEFT = "left"
    REPLACED = "replaced"


class ReservationState(Enum):
    """
    Of a reservation.

    @cvar REVOKED: Another job has taken it, or an operator.
    """

    HELD = "held"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"


class JobState(Enum):
    """
    Of a job that waits.

    @cvar KEPT: Its connection is lost, and its place is kept.
    @cvar TOLD: It has been told that it gets no phone.
    """

    WAITING = "waiting"
    KEPT = "kept"
    SERVED = "served"
    TOLD = "told"
    WITHDRAWN = "withdrawn"


class Event(Enum):
    """
    What happens to any of them.

    @cvar SILENCE: Its time is over.
    @cvar LOSE: The connection is lost, and may be back.
    @cvar ADOPT: It has asked again, and has the place that it had.
    """

    RENEW = "renew"
    SILENCE = "silence"
    LEAVE = "leave"
    REPLACE = "replace"
    RELEASE = "release"
    REVOKE = "revoke"
    GRANT = "grant"
    REFUSE = "refuse"
    LOSE = "lose"
    ADOPT = "adopt"


S = TypeVar("S", LeaseState, ReservationState, JobState)

LEASES: Mapping[LeaseState, Mapping[Event, LeaseState]] = {
    LeaseState.LIVE: {
        Event.RENEW: LeaseState.LIVE,
        Event.SILENCE: LeaseState.LAPSED,
        Event.LEAVE: LeaseState.LEFT,
        Event.REPLACE: LeaseState.REPLACED,
    },
    LeaseState.LAPSED: {},
    LeaseState.LEFT: {},
    LeaseState.REPLACED: {},
}

RESERVATIONS: Mapping[ReservationState, Mapping[Event, ReservationState]] = {
    ReservationState.HELD: {
        Event.RENEW: ReservationState.HELD,
        Event.SILENCE: ReservationState.EXPIRED,
        Event.RELEASE: ReservationState.RELEASED,
        Event.REVOKE: ReservationState.REVOKED,
    },
    ReservationState.RELEASED: {},
    ReservationState.EXPIRED: {},
    ReservationState.REVOKED: {},
}

JOBS: Mapping[JobState, Mapping[Event, JobState]] = {
    JobState.WAITING: {
        Event.GRANT: JobState.SERVED,
        Event.SILENCE: JobState.TOLD,
        Event.REFUSE: JobState.TOLD,
        Event.LEAVE: JobState.WITHDRAWN,
        Event.LOSE: JobState.KEPT,
        Event.ADOPT: JobState.WAITING,
    },
    JobState.KEPT: {
        Event.ADOPT: JobState.WAITING,
        Event.SILENCE: JobState.WITHDRAWN,
        Event.LEAVE: JobState.WITHDRAWN,
    },
    JobState.SERVED: {},
    JobState.TOLD: {},
    JobState.WITHDRAWN: {},
}


class WrongStep(Exception):
    """
    Something happens that cannot, which is a mistake of ours.
    """


def step(table: Mapping[S, Mapping[Event, S]], state: S, event: Event) -> S:
    """
    The state after an event.

    @raise WrongStep: It cannot happen in this state.
    """
    try:
        return table[state][event]
    except KeyError:
        raise WrongStep(f"{event.name} cannot happen to what is {state.name}") from None
