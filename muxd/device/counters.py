# -*- test-case-name: tests.device -*-
"""
What a muxer counts, in plain integers.  Read by whatever monitors; unread,
each costs one addition.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never


class Breach(enum.Enum):
    """
    A rule of the protocol that a phone has broken; its value is the name for logs.
    """

    MALFORMED = "malformed"
    COUNTER_GAP = "counterGaps"
    DUPLICATE = "duplicates"
    SEQUENCE_GAP = "sequenceGaps"
    OVERRUN = "overruns"
    BAD_ACKNOWLEDGEMENT = "badAcknowledgements"
    UNEXPECTED_FLAGS = "unexpectedFlags"


@dataclass(slots=True)
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

    packetsReceived: int = 0
    packetsSent: int = 0
    bytesReceived: int = 0
    bytesSent: int = 0
    acknowledgements: int = 0
    sessionsOpened: int = 0
    sessionsRefused: int = 0
    connectTimeouts: int = 0
    malformed: int = 0
    counterGaps: int = 0
    duplicates: int = 0
    sequenceGaps: int = 0
    overruns: int = 0
    badAcknowledgements: int = 0
    unexpectedFlags: int = 0
    strays: int = 0
    straysUnanswered: int = 0

    def breached(self, breach: Breach) -> None:
        """
        The phone has broken a rule: count it.
        """
        match breach:
            case Breach.MALFORMED:
                self.malformed += 1
            case Breach.COUNTER_GAP:
                self.counterGaps += 1
            case Breach.DUPLICATE:
                self.duplicates += 1
            case Breach.SEQUENCE_GAP:
                self.sequenceGaps += 1
            case Breach.OVERRUN:
                self.overruns += 1
            case Breach.BAD_ACKNOWLEDGEMENT:
                self.badAcknowledgements += 1
            case Breach.UNEXPECTED_FLAGS:
                self.unexpectedFlags += 1
            case _:
                assert_never(breach)
