# -*- test-case-name: tests.server.test_protocol -*-
"""
Plain integers that say what a listening address has been doing.
"""

from __future__ import annotations

from collections import Counter, defaultdict

COUNTERS = (
    "connections",
    "commands",
    "denials",
    "malformedMessages",
    "badVersions",
    "timeouts",
    "droppedClients",
    "clientsOverBudget",
    "refusedClients",
    "refusedStreams",
    "refusedListeners",
    "refusedSaves",
    "droppedSilent",
    "flushTimeouts",
    "connects",
    "refusedConnects",
    "cancelledConnects",
    "bytesToPhones",
    "bytesFromPhones",
)
"""The names of what is counted."""


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

    __slots__ = COUNTERS

    def __init__(self) -> None:
        self.connections = 0
        self.commands: defaultdict[str, int] = defaultdict(int)
        self.denials: Counter[str] = Counter()
        self.malformedMessages = 0
        self.badVersions = 0
        self.timeouts = 0
        self.droppedClients = 0
        self.clientsOverBudget = 0
        self.refusedClients = 0
        self.refusedStreams = 0
        self.refusedListeners = 0
        self.refusedSaves = 0
        self.droppedSilent = 0
        self.flushTimeouts = 0
        self.connects = 0
        self.refusedConnects = 0
        self.cancelledConnects = 0
        self.bytesToPhones = 0
        self.bytesFromPhones = 0

    def moved(self, toPhone: int, fromPhone: int) -> None:
        """
        A stream is over that has carried so many bytes.
        """
        self.bytesToPhones += toPhone
        self.bytesFromPhones += fromPhone
