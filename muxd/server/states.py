# -*- test-case-name: tests.server.test_protocol -*-
"""
The states of a client's connection, and the ways from one to another.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """
    Where a client's connection is in its life (protocol 4.5).

    @cvar COMMAND: Requests are answered.
    @cvar LISTENING: Events are sent; every request is a mistake.
    @cvar WAITING: Pair records are being read or written for it; what the client sends
        is held.
    @cvar CONNECTING: The phone has been asked; what the client sends is held.
    @cvar CONNECTED: The bytes are the phone's and the client's.
    @cvar CLOSING: The last replies are being sent; nothing is read any more.
    @cvar CLOSED: The connection is gone.
    """

    COMMAND = "command"
    LISTENING = "listening"
    WAITING = "waiting"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSING = "closing"
    CLOSED = "closed"

    # Enum's own is a Python function, and every client's every step asks for it.
    __hash__ = object.__hash__


TRANSITIONS: dict[State, frozenset[State]] = {
    State.COMMAND: frozenset(
        {State.LISTENING, State.WAITING, State.CONNECTING, State.CLOSING, State.CLOSED}
    ),
    State.LISTENING: frozenset({State.CLOSING, State.CLOSED}),
    State.WAITING: frozenset({State.COMMAND, State.CLOSING, State.CLOSED}),
    State.CONNECTING: frozenset({State.COMMAND, State.CONNECTED, State.CLOSING, State.CLOSED}),
    State.CONNECTED: frozenset({State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
