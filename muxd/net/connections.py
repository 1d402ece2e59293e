# -*- test-case-name: tests.net.test_connections -*-
"""
Connections of peers that ask and are answered: what they may cost, and their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

C = TypeVar("C")


class Connections(Generic[C]):
    """
    The connections that are open, the oldest first.
    """

    def __init__(self) -> None:
        self._open: dict[C, None] = {}
        self._waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[C]:
        return iter(tuple(self._open))

    def add(self, connection: C) -> None:
        """
        A connection has been made.
        """
        self._open[connection] = None

    def discard(self, connection: C) -> None:
        """
        A connection has been closed.
        """
        self._open.pop(connection, None)
        self._tell()

    def stop(self, close: Callable[[C], object]) -> Deferred[None]:
        """
        Close all connections.

        @param close: Closes one, now or soon.
        @return: fires when none is open.
        """
        stopped: Deferred[None] = Deferred()
        self._waiting.append(stopped)
        for connection in self:
            close(connection)
        self._tell()
        return stopped

    def _tell(self) -> None:
        if not self._open:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)


@implementer(IPushProducer)
class Answering:
    """
    A protocol that answers what it is asked, and does not read from a peer that
    does not read.

    It is the push producer of its own transport, which pauses it while the peer takes
    no more.
    """

    transport: Any
    _answering = False

    def beginAnswering(self) -> None:
        """
        Register with the transport, which must be there.
        """
        self._answering = True
        self.transport.registerProducer(self, True)

    def endAnswering(self) -> None:
        """
        Take leave of the transport, which would wait for its producer before it closes.
        """
        if self._answering:
            self._answering = False
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """
        The peer does not read.
        """
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        It does again.
        """
        if self._answering:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        The connection is over; C{connectionLost} follows.
        """
