# -*- test-case-name: tests.net.test_inherited -*-
"""
UNIX sockets that were made by another process, such as systemd, whose their files are.

Twisted takes such a socket for one of its own.  It gives the file a mode, 666, by which
every user of the machine may connect where a group was meant to; a process that does not own
the file may not change the mode at all.  When it listens no more, it removes the file, and
shuts the socket down, which ends it for the other process as well, though clients could wait
there until this one is started again.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint

from muxd.net.socketwatch import leaveFiles

try:
    from twisted.internet import unix
except ImportError:
    unix = None  # type: ignore[assignment]  # as on Windows

NO_FILE = b"\0"
"""What the names of sockets without a file begin with."""


def leavingFile(reactor: Any, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
    """
    An endpoint of an inherited socket, as one that leaves the socket's file as it is.
    """
    if unix is None or not isinstance(endpoint, AdoptedStreamServerEndpoint):
        return endpoint
    if endpoint.addressFamily != socket.AF_UNIX:
        return endpoint
    return AdoptedStreamServerEndpoint(_Adopter(reactor), endpoint.fileno, socket.AF_UNIX)


class _Adopter:
    """
    What of a reactor an endpoint of an inherited socket needs.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def adoptStreamPort(
        self, descriptor: int, family: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        Listen on a UNIX socket, and do nothing to it or its file.
        """
        port: Any = unix.Port._fromListeningDescriptor(self._reactor, descriptor, factory)
        # As those of inherited TCP sockets have it.
        port._shouldShutdown = False
        path, port._bindPath = port._bindPath, NO_FILE
        try:
            port.startListening()
        finally:
            port._bindPath = path
        leaveFiles(port)
        listening: IListeningPort = port
        return listening
