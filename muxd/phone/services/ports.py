# -*- test-case-name: tests.phone.services.test_ports -*-
"""
A simulated iPhone's services that lockdownd starts by name.

Each start opens a port of its own for one connection, as on a real phone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.protocols.policies import WrappingFactory

FIRST_PORT = 49152
LAST_PORT = 65535
PATIENCE = 30.0
"""Seconds that a port waits for its connection."""

MOST_WAITING = 256
"""Ports that wait at once; a host that starts more is refused."""


@dataclass(frozen=True, slots=True)
class NamedService:
    """
    One kind of service.

    @ivar factory: Makes its protocols.
    @ivar ssl: Whether it speaks TLS.
    @ivar secure: Whether only a paired host may start it.
    """

    factory: IProtocolFactory
    ssl: bool = False
    secure: bool = True


class _OneConnection(WrappingFactory):
    """
    Lets one connection through.
    """

    noisy = False

    def __init__(self, factory: Any, taken: Callable[[], None]) -> None:
        super().__init__(factory)
        self._taken = taken

    def buildProtocol(self, addr: Any) -> Any:
        """
        The service's protocol.
        """
        self._taken()
        return self.wrappedFactory.buildProtocol(addr)


class ServicePorts:
    """
    Opens ports for services.
    """

    def __init__(
        self,
        clock: IReactorTime,
        listening: MutableMapping[int, IProtocolFactory],
        services: Mapping[str, NamedService],
    ) -> None:
        """
        @param listening: What listens on which port of the phone.
        @param services: By name.
        """
        self._clock = clock
        self._listening = listening
        self._services = services
        self._waiting: dict[int, IDelayedCall] = {}
        self._next = FIRST_PORT
        self._opened: Callable[[int, IProtocolFactory], object] | None = None
        self._closed: Callable[[int], object] | None = None

    def watch(
        self,
        opened: Callable[[int, IProtocolFactory], object] | None,
        closed: Callable[[int], object] | None,
    ) -> None:
        """
        Have a network follow what is opened and closed from now on; None for none.

        @param opened: Called with a port and what listens on it.
        @param closed: Called with a port.
        """
        self._opened, self._closed = opened, closed

    def find(self, name: object) -> NamedService | None:
        """
        The service of that name.
        """
        return self._services.get(name) if isinstance(name, str) else None

    def open(self, factory: Any) -> int | None:
        """
        Listen for one connection.

        @return: The port; None if too many wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            return None
        while self._next in self._listening:
            self._advance()
        port = self._next
        self._advance()
        self._waiting[port] = self._clock.callLater(PATIENCE, self._close, port)
        listener = self._listening[port] = _OneConnection(factory, lambda: self._close(port))
        if self._opened is not None:
            self._opened(port, listener)
        return port

    def stop(self) -> None:
        """
        Stop waiting.
        """
        for port in tuple(self._waiting):
            self._close(port)

    def _close(self, port: int) -> None:
        timer = self._waiting.pop(port, None)
        if timer is not None:
            if timer.active():
                timer.cancel()
            del self._listening[port]
            if self._closed is not None:
                self._closed(port)

    def _advance(self) -> None:
        self._next = FIRST_PORT if self._next == LAST_PORT else self._next + 1
