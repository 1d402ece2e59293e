# -*- test-case-name: tests.net.test_accepting -*-
"""
What becomes of a client that the system cannot accept.

C{accept} fails with one of L{SHORT} before it takes a client out of the queue: what
waits there goes on waiting, and the socket stays readable.  Twisted's
C{twisted.internet.tcp.Port}, of which UNIX, TCP, TLS and adopted ports are
all made, does one of two things then.  With EMFILE it gives up a descriptor that it has
kept back, accepts all who wait and cuts them off; with the others, or when that one is
gone as well, it logs a line and returns to the reactor, which calls it again at once,
for as long as the shortage lasts.

It offers no hook for this but the socket that it accepts from, its attribute C{socket}.
So that socket is stood in for by one whose C{accept} tells a callback, which is
to stop the port's reading, and then says to Twisted that no client waits.  Everything else
is the socket's own, and other errors are Twisted's to handle.  Ports of other kinds,
such as those of Windows' I/O completion ports, have no C{accept} to be observed and are
left as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port

SHORT = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
"""
Descriptors of the process, files of the system, and memory of two kinds.
"""


def watchAccept(port: IListeningPort, failed: Callable[[OSError], object]) -> None:
    """
    Have C{failed} called instead of Twisted's own handling whenever a port cannot let
    a client for want of something.  It stops the port's reading.
    """
    if isinstance(port, Port):
        port.socket = _WatchedSocket(port.socket, failed)


class _WatchedSocket:
    """
    A listening socket, to a port.
    """

    def __init__(self, socket: Any, failed: Callable[[OSError], object]) -> None:
        self._socket = socket
        self._failed = failed

    def accept(self) -> Any:
        """
        Accept a client; "none waits" if that is not possible now.
        """
        try:
            return self._socket.accept()
        except OSError as error:
            if error.errno not in SHORT:
                raise
            self._failed(error)
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
