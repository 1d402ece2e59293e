# -*- test-case-name: tests.net.test_localport -*-
"""
A port of this machine, at several of its addresses.

C{localhost} is 127.0.0.1 to some programs and ::1 to others, and to most it is both, in the
order of the system's C{hosts}.  What listens on one of them alone is refused to the rest.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import CannotListenError

from muxd.net.listening import ListeningEndpoint
from muxd.net.serverstrings import LOOPBACK, LOOPBACK6
from muxd.net.socketfile import CannotListen

LOOPBACKS = (LOOPBACK, LOOPBACK6)

EVERYWHERE = "0.0.0.0"
EVERYWHERE6 = "::"

ATTEMPTS = 20
"""
How often another port is tried where any will do, and one that is free at the first address
is taken at the next.
"""

E = TypeVar("E", bound=ListeningEndpoint)

_MISSING = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


@dataclass(frozen=True, slots=True)
class LocalPort:
    """
    A port of this machine.

    @ivar port: 0 for one that is free, the same at all addresses.
    @ivar addresses: Where.  Of both loopbacks, which are what C{localhost} means, one may
        be missing: not every machine has IPv6.
    """

    port: int
    addresses: tuple[str, ...] = LOOPBACKS

    def mayMiss(self, address: str) -> bool:
        """
        Whether it is listened on without this address, if the machine has not got it.
        """
        return address in LOOPBACKS and set(LOOPBACKS) <= set(self.addresses)

    def open(self, listen: Callable[[str, int], E], close: Callable[[E], object]) -> list[E]:
        """
        Listen on all of it.

        @param listen: Listens at an address and a port, at once.
        @param close: Gives that up.
        @return: what listens, one for each address that there is.
        @raise CannotListen: That is not possible; nothing listens then.
        """
        attempts = ATTEMPTS if self.port == 0 and len(self.addresses) > 1 else 1
        while True:
            attempts -= 1
            opened: list[E] = []
            try:
                self._openEach(listen, opened)
            except CannotListen as problem:
                for one in opened:
                    close(one)
                if not (attempts and opened and _number(problem) == errno.EADDRINUSE):
                    raise
            else:
                return opened

    def _openEach(self, listen: Callable[[str, int], E], opened: list[E]) -> None:
        port = self.port
        missing: CannotListen | None = None
        for address in self.addresses:
            try:
                one = listen(address, port)
            except CannotListen as problem:
                if not (self.mayMiss(address) and _number(problem) in _MISSING):
                    raise
                missing = problem
                continue
            opened.append(one)
            port = port or one.portNumber or 0
        if missing is not None and not opened:
            raise missing


def _number(problem: CannotListen) -> int | None:
    """
    The system's number of a problem.
    """
    cause = problem.__cause__
    if isinstance(cause, CannotListenError):
        cause = cause.socketError
    return cause.errno if isinstance(cause, OSError) else None


def localAddresses(words: Sequence[str]) -> tuple[str, ...]:
    """
    Understand addresses to listen on: IP addresses, in brackets or not, and C{localhost},
    which is both loopbacks.  Each is listened on once, and none that another includes.

    @return: both loopbacks if there are no words.
    @raise ValueError: One is no IP address.
    """
    found: dict[str, None] = {}
    for word in words or ("localhost",):
        bare = word.removeprefix("[").removesuffix("]")
        if bare == "localhost":
            found.update(dict.fromkeys(LOOPBACKS))
        elif isIPAddress(bare) or isIPv6Address(bare):
            found[bare] = None
        else:
            raise ValueError(
                "expected an IP address of this machine (0.0.0.0 for all of IPv4, :: for all), "
                f"got {word!r}"
            )
    if EVERYWHERE6 in found:
        return (EVERYWHERE6,)
    if EVERYWHERE in found:
        return tuple(one for one in found if one == EVERYWHERE or isIPv6Address(one))
    return tuple(found)
