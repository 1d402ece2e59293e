# -*- test-case-name: tests.server.test_factory,tests.server.test_fastlane -*-
"""
Which clients are there, in whatever way they are served.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from muxd.net.acceptthrottle import AcceptThrottle
from muxd.server.accounts import Account, Accounts


class Attendance:
    """
    The clients of one server.  What is done for each that comes and goes is done here.

    @ivar clients: All that are connected.
    @ivar emptied: Called when the last one has gone, if anything awaits that.
    """

    def __init__(self, accounts: Accounts, throttle: AcceptThrottle) -> None:
        """
        @param accounts: What clients have, by user.
        @param throttle: Lets clients in while there is room for them.
        """
        self.clients: set[Any] = set()
        self._accounts = accounts
        self._throttle = throttle
        self.emptied: Callable[[], None] | None = None

    def come(self, client: Hashable, transport: Any) -> None:
        """
        A client is there.

        @param transport: It takes a descriptor, if it has one.
        """
        self.clients.add(client)
        self._throttle.clientConnected(transport)

    def comeOnSocket(self, client: Hashable, descriptor: int) -> None:
        """
        A client is there, which takes this descriptor.
        """
        self.clients.add(client)
        self._throttle.descriptorTaken(descriptor)

    def gone(self, client: Hashable, account: Account | None) -> None:
        """
        Its descriptor is free.

        @param account: The user's, which has one client less; C{None} if it was never let in.
        """
        self.clients.discard(client)
        if account is not None:
            self._accounts.leave(account)
        if self._throttle.isClosed:
            self._throttle.clientGone()
        if self.emptied is not None:
            self._lookWhetherEmpty()

    def replaced(self, client: Hashable) -> None:
        """
        Its descriptor has been taken over by another client of ours.
        """
        self.clients.discard(client)
        self._lookWhetherEmpty()

    def _lookWhetherEmpty(self) -> None:
        if self.emptied is not None and not self.clients:
            self.emptied()
