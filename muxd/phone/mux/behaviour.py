# -*- test-case-name: tests.phone.mux.test_muxer,tests.phone.mux.test_framing -*-
"""
What a phone puts up with, and how it misbehaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """
    What not every host does, and this phone can be told to put up with.

    @ivar received: The rx_seq of a packet is the last tx_seq received; the C
        daemon copies another field (protocol 2.3).
    @ivar constantWindow: The window never changes; netmuxd changes it
        (protocol 3.5).
    """

    received: bool = True
    constantWindow: bool = True


STRICT = Expectations()


@dataclass(slots=True, kw_only=True)
class Faults:
    """
    How the phone misbehaves, changed by tests as they go.

    @ivar silent: Never answers VERSION.
    @ivar version: Answers VERSION with this one.
    @ivar deaf: Ports that never answer a SYN.
    @ivar refusals: Ports that refuse, and the text they do it with.
    @ivar skipCounter: How far tx_seq jumps before the next packet.
    @ivar skipSequence: How far the seq of the next payload is off.
    @ivar firstSequence: The seq of its SYN|ACK.
    """

    silent: bool = False
    version: int | None = None
    deaf: set[int] = field(default_factory=set)
    refusals: dict[int, bytes] = field(default_factory=dict)
    skipCounter: int = 0
    skipSequence: int = 0
    firstSequence: int = 0
