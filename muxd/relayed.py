# -*- test-case-name: tests.test_relayed -*-
"""
One connection that a relay carries: from its coming to its end.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from muxd.net.pipe import Pipe, PipeEnd, PipeState


class RelayedConnection(Pipe):
    """
    A pipe whose second end is connected as soon as the first one is.

    @ivar client: Who the first end is, in words.
    @ivar began: When it came.
    @ivar joined: Whether the second end was ever there.
    """

    def __init__(
        self,
        to: IStreamClientEndpoint,
        client: str,
        clock: IReactorTime,
        flushTimeout: float,
        buffer: int,
        ended: Callable[[RelayedConnection, Failure], None],
    ) -> None:
        """
        @param to: Where the second end is to be connected.
        @param flushTimeout: Seconds for an end to take its last bytes.
        @param buffer: How many bytes may wait for either end.
        @param ended: Called once, when both ends have gone, with the reason.
        """
        super().__init__(clock, flushTimeout, self._isOver, buffer)
        self.client = client
        self.began = clock.seconds()
        self.joined = False
        self._to = to
        self._ended = ended
        self._connecting: Deferred[IProtocol] | None = None
        self._stopping: Deferred[None] | None = None

    def endConnected(self, end: PipeEnd) -> None:
        """
        Go for the second end when the first one is there, and join them.
        """
        super().endConnected(end)
        if end is self.second:
            self.joined = True
            return
        departure: IProtocolFactory = _Departure(self)
        connecting = maybeDeferred(self._to.connect, departure)
        # It may have failed already, and then is over before it is kept.
        self._connecting = connecting
        connecting.addCallbacks(self._connected, self._failed)

    def endLost(self, end: PipeEnd, reason: Failure) -> None:
        """
        Give up an attempt to connect that nobody is waiting for any more.
        """
        super().endLost(end, reason)
        if self._connecting is not None:
            self._connecting.cancel()

    def stop(self) -> Deferred[None]:
        """
        End it: each side gets what was sent to it.

        @return: fires when both ends are gone.
        """
        stopping: Deferred[None] = Deferred()
        self._stopping = stopping
        if self._connecting is not None:
            self._connecting.cancel()
        else:
            self.abandon(Failure(ConnectionDone("the relay is stopped")))
        return stopping

    def _connected(self, protocol: IProtocol) -> None:
        self._connecting = None

    def _failed(self, reason: Failure) -> None:
        self._connecting = None
        self.abandon(reason)

    def _isOver(self, reason: Failure) -> None:
        self._ended(self, reason)
        if self._stopping is not None:
            self._stopping.callback(None)


class _Departure(Factory):
    """
    Builds the second end of one connection, as long as somebody waits for it.
    """

    noisy = False

    def __init__(self, connection: RelayedConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> PipeEnd | None:
        """
        The second end; None when the first one has gone meanwhile.
        """
        waiting = self._connection.state is PipeState.WAITING
        return self._connection.second if waiting else None


def addressText(address: IAddress | None) -> str:
    """
    An address as one would type it; empty if it has none.
    """
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
        case UNIXAddress():
            return os.fsdecode(getattr(address, "name", None) or b"")
        case _:
            return ""
