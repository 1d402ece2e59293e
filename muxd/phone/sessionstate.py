# -*- test-case-name: tests.phone.test_session,tests.phone.test_closing -*-
"""
Where the phone's end of a session is in its life.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """
    The life of a session.
    """

    HANDSHAKE = "SYN|ACK sent, no ACK yet"
    OPEN = "open"
    FLUSHING = "the service closes; its last bytes are on their way"
    FLUSHED = "everything has been sent; the reset goes out in the next turn"
    DRAINING = "the host has closed; the service still has bytes to take"
    ABORTING = "the service has aborted; the reset goes out in the next turn"
    CLOSED = "closed"
