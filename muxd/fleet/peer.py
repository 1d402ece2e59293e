# -*- test-case-name: tests.fleet.test_hub -*-
"""
What has connected to a hub, and has said what it is.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.hub import Hub
from muxd.fleet.values import FleetError, Why

LOST_HERE = "this hub has lost it"
"""What is said of the registry to one that knows of another hub."""


class PeerConnection(Protocol):
    """
    The connection of one.

    @ivar isOver: Whether nothing is read any more.
    """

    isOver: bool

    def send(self, message: Any) -> None:
        """
        Send a message.
        """

    def finish(self, message: Any | None = None) -> None:
        """
        Send a last message, and end the connection.
        """

    def refuse(self, why: Why, detail: str) -> None:
        """
        Say why the connection ends, and end it.
        """

    def complain(self, problem: str) -> None:
        """
        Tell the operator.
        """

    def abort(self) -> None:
        """
        End the connection at once.
        """


class Peer:
    """
    What hosts and jobs have in common: what they say is done in the order of their saying it.
    """

    _log = Logger()

    def __init__(self, hub: Hub, connection: PeerConnection, name: str) -> None:
        self.hub = hub
        self.name = name
        self._connection = connection

    def stop(self) -> None:
        """
        The hub is stopping.
        """
        self._connection.refuse(Why.STOPPED, "")

    def _start(self, work: Awaitable[None]) -> Deferred[None]:
        """
        Do something; what goes wrong ends the connection.
        """

        async def run() -> None:
            try:
                await work
            except FleetError as error:
                self._disconnect(error.why, str(error))

        done = Deferred.fromCoroutine(run())
        return done.addErrback(self._failed)

    def _disconnect(self, why: Why, detail: str) -> None:
        if not self._connection.isOver:
            self._connection.complain(f"disconnected: {detail}")
            self._connection.refuse(why, detail)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("{it} cannot be served", failure, it=self)
        self._connection.abort()
