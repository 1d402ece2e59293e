# -*- test-case-name: tests.server.test_protocol -*-
"""
Plain integers that say what a listening address has been doing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class ServerCounters:
    """
    Counted since the factory was made; rates are differences.

    @ivar connections: Clients accepted.
    @ivar commands: Requests by C{MessageType}; whatever has a name of its own
        invention is counted as "unknown".
    @ivar denials: Requests that a view denied, by C{MessageType}.
    @ivar malformedMessages: Requests that could not be understood, and lengths
        that no message has.
    @ivar badVersions: Requests answered with Result 6.
    @ivar timeouts: Clients closed because a message did not become complete.
    @ivar droppedClients: Clients disconnected because they did not read.
    @ivar clientsOverBudget: Clients disconnected because too much waited for all clients
        of their user, or for all.
    @ivar refusedClients: Clients closed at once because their user had too many connections.
    @ivar refusedStreams: Connects refused because the user had too many streams.
    @ivar refusedListeners: Listens refused because the user had too many listeners.
    @ivar refusedSaves: Pair records refused because the user had stored too many of phones
        that are not attached.
    @ivar droppedSilent: Silent clients disconnected so that others found a free descriptor.
    @ivar flushTimeouts: Clients aborted because they did not take their last
        bytes in time.
    @ivar connects: Connects that became a stream.
    @ivar refusedConnects: Connects that the phone or its link refused.
    @ivar cancelledConnects: Connects whose client went before the answer.
    @ivar bytesToPhones: Bytes of finished streams, from clients.
    @ivar bytesFromPhones: Bytes of finished streams, from phones.
    """

    connections: int = 0
    commands: Counter[str] = field(default_factory=Counter)
    denials: Counter[str] = field(default_factory=Counter)
    malformedMessages: int = 0
    badVersions: int = 0
    timeouts: int = 0
    droppedClients: int = 0
    clientsOverBudget: int = 0
    refusedClients: int = 0
    refusedStreams: int = 0
    refusedListeners: int = 0
    refusedSaves: int = 0
    droppedSilent: int = 0
    flushTimeouts: int = 0
    connects: int = 0
    refusedConnects: int = 0
    cancelledConnects: int = 0
    bytesToPhones: int = 0
    bytesFromPhones: int = 0
