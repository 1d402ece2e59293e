# -*- test-case-name: tests.net.test_announcing -*-
"""
Telling other machines of a place where clients connect, by multicast DNS: usbfluxd's convention.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.importing.extras import installing

SERVICE = "_remote-mobdev._tcp.local."

MARK = "muxd"
"""The key of what says whose an announcement is, if it is one of this program's."""

ANNOUNCE = "announce"
"""The argument of a place's description that asks for it."""


def processMark() -> str:
    """
    What says of an announcement that it is this process's own.
    """
    return sha256(f"{platform.node()} {os.getpid()}".encode()).hexdigest()[:16]


def checkAnnouncing(isPlain: bool) -> None:
    """
    Say why a place cannot be announced, if it cannot.

    @param isPlain: Whether what goes there is plain text, on TCP.
    @raise ValueError: It cannot.
    """
    if not isPlain:
        raise ValueError(
            f"{ANNOUNCE}=yes is for tcp: and tcp6: alone: programs that look for such places speak"
            " neither TLS nor with sockets of this machine"
        )
    if find_spec("zeroconf") is None:
        raise ValueError(f"there is no zeroconf; {installing('wifi')}")


def multicast(reactor: Any, port: int) -> Any:
    """
    What announces a port.
    """
    # Its import alone starts processes, to find libraries.
    from muxd.net.multicast import Announcement

    name = f"{platform.node()[:40]} {port}"
    return Announcement(reactor, SERVICE, name, {MARK: processMark()})


class Announcing:
    """
    Announces one place for as long as clients can connect there.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, description: str, make: Callable[[Any, int], Any] = multicast
    ) -> None:
        """
        @param description: Of the place.
        @param make: Makes what announces a port.
        """
        self._reactor = reactor
        self._description = description
        self._make = make
        self._announcement: Any = None

    def start(self, address: str, port: int) -> None:
        """
        Announce; in vain, if there is no network, which is said.
        """
        self._announcement = self._make(self._reactor, port)
        self._announcement.start(address, port).addCallbacks(self._announced, self._failed)

    def stop(self) -> Deferred[None]:
        """
        Do so no longer.
        """
        announcement, self._announcement = self._announcement, None
        if announcement is None:
            return succeed(None)
        stopped: Deferred[None] = announcement.stop()
        return stopped.addErrback(self._failed)

    def _announced(self, _: object) -> None:
        self._log.info(
            "{description} is announced as {service}",
            description=self._description,
            service=SERVICE,
        )

    def _failed(self, failure: Failure) -> None:
        self._log.error(
            "{description} is not announced: {reason}",
            description=self._description,
            reason=failure.getErrorMessage(),
        )
