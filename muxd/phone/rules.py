# -*- test-case-name: tests.phone.test_session -*-
"""
What a host must keep to in an open session (protocol 3.4, 3.6).
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.phone.inflow import Inflow
from muxd.wire.sequence import between


@dataclass(frozen=True, slots=True)
class Objection:
    """
    What ends a session.

    @ivar text: For whoever reads the violations.
    @ivar reason: For the host, in the reset.
    """

    text: str
    reason: bytes


@dataclass(slots=True)
class Outgoing:
    """
    The numbers of the sending side.

    @ivar sequence: Of the next byte to the host.
    @ivar acknowledged: By the host.
    @ivar window: The host's, in bytes.
    """

    sequence: int = 0
    acknowledged: int = 0
    window: int = 0

    @property
    def room(self) -> int:
        """
        How many bytes more the host takes.
        """
        return max(0, self.window - ((self.sequence - self.acknowledged) & 0xFFFFFFFF))


def objection(
    inflow: Inflow, outgoing: Outgoing, seq: int, ack: int, size: int, opening: bool
) -> Objection | None:
    """
    Whether a segment with these numbers is out of order.

    @param size: Of its payload.
    @param opening: It ends the handshake.
    """
    low = outgoing.sequence if opening else outgoing.acknowledged
    if not between(low, ack, outgoing.sequence):
        return Objection(f"ack {ack}, expected {low} to {outgoing.sequence}", b"ack out of range")
    if seq != inflow.expected:
        return Objection(f"seq {seq}, expected {inflow.expected}", b"sequence gap")
    if size > inflow.room:
        return Objection(
            f"window overrun: {size} bytes, room for {inflow.room}",
            b"amnesia: the host has overrun the window",
        )
    return None
