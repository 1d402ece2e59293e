# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
The states of a TCP connection in a tunnel, and the ways from one to another (RFC 9293, 3.3.2).

There is no LISTEN: what listens is no connection.  Neither is there a simultaneous open: a SYN that
comes while ours is under way is for another connection.
"""

from __future__ import annotations

from enum import Enum


class TCPState(Enum):
    """
    Where a connection is in its life.
    """

    SYN_SENT = "SYN sent"
    SYN_RECEIVED = "SYN received"
    ESTABLISHED = "established"
    FIN_WAIT_1 = "FIN sent"
    FIN_WAIT_2 = "FIN acknowledged"
    CLOSE_WAIT = "FIN received"
    CLOSING = "FINs crossed"
    LAST_ACK = "both FINs sent"
    TIME_WAIT = "waiting for stragglers"
    CLOSED = "closed"

    __hash__ = object.__hash__


SYN_SENT = TCPState.SYN_SENT
SYN_RECEIVED = TCPState.SYN_RECEIVED
ESTABLISHED = TCPState.ESTABLISHED
FIN_WAIT_1 = TCPState.FIN_WAIT_1
FIN_WAIT_2 = TCPState.FIN_WAIT_2
CLOSE_WAIT = TCPState.CLOSE_WAIT
CLOSING = TCPState.CLOSING
LAST_ACK = TCPState.LAST_ACK
TIME_WAIT = TCPState.TIME_WAIT
CLOSED = TCPState.CLOSED

TRANSITIONS: dict[TCPState, frozenset[TCPState]] = {
    # The other side agrees; it does not, or says nothing.
    SYN_SENT: frozenset({ESTABLISHED, CLOSED}),
    SYN_RECEIVED: frozenset({ESTABLISHED, CLOSED}),
    # We have said everything; the other side has; RST.
    ESTABLISHED: frozenset({FIN_WAIT_1, CLOSE_WAIT, CLOSED}),
    # Our FIN is acknowledged; the other's comes; both at once; RST.
    FIN_WAIT_1: frozenset({FIN_WAIT_2, CLOSING, TIME_WAIT, CLOSED}),
    FIN_WAIT_2: frozenset({TIME_WAIT, CLOSED}),
    CLOSE_WAIT: frozenset({LAST_ACK, CLOSED}),
    CLOSING: frozenset({TIME_WAIT, CLOSED}),
    LAST_ACK: frozenset({CLOSED}),
    TIME_WAIT: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
"""Each state and those that may follow it."""

RECEIVING = frozenset({ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2})
"""States in which the other side may have more to say."""

SENDING = frozenset({ESTABLISHED, CLOSE_WAIT})
"""States in which we may."""
