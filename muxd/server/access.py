# -*- test-case-name: tests.server.test_access -*-
"""
What a view denies, and how a client is told.

A client is told what it would be told of a phone, a record or a port that is not there, in
the numbers that clients of the C daemon understand (protocol 4.4).  The operator is told
which client it was.
"""

from __future__ import annotations

from errno import ENOENT, EPERM
from typing import Any

from twisted.logger import Logger

from muxd.interfaces import AttachedDevice
from muxd.net.credentials import peerText
from muxd.ratelimit import RateLimit
from muxd.server.counters import ServerCounters
from muxd.server.view import View
from muxd.server.vieweddevices import ViewedDevices
from muxd.wire.messages import Result
from muxd.wire.text import printable

_REFUSALS = {
    "Connect": int(Result.BAD_DEVICE),
    "ReadPairRecord": ENOENT,
    "DeletePairRecord": ENOENT,
    "SavePairRecord": EPERM,
    "ReadBUID": EPERM,
}
"""
What is answered to a request that is denied.  A list of devices is empty, and all others are
Result 1, bad command.
"""


class Access:
    """
    Decides for the clients of one view.

    @ivar devices: The devices that there are for them.
    @ivar name: What the view is called in the log.
    """

    _log = Logger()

    def __init__(
        self, devices: ViewedDevices, name: str, counters: ServerCounters, limit: RateLimit
    ) -> None:
        self.devices = devices
        self.name = name
        self._counters = counters
        self._limit = limit

    @property
    def view(self) -> View:
        """
        The view, as it is now.
        """
        return self.devices.view

    def admits(self, connection: Any) -> bool:
        """
        Whether the view is for the client at the other end.
        """
        peers = self.view.peers
        return not peers or peers.admit(connection)

    def permitsListening(self, connection: Any) -> bool:
        """
        Whether a client may go on to be told of devices.
        """
        return self.view.permitsCommand("Listen") and self.admits(connection)

    def permitsConnect(self, connection: Any, attached: AttachedDevice, port: int) -> bool:
        """
        Whether a client may have a stream to a device, or go on with it.
        """
        view = self.view
        return (
            view.permitsPort(port)
            and view.permitsCommand("Connect")
            and view.shows(attached.device.identity)
            and self.admits(connection)
        )

    def refusalOf(self, connection: Any, name: str) -> int | None:
        """
        What to answer to a request, whatever it is about.

        @param name: Its C{MessageType}.
        @return: None if it is not denied.
        """
        if not self.admits(connection):
            self._denied(name, connection, name, "the view is not for this client")
        elif not self.view.permitsCommand(name) and name != "Connect":
            self._denied(name, connection, name, "the view has no such command")
        else:
            return None
        return _REFUSALS.get(name, int(Result.BAD_COMMAND))

    def refusalOfConnect(
        self, connection: Any, attached: AttachedDevice, port: int
    ) -> Result | None:
        """
        What to answer to a Connect to a device that there is: the phone refuses.
        """
        if self.permitsConnect(connection, attached, port):
            return None
        what = f"Connect to port {port} of {attached.device.identity.udid}"
        self._denied("Connect", connection, what, "the view has no such command or port")
        return Result.CONNECTION_REFUSED

    def checkRecord(self, connection: Any, name: str, recordID: str) -> None:
        """
        @raise OSError: The view has no phone with this record; the number is what is
            answered.
        """
        mayHave = (
            self.devices.permitsSaving if name == "SavePairRecord" else self.devices.permitsReading
        )
        if not mayHave(recordID):
            self._denied(
                name, connection, f"{name} of {printable(recordID)}", "the view has no such phone"
            )
            raise OSError(_REFUSALS[name], f"view {self.name} has no such phone")

    def _denied(self, kind: str, connection: Any, what: str, why: str) -> None:
        self._counters.denials[kind] += 1
        if self._limit.admit("requests denied by views"):
            self._log.info(
                "{what} denied to {client} in view {view}: {why}",
                what=what,
                client=peerText(connection),
                view=self.name,
                why=why,
            )
