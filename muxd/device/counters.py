# -*- test-case-name: tests.device -*-
"""
What a muxer counts, in plain integers.  Read by whatever monitors; unread,
each costs one addition.
"""

from __future__ import annotations

from dataclasses import dataclass


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
