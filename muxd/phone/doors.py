# -*- test-case-name: tests.phone.test_service -*-
"""
Where programs connect to simulated phones: sockets that are opened and closed together, each with
the protocols of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory

from muxd.limits import LIMITS, Limits
from muxd.net.acceptthrottle import AcceptThrottle
from muxd.net.listening import ListeningEndpoint


class Doors:
    """
    The sockets.
    """

    def __init__(self, reactor: Any, limits: Limits = LIMITS) -> None:
        self._reactor = reactor
        self._listening: list[tuple[ListeningEndpoint, IProtocolFactory]] = []
        self._throttle = AcceptThrottle(reactor, limits)
        self._throttle.ports = []

    def add(self, descriptions: Iterable[str], factory: IProtocolFactory) -> None:
        """
        Have a factory make the protocols of these places.

        @param descriptions: Of server endpoints.
        @raise ValueError: One of them is wrong.
        """
        for description in descriptions:
            listening = ListeningEndpoint.fromDescription(self._reactor, description)
            self._listening.append((listening, factory))
        self._throttle.ports = [listening for listening, _ in self._listening]

    def removeStale(self) -> None:
        """
        Find out whether the places are free.

        @raise CannotListen: One is not.
        """
        for listening, _ in self._listening:
            listening.removeStaleSocket()

    def open(self) -> None:
        """
        Listen.

        @raise CannotListen: One of them is not possible; those before it are open.
        """
        for listening, factory in self._listening:
            listening.takePlace(factory, self._throttle.acceptFailed)

    def close(self) -> list[Deferred[None]]:
        """
        Listen no more.

        @return: fires for each when its socket is closed.
        """
        return [listening.close() for listening, _ in self._listening]

    def stop(self) -> None:
        """
        Look after them no more.
        """
        self._throttle.stop()
