# -*- test-case-name: tests.server.test_view -*-
"""
Views: what the clients of a listening address may see and do.

A view is a value.  It is asked at each use (L{muxd.server.access}), and another one may take
its place while clients are connected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from muxd.identity import NO_PHONES, DeviceIdentity, Selection, udidKey
from muxd.net.credentials import Evidence

COMMANDS = {
    "list": "ListDevices",
    "listen": "Listen",
    "listeners": "ListListeners",
    "connect": "Connect",
    "read-record": "ReadPairRecord",
    "save-record": "SavePairRecord",
    "delete-record": "DeletePairRecord",
    "buid": "ReadBUID",
}
"""What may be asked, in the words of an operator, and in those of the protocol (4.7)."""

ALL_COMMANDS = frozenset(COMMANDS.values())
ALL_PORTS = (range(1 << 16),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """
    The clients that a view is for: those that are one of each kind that is named.

    @ivar uids: The users that they may run as.
    @ivar gids: The groups, of which they are to have one.
    @ivar programs: The paths of their programs.
    @ivar certificates: The names in their certificates, over TLS.
    """

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()
    programs: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.uids or self.gids or self.programs or self.certificates)

    @property
    def isLocal(self) -> bool:
        """
        Whether they are told by what the kernel knows of UNIX sockets alone.
        """
        return bool(self.uids or self.gids or self.programs)

    def admit(self, connection: Any) -> bool:
        """
        Whether the client at the other end is one of them.  What cannot be found out
        excludes it.

        @param connection: A transport, or whatever has a C{socket}.
        """
        evidence = Evidence(connection)
        return (
            (not self.uids or evidence.uid in self.uids)
            and (not self.gids or not self.gids.isdisjoint(evidence.gids))
            and (not self.certificates or not self.certificates.isdisjoint(evidence.certificates))
            # Last, as it is the most work.
            and (not self.programs or evidence.program in self.programs)
        )


ANYBODY = Peers()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    What clients may see and do.  Without arguments: everything.

    @ivar only: The phones that there are; all if it is empty.
    @ivar deny: Phones that there are not, even if C{only} has them.
    @ivar commands: The C{MessageType}s that may be asked.
    @ivar ports: The ports of phones that may be connected to.
    @ivar peers: Which clients; all if it is empty.
    """

    only: Selection = NO_PHONES
    deny: Selection = NO_PHONES
    commands: frozenset[str] = ALL_COMMANDS
    ports: tuple[range, ...] = ALL_PORTS
    peers: Peers = ANYBODY

    @property
    def isEverything(self) -> bool:
        """
        Whether it keeps nothing from any client.
        """
        return self == EVERYTHING

    def shows(self, identity: DeviceIdentity) -> bool:
        """
        Whether there is this phone.
        """
        if self.deny.hasDevice(identity):
            return False
        return not self.only or self.only.hasDevice(identity)

    def names(self, udid: str) -> bool | None:
        """
        Whether there is the phone with this UDID, as far as can be told while it is not
        attached.

        @return: C{None} if it depends on where it is plugged in.
        """
        key = udidKey(udid)
        if key in self.deny.udids:
            return False
        if not self.only or key in self.only.udids:
            return True
        return None if self.only.ports or self.only.hubs or self.only.types else False

    def permitsCommand(self, name: str) -> bool:
        """
        Whether this C{MessageType} may be asked.
        """
        return name in self.commands

    def permitsPort(self, port: int) -> bool:
        """
        Whether this port of a phone may be connected to.
        """
        return any(port in ports for ports in self.ports)


EVERYTHING = View()
"""The view of a listening address of which nothing is said."""
