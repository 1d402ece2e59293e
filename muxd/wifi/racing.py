# -*- test-case-name: tests.wifi.test_heartbeat -*-
"""
The address of several that a phone can be reached by: a phone has more than one, and not all
of them lead to it from everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

HEAD_START = 0.25
"""Seconds that each address is tried for before the next one is, too."""

PATIENCE = 5.0
"""Seconds that all of it may take."""


def preferred(addresses: Sequence[str]) -> list[str]:
    """
    Addresses in the order in which they are tried: IPv4, then IPv6, then those of the link,
    for which not every program keeps the scope.  What is no address is left out.
    """
    ranked = []
    for address in dict.fromkeys(addresses):
        try:
            parsed = ip_address(address)
        except ValueError:
            continue
        ranked.append((parsed.version == 6, parsed.is_link_local, address))
    return [address for _, _, address in sorted(ranked, key=lambda each: each[:2])]


class AddressRace:
    """
    Finds the first of several addresses that a connection is made to.  The connection is
    closed again.
    """

    def __init__(
        self,
        clock: IReactorTime,
        addresses: Sequence[str],
        endpoint: Callable[[str], IStreamClientEndpoint],
    ) -> None:
        """
        @param endpoint: Makes the endpoint of an address.
        """
        self._clock = clock
        self._left = preferred(addresses)
        self._endpoint = endpoint
        self._running: dict[str, Deferred[Any]] = {}
        self._next: IDelayedCall | None = None
        self._why = "it has no address"
        self._isOver = False
        self._won: Deferred[str] = Deferred(lambda _: self._stop())

    def run(self) -> Deferred[str]:
        """
        Find it.

        @return: fires with the address.  It fails with a C{ConnectError} if there is none,
            which is a C{TimeoutError} if that is not known in time.
        """

        def timedOut(result: object, seconds: float) -> str:
            raise ConnectTimeout(string=f"no address has answered in {seconds:g} s")

        self._tryNext()
        return self._won.addTimeout(PATIENCE, self._clock, timedOut)

    def _tryNext(self) -> None:
        self._next = None
        if not self._left:
            if not self._running:
                self._end(Failure(ConnectError(string=self._why)))
            return
        address = self._left.pop(0)
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        connecting: Deferred[Any] = self._endpoint(address).connect(factory)
        self._running[address] = connecting
        connecting.addCallbacks(
            self._connected, self._failed, callbackArgs=(address,), errbackArgs=(address,)
        )
        if self._left and not self._isOver:
            self._next = self._clock.callLater(HEAD_START, self._tryNext)

    def _connected(self, protocol: Protocol, address: str) -> None:
        self._running.pop(address, None)
        assert protocol.transport is not None
        protocol.transport.loseConnection()
        self._end(address)

    def _failed(self, failure: Failure, address: str) -> None:
        self._running.pop(address, None)
        if self._isOver:
            return
        self._why = f"{address}: {failure.getErrorMessage()}"
        if self._next is not None:
            self._next.cancel()
        if self._left or not self._running:
            self._tryNext()

    def _end(self, result: str | Failure) -> None:
        if not self._isOver:
            self._stop()
            self._won.callback(result)

    def _stop(self) -> None:
        self._isOver = True
        self._left.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        for connecting in list(self._running.values()):
            connecting.cancel()
