# -*- test-case-name: tests.server.test_preflightmachine -*-
r"""
What becomes of a phone between its being plugged in and its being trusted
(protocol 5.2).

In each stage one thing is tried, and its outcome leads to the next stage::

    ASKING_TYPE --RESTORING--> RESTORING                     (a phone to be restored)
         |
       NORMAL
         v
    CHECKING ---TRUSTED--> TRUSTED                           (its record is good)
         |  \ \--LOCKED--> LOCKED ---NEWS--> ASKING_TYPE    (until it is unlocked)
         |\  \---UNSURE--> UNSURE ---NEWS--> ASKING_TYPE    (it cannot be told yet)
         | \---UNPROVED--> UNPROVED -NEWS--> ASKING_TYPE    (another device's record)
      STRANGER
         v
    REQUESTING --TRUSTED--> TRUSTED                          (it trusts us now)
         |  |\ \--DENIED---> DENIED                          (not before it is replugged)
         |  | \---DISPUTED-> DISPUTED -NEWS--> ASKING_TYPE   (two devices, one UDID)
         |  |
         |  +----LOCKED---> LOCKED ---NEWS--> ASKING_TYPE    (until it is unlocked)
      PENDING
         v
    WAITING ----NEWS------> ASKING_TYPE                      (its owner has tapped)

Whatever else goes wrong anywhere leads to RESTING, and after a while from the
beginning.  There is no end in which a phone stays invisible: it is shown in every
stage in L{SHOWN}, and by a timer if it reaches none of them soon.

NEWS is a tap, an unlock or a pairing, or that it is time to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Stage(Enum):
    """
    What is being tried, or how it ended.

    @cvar ASKING_TYPE: Asking lockdownd what the phone is.
    @cvar CHECKING: Starting a session with the record that we have.
    @cvar REQUESTING: Asking the phone for its trust.
    @cvar WAITING: The dialog is on the phone's screen.
    @cvar LOCKED: The phone is locked: it shows no dialog, or starts no session.
    @cvar RESTING: Something went wrong; it will be tried again.
    @cvar TRUSTED: The phone and this host trust each other.
    @cvar UNSURE: There is a record, and no telling whether it is good.
    @cvar UNPROVED: The device says that the record is good, and has not the key of the phone
        that it is of.
    @cvar DENIED: The phone's owner does not trust this host.
    @cvar DISPUTED: Another device with the same UDID is attached, and there is a record
        that this one does not know.
    @cvar RESTORING: The phone is in restore mode.
    """

    ASKING_TYPE = "asking type"
    CHECKING = "checking"
    REQUESTING = "requesting"
    WAITING = "waiting"
    LOCKED = "locked"
    RESTING = "resting"
    TRUSTED = "trusted"
    UNSURE = "unsure"
    UNPROVED = "unproved"
    DENIED = "denied"
    DISPUTED = "disputed"
    RESTORING = "restoring"


class Outcome(Enum):
    """
    What came of it.

    @cvar NEWS: Something was done: a tap, an unlock, a pairing; or it is
        time to look.
    @cvar FAILED: There was no answer, or none that means anything.
    """

    NORMAL = "normal"
    RESTORING = "restoring"
    TRUSTED = "trusted"
    UNSURE = "unsure"
    UNPROVED = "unproved"
    STRANGER = "stranger"
    PENDING = "pending"
    LOCKED = "locked"
    DENIED = "denied"
    DISPUTED = "disputed"
    NEWS = "news"
    FAILED = "failed"


TRANSITIONS: Mapping[Stage, Mapping[Outcome, Stage]] = {
    Stage.ASKING_TYPE: {
        Outcome.NORMAL: Stage.CHECKING,
        Outcome.RESTORING: Stage.RESTORING,
        Outcome.FAILED: Stage.RESTING,
    },
    Stage.CHECKING: {
        Outcome.TRUSTED: Stage.TRUSTED,
        Outcome.LOCKED: Stage.LOCKED,
        Outcome.UNSURE: Stage.UNSURE,
        Outcome.UNPROVED: Stage.UNPROVED,
        Outcome.STRANGER: Stage.REQUESTING,
        Outcome.FAILED: Stage.RESTING,
    },
    Stage.REQUESTING: {
        Outcome.TRUSTED: Stage.TRUSTED,
        Outcome.PENDING: Stage.WAITING,
        Outcome.LOCKED: Stage.LOCKED,
        Outcome.DENIED: Stage.DENIED,
        Outcome.DISPUTED: Stage.DISPUTED,
        Outcome.FAILED: Stage.RESTING,
    },
    Stage.WAITING: {Outcome.NEWS: Stage.ASKING_TYPE, Outcome.FAILED: Stage.RESTING},
    Stage.LOCKED: {Outcome.NEWS: Stage.ASKING_TYPE},
    Stage.DISPUTED: {Outcome.NEWS: Stage.ASKING_TYPE},
    Stage.UNSURE: {Outcome.NEWS: Stage.ASKING_TYPE},
    Stage.UNPROVED: {Outcome.NEWS: Stage.ASKING_TYPE},
    Stage.RESTING: {Outcome.NEWS: Stage.ASKING_TYPE},
    Stage.TRUSTED: {},
    Stage.DENIED: {},
    Stage.RESTORING: {},
}

SHOWN = frozenset(
    {
        Stage.REQUESTING,
        Stage.WAITING,
        Stage.LOCKED,
        Stage.TRUSTED,
        Stage.UNSURE,
        Stage.UNPROVED,
        Stage.DENIED,
        Stage.DISPUTED,
        Stage.RESTORING,
    }
)
"""
Where nothing is left to be done that is worth waiting for: a phone without a
record gets none before its owner has tapped, and making its keys takes a while.
"""

FINAL = frozenset(stage for stage, outcomes in TRANSITIONS.items() if not outcomes)
"""Until the phone is plugged in again."""
