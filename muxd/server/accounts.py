# -*- test-case-name: tests.server.test_accounts -*-
"""
What the clients of each user have: connections, streams, places among the listeners.

A user is a user of this machine; over TCP an address, and with TLS the name in a client's
certificate (L{muxd.net.credentials.ownerOf}).  Each may have so much, more than any farm of phones
needs, so that one that takes all it can get leaves the others theirs.

Where the process may have few open files, a user may not have all of them.  B{Silent}
connections, which say nothing and wait for nothing, need not be refused: when files are short,
the one that has been silent for the longest goes, of the user with the most connections.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from muxd.limits import Limits
from muxd.server.states import State


class SilentClient(Protocol):
    """
    A client that says nothing.
    """

    def dropSilent(self) -> None:
        """
        Disconnect.
        """


class Use(Enum):
    """
    What a client has its connection for.

    @cvar NONE: It has said nothing, or all is said.
    @cvar REQUEST: Something is being done for it.
    @cvar STREAM: A stream, or a Connect that has no answer yet.
    @cvar LISTENER: Events.
    """

    NONE = "none"
    REQUEST = "request"
    STREAM = "stream"
    LISTENER = "listener"


USES: dict[State, Use] = {
    State.COMMAND: Use.NONE,
    State.WAITING: Use.REQUEST,
    State.CONNECTING: Use.STREAM,
    State.CONNECTED: Use.STREAM,
    State.LISTENING: Use.LISTENER,
    State.CLOSING: Use.NONE,
    State.CLOSED: Use.REQUEST,
}
"""By state; one that is gone is silent no longer."""


class Account:
    """
    What the clients of one user have.

    @ivar owner: The user.
    @ivar connections: All connections.
    @ivar streams: Those that are streams, or are to become one.
    @ivar listeners: Those that listen.
    @ivar held: Bytes that they have sent, and that are not done yet.
    @ivar orphans: Requests that are not done, of clients that have finished sending, or gone.
    """

    __slots__ = (
        "_silent",
        "connections",
        "held",
        "listeners",
        "orphans",
        "owner",
        "streams",
    )

    def __init__(self, owner: Hashable) -> None:
        self.owner = owner
        self.connections = 0
        self.streams = 0
        self.listeners = 0
        self.held = 0
        self.orphans = 0
        # Most say what they want as soon as they come.
        self._silent: OrderedDict[SilentClient, float] | None = None

    def isNeeded(self) -> bool:
        """
        Whether its user has anything.
        """
        return self.connections > 0 or self.orphans > 0

    def silent(self, client: SilentClient, now: float) -> None:
        """
        A client has said something, or has come, and is silent from now on.
        """
        if self._silent is None:
            self._silent = OrderedDict()
        self._silent[client] = now
        self._silent.move_to_end(client)

    def forget(self, client: SilentClient) -> None:
        """
        A client is silent no longer.  Harmless for one that is not.
        """
        if self._silent is not None:
            self._silent.pop(client, None)

    def uses(self, client: SilentClient, before: State, after: State, now: float) -> None:
        """
        A client goes from one state to another.
        """
        was, becomes = USES[before], USES[after]
        if was is Use.STREAM:
            self.streams -= becomes is not Use.STREAM
        elif was is Use.LISTENER:
            self.listeners -= 1
        else:
            self.forget(client)
        if becomes is Use.STREAM:
            self.streams += was is not Use.STREAM
        elif becomes is Use.LISTENER:
            self.listeners += 1
        elif becomes is Use.NONE:
            self.silent(client, now)

    def longestSilent(self, since: float) -> SilentClient | None:
        """
        The client that has been silent for the longest, if it has been so since some time.
        """
        for client, began in (self._silent or {}).items():
            return client if began <= since else None
        return None


class Accounts:
    """
    The accounts of all users that have a connection.

    @ivar mostStreams: Streams that each user may have.
    @ivar mostListeners: Listeners that each may have.
    @ivar held: Bytes that all clients have sent, and that are not done yet.
    """

    def __init__(self, clock: IReactorTime, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self.held = 0
        self._accounts: dict[Hashable, Account] = {}
        # Of a user that is likely to come again, as most connect for one thing at a time.
        self._empty: Account | None = None
        self.share(None)

    def share(self, descriptors: int | None) -> None:
        """
        Leave an eighth of all descriptors that clients may have to other users, in whatever way
        one uses its own; C{None} if there is no such limit.
        """
        limits = self._limits
        self.mostStreams, self.mostListeners = limits.streamsPerUser, limits.listenersPerUser
        if descriptors is not None:
            self.mostStreams = min(self.mostStreams, max(1, descriptors * 5 // 8))
            self.mostListeners = min(self.mostListeners, max(1, descriptors // 4))

    def __len__(self) -> int:
        """
        How many users there are.
        """
        return len(self.sizes())

    def sizes(self) -> dict[Hashable, tuple[int, int, int]]:
        """
        Connections, streams and listeners of each user.
        """
        return {
            each.owner: (each.connections, each.streams, each.listeners)
            for each in self._accounts.values()
            if each.isNeeded()
        }

    def largest(self) -> tuple[int, int, int]:
        """
        The most connections, streams and listeners that one user has, each for itself.
        """
        sizes = self.sizes().values()
        return (
            max((connections for connections, _, _ in sizes), default=0),
            max((streams for _, streams, _ in sizes), default=0),
            max((listeners for _, _, listeners in sizes), default=0),
        )

    def enter(self, owner: Hashable) -> Account | None:
        """
        A client has come.

        @return: Its user's account; C{None} if that has too many connections already, or too
            many requests of clients that have left.
        """
        account = self._accounts.get(owner)
        if account is None:
            account = self._accounts[owner] = Account(owner)
        elif (
            account.connections >= self._limits.connectionsPerUser
            or account.orphans >= self._limits.orphanedRequests
        ):
            return None
        account.connections += 1
        return account

    def leave(self, account: Account) -> None:
        """
        A client has gone.
        """
        account.connections -= 1
        if not account.connections:
            self._forget(account)

    def orphaned(self, account: Account) -> None:
        """
        A client has finished sending, or gone, whose request is not done yet.
        """
        account.orphans += 1

    def orphanDone(self, account: Account) -> None:
        """
        It is done.
        """
        account.orphans -= 1
        self._forget(account)

    def hold(self, account: Account, size: int) -> None:
        """
        So many bytes more are not done yet, or fewer.
        """
        account.held += size
        self.held += size

    def holdsTooMuch(self, account: Account) -> bool:
        """
        Whether too much is not done yet, of this user or of all.
        """
        return account.held > self._limits.heldPerUser or self.held > self._limits.heldBytes

    def _forget(self, account: Account) -> None:
        if account.isNeeded():
            return
        before, self._empty = self._empty, account
        if before is not None and before is not account and not before.isNeeded():
            del self._accounts[before.owner]

    def dropSilent(self) -> bool:
        """
        Have the longest silent client go, of the user with the most connections.

        @return: Whether there was one that has been silent for long enough.
        """
        if not self._accounts:
            return False
        greediest = max(self._accounts.values(), key=lambda account: account.connections)
        client = greediest.longestSilent(self._clock.seconds() - self._limits.leastSilence)
        if client is None:
            return False
        greediest.forget(client)
        client.dropSilent()
        return True
