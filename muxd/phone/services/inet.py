# -*- test-case-name: tests.phone.test_services -*-
"""
The small services that a simulated iPhone has on the ports where inetd had
them.  Which of them is held back is the session's doing, see
L{muxd.phone.mux.session}.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols import wire

ECHO = 7
DISCARD = 9
DAYTIME = 13
CHARGEN = 19


class Daytime(Protocol):
    """
    Tells the time in words and closes (RFC 867).
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """
        @param seconds: The time since the epoch.
        """
        self._seconds = seconds

    def connectionMade(self) -> None:
        """
        Tell it.
        """
        text = time.asctime(time.gmtime(self._seconds()))
        assert self.transport is not None
        self.transport.write(text.encode("ascii") + b"\r\n")
        self.transport.loseConnection()


class ServiceFactory(Factory):
    """
    Makes protocols without a word in the log.
    """

    noisy = False

    def __init__(self, makeProtocol: Callable[[], Protocol]) -> None:
        self._makeProtocol = makeProtocol

    def buildProtocol(self, addr: object) -> Protocol:
        """
        One for each session.
        """
        protocol = self._makeProtocol()
        protocol.factory = self
        return protocol


def inetServices(timeOfDay: Callable[[], float] = time.time) -> dict[int, IProtocolFactory]:
    """
    Echo, discard, daytime and chargen, by port.

    @param timeOfDay: Where daytime has the time from: seconds of the epoch.
    """
    return {
        ECHO: ServiceFactory(wire.Echo),
        DISCARD: ServiceFactory(wire.Discard),
        DAYTIME: ServiceFactory(lambda: Daytime(timeOfDay)),
        CHARGEN: ServiceFactory(wire.Chargen),
    }
