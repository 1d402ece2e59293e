# -*- test-case-name: tests.server.test_budget -*-
"""
How many bytes wait for all clients together, and for those of each user.

One client can have no more waiting than its queue allows, and that is not little.  A user
may have thousands of clients, and memory is shared.  So what waits is put to the
account of the user whose clients it waits for, and when that or all accounts together are
too much, the client that has let the user with the most wait the longest is dropped.

What waits for several clients of a user is there once, and counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol


class UnreadClient(Protocol):
    """
    What a budget needs of a client.
    """

    @property
    def owner(self) -> Hashable:
        """
        Whose client it is: always the same for one client.
        """

    def dropUnread(self) -> None:
        """
        Disconnect, and give back all that waits.
        """


@dataclass(slots=True)
class _Account:
    """
    What waits for the clients of one user.

    @ivar size: In bytes.
    @ivar parts: How often each piece waits, by C{id}: it is there as long as it waits.
    @ivar clients: How many pieces wait for each client, the longest waiting one first.
    """

    size: int = 0
    parts: Counter[int] = field(default_factory=Counter)
    clients: Counter[UnreadClient] = field(default_factory=Counter)


class UnreadBudget:
    """
    The accounts of all users.

    @ivar size: How many bytes wait for all.
    @ivar most: How many have waited at once, at most.
    """

    def __init__(self, total: int, each: int) -> None:
        """
        @param total: Bytes that may wait for all.
        @param each: Bytes that may wait for the clients of one user.
        """
        self.size = 0
        self.most = 0
        self._total = total
        self._each = each
        self._accounts: dict[Hashable, _Account] = {}

    def sizeOf(self, owner: Hashable) -> int:
        """
        How many bytes wait for the clients of a user.
        """
        account = self._accounts.get(owner)
        return 0 if account is None else account.size

    def hold(self, client: UnreadClient, data: bytes) -> None:
        """
        This waits for a client.
        """
        account = self._accounts.setdefault(client.owner, _Account())
        account.clients[client] += 1
        account.parts[id(data)] += 1
        if account.parts[id(data)] == 1:
            account.size += len(data)
            self.size += len(data)
            self.most = max(self.most, self.size)

    def release(self, client: UnreadClient, data: bytes) -> None:
        """
        It waits no longer.
        """
        owner = client.owner
        account = self._accounts[owner]
        account.parts[id(data)] -= 1
        if not account.parts[id(data)]:
            del account.parts[id(data)]
            account.size -= len(data)
            self.size -= len(data)
        account.clients[client] -= 1
        if not account.clients[client]:
            del account.clients[client]
        if not account.clients:
            del self._accounts[owner]

    def check(self, owner: Hashable) -> None:
        """
        More waits for the clients of a user: see that it is not too much.
        """
        while self.sizeOf(owner) > self._each:
            self._drop(self._accounts[owner])
        while self.size > self._total:
            self._drop(max(self._accounts.values(), key=lambda account: account.size))

    def _drop(self, account: _Account) -> None:
        next(iter(account.clients)).dropUnread()
