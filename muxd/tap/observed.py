# -*- test-case-name: tests.tap.test_observed -*-
"""
The daemon with its status socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument

from muxd.description import Description
from muxd.net.socketfile import CannotListen
from muxd.service import MuxService
from muxd.status.capture import CaptureResource
from muxd.status.operations import phoneActions
from muxd.status.server import StatusServer, beside
from muxd.tap.phonecontrol import phoneControl

OFF = "none"


@dataclass(frozen=True, slots=True)
class StatusPlace:
    """
    Where the status socket is to be.

    @ivar description: A server endpoint's.
    @ivar isChosen: Whether an operator has said so: the daemon does not start without
        it then.
    """

    description: str
    isChosen: bool

    @classmethod
    def chosen(cls, option: str | None, places: Sequence[str]) -> Self | None:
        """
        The place for an option and the places where clients connect.

        @param option: A server endpoint's description, C{"none"}, or None for the default:
            beside the first of the places, if that is a UNIX socket.
        @return: None for no status socket.
        @raise ValueError: A description makes no sense.
        """
        if option is not None:
            return None if option == OFF else cls(option, True)
        if not places:
            return None
        first = Description.fromString(places[0])
        path = first.positional[0] if first.positional else first.keywords.get("address", "")
        if first.name.lower() != "unix" or not path or path.startswith("\0"):
            return None
        return cls(f"unix:{quoteStringArgument(beside(path))}", False)


class ObservedService(MuxService):
    """
    A service that is opened and closed together with its status socket.

    @ivar status: What listens there; None for no status socket.
    """

    def __init__(
        self, reactor: Any, *, status: StatusPlace | None = None, **arguments: Any
    ) -> None:
        """
        @raise ValueError: A description makes no sense.
        """
        super().__init__(reactor, **arguments)
        self._place = status
        self.status: StatusServer | None = None
        if status is not None:
            try:
                self.status = StatusServer(reactor, self, status.description)
                self.status.addResource("capture", CaptureResource(self))
                for action in (*phoneActions(self), phoneControl(self)):
                    self.status.addAction(action)
            except ValueError as error:
                raise ValueError(f"--status: {error}") from error

    def privilegedStartService(self) -> None:
        """
        Listen for clients and for operators.

        @raise CannotListen: One of the sockets cannot be opened, other than a status
            socket that was not asked for.
        """
        super().privilegedStartService()
        if self.status is None:
            return
        try:
            self.status.privilegedStartService()
        except CannotListen as problem:
            assert self._place is not None
            if self._place.isChosen:
                self.refuseClients()
                raise
            self._log.warn("going on without a status socket: {problem}", problem=problem)

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        if self.status is not None and self.status.isOpen:
            self.status.startService()

    def stopService(self) -> Deferred[None]:
        """
        Stop; operators can watch until the end.
        """
        stopped = super().stopService()
        status = self.status
        if status is None or not status.isOpen:
            return stopped
        return stopped.addBoth(lambda result: status.stopService().addCallback(lambda _: result))
