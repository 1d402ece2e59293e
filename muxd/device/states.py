# -*- test-case-name: tests.device.test_states -*-
"""
The states of a session, and the ways from one to another.

There is no half-close on the wire, only RST.  So HALF_CLOSING and HALF_CLOSED are
our own: the phone is not told that nothing more will come, and what it says goes
on being delivered.  The session ends when the phone ends it, or its end does; how long
an answer is worth waiting for is not the session's to say.

FLUSHING waits until the phone has acknowledged the last byte: a RST may overtake
what lies unread in the phone's own buffers.  What the phone sends meanwhile is
dropped but acknowledged, so that a service which must write before it reads on
is not stuck.

DRAINING is entered when the phone ends a session, or is gone, while bytes are held
that its end has not taken: reporting the end early would make a pipe close a socket
whose last bytes are still here.
"""

from __future__ import annotations

from enum import Enum


class SessionState(Enum):
    """
    Where a session is in its life.

    @cvar ESTABLISHED: Bytes flow both ways.
    @cvar HALF_CLOSING: Its end has said everything, and the phone has not taken all of
        it yet.
    @cvar HALF_CLOSED: The phone has taken everything, and may still say something.
    @cvar FLUSHING: Its end is gone, and the phone has not taken all of it yet.
    @cvar DRAINING: The phone is gone, and the end has not taken all of it yet.
    @cvar CLOSED: Nothing is left.
    """

    ESTABLISHED = "established"
    HALF_CLOSING = "half-closing"
    HALF_CLOSED = "half-closed"
    FLUSHING = "flushing"
    DRAINING = "draining"
    CLOSED = "closed"

    # Enum's own is a Python function, and every step of every session asks for it.
    __hash__ = object.__hash__


ESTABLISHED = SessionState.ESTABLISHED
HALF_CLOSING = SessionState.HALF_CLOSING
HALF_CLOSED = SessionState.HALF_CLOSED
FLUSHING = SessionState.FLUSHING
DRAINING = SessionState.DRAINING
CLOSED = SessionState.CLOSED

TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    # Closing; closing one direction; a RST, or the loss of the phone, while bytes are held.
    ESTABLISHED: frozenset({FLUSHING, HALF_CLOSING, DRAINING, CLOSED}),
    # All is acknowledged; closing; the same.
    HALF_CLOSING: frozenset({HALF_CLOSED, FLUSHING, DRAINING, CLOSED}),
    # The same.
    HALF_CLOSED: frozenset({FLUSHING, DRAINING, CLOSED}),
    # All is acknowledged, or nothing of it for a while; a RST, or the loss of the phone.
    FLUSHING: frozenset({FLUSHING, CLOSED}),
    # All is taken, or nothing of it for a while.
    DRAINING: frozenset({DRAINING, CLOSED}),
    CLOSED: frozenset(),
}
"""
Each state and those that may follow it.  At most one timer belongs to each of them, and
dies with it; a state that follows itself has another one.
"""
