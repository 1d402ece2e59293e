# -*- test-case-name: tests.net.test_ending -*-
"""
Whether the other end of a connection has closed it, or it was lost.

Twisted calls it a loss where TLS was not told first.  But a process that is killed tells TLS
nothing, and its kernel closes the connection beneath, as of each other that it had.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure


class Ending:
    """
    How a connection ends.
    """

    def __init__(self, transport: Any) -> None:
        """
        @param transport: The connection's, from its beginning.
        """
        self._beneath: Failure | None = None
        if ISSLTransport.providedBy(transport) and hasattr(transport, "wrappedProtocol"):
            self._watch(transport)

    def isClosed(self, reason: Failure) -> bool:
        """
        Whether it was closed.

        @param reason: What its protocol was told.
        """
        beneath = self._beneath
        if beneath is not None and reason.check(ConnectionLost):
            reason = beneath
        return reason.check(ConnectionDone) is not None

    def _watch(self, tls: Any) -> None:
        # What watches for revoked certificates does the same, and has begun before.
        before = vars(tls).get("connectionLost")

        def connectionLost(reason: Failure) -> None:
            del tls.connectionLost
            if before is not None:
                tls.connectionLost = before
            self._beneath = reason
            tls.connectionLost(reason)

        # An instance attribute on purpose: only what is told of it knows the reason beneath.
        tls.connectionLost = connectionLost
