# -*- test-case-name: tests.client.test_shortway -*-
"""
Client endpoints that can be connected to with a bare socket.

A transport is made for a protocol, and for all that may happen on a connection.  Where bytes
go from one socket to another, a client endpoint that knows how gives the connected socket
itself, and its own C{connect} is there for whenever it cannot.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.python.failure import Failure
from zope.interface import Interface

from muxd.net.streams import StreamSocket


class SocketTaker(Protocol):
    """
    What a socket is connected for.  One of these is called, once, and not before the attempt
    has been returned.
    """

    def socketReady(self, connected: StreamSocket, data: bytes) -> None:
        """
        Take a socket over.

        @param data: What has been read from it already.
        """

    def socketFailed(self, reason: Failure) -> None:
        """
        It cannot be connected: the reason is that of the endpoint's C{connect}.
        """

    def needsTransport(self) -> None:
        """
        Only the endpoint's C{connect} can say what comes of it.
        """


class SocketAttempt(Protocol):
    """
    A socket that is being connected.
    """

    def cancel(self) -> Failure:
        """
        Give it up, and tell the taker nothing.

        @return: what a cancelled C{connect} fails with.
        """


class SocketWay(Protocol):
    """
    The way to one place.
    """

    def open(self, taker: SocketTaker) -> SocketAttempt | None:
        """
        Begin to connect a socket.

        @return: None if only the endpoint's C{connect} can.
        """

    def close(self) -> None:
        """
        Hold nothing open for it, until it is gone again.
        """


class ISocketEndpoint(Interface):
    """
    A client endpoint that may know such a way.
    """

    def socketWay() -> SocketWay | None:
        """
        The way; None if there is none.
        """


def socketWayTo(endpoint: Any) -> SocketWay | None:
    """
    The way to where an endpoint leads, if it knows one.
    """
    if not ISocketEndpoint.providedBy(endpoint):
        return None
    way: SocketWay | None = endpoint.socketWay()
    return way
