# -*- test-case-name: tests.device -*-
"""
What a muxer counts, in plain integers.  Read by whatever monitors; unread,
each costs one addition.
"""

from __future__ import annotations

import enum


class Breach(enum.Enum):
    """
    A rule of the protocol that a phone has broken; its value is its name in logs, and that
    of its counter.
    """

    MALFORMED = "malformed"
    COUNTER_GAP = "counterGaps"
    DUPLICATE = "duplicates"
    SEQUENCE_GAP = "sequenceGaps"
    OVERRUN = "overruns"
    BAD_ACKNOWLEDGEMENT = "badAcknowledgements"
    UNEXPECTED_FLAGS = "unexpectedFlags"


BREACHES = tuple(breach.value for breach in Breach)
"""The names of the counters of broken rules."""

COUNTERS = (
    "packetsReceived",
    "packetsSent",
    "bytesReceived",
    "bytesSent",
    "acknowledgements",
    "sessionsOpened",
    "sessionsRefused",
    "connectTimeouts",
    *BREACHES,
    "strays",
    "straysUnanswered",
)
"""The names of what is counted."""


class MuxerCounters:
    """
    One phone's totals since it was attached.

    @ivar packetsReceived: Of all protocols.
    @ivar packetsSent: Of all protocols.
    @ivar bytesReceived: Payload of sessions.
    @ivar bytesSent: Payload of sessions.
    @ivar acknowledgements: Segments sent only to acknowledge.
    @ivar sessionsOpened: SYNs answered with SYN|ACK.
    @ivar sessionsRefused: SYNs answered with anything else.
    @ivar connectTimeouts: SYNs not answered.
    @ivar malformed: Packets too short, of no known protocol, or out of turn.
    @ivar counterGaps: Jumps of the phone's packet counter.
    @ivar duplicates: Segments whose bytes had come before.
    @ivar sequenceGaps: Sessions ended because bytes were missing.
    @ivar overruns: Sessions ended because the phone ignored our window.
    @ivar badAcknowledgements: Acknowledgements of what was never sent.
    @ivar unexpectedFlags: Sessions ended because of flags out of turn.
    @ivar strays: Segments for no session.
    @ivar straysUnanswered: Those not even answered, the link being full.
    """

    __slots__ = COUNTERS

    def __init__(self) -> None:
        self.packetsReceived = 0
        self.packetsSent = 0
        self.bytesReceived = 0
        self.bytesSent = 0
        self.acknowledgements = 0
        self.sessionsOpened = 0
        self.sessionsRefused = 0
        self.connectTimeouts = 0
        self.malformed = 0
        self.counterGaps = 0
        self.duplicates = 0
        self.sequenceGaps = 0
        self.overruns = 0
        self.badAcknowledgements = 0
        self.unexpectedFlags = 0
        self.strays = 0
        self.straysUnanswered = 0

    def values(self) -> dict[str, int]:
        """
        All of them, by name.
        """
        return {name: getattr(self, name) for name in COUNTERS}

    def breached(self, breach: Breach) -> None:
        """
        The phone has broken a rule: count it.
        """
        setattr(self, breach.value, getattr(self, breach.value) + 1)
