# -*- test-case-name: tests.client.test_tlssocket -*-
"""
TCP connections that are lost on purpose.

No Twisted in here: blocking programs use it too.
"""

from __future__ import annotations

import socket
from struct import Struct

_AT_ONCE = Struct("ii").pack(1, 0)
"""C{struct linger}: what is closed does not wait until all is sent, and is reset."""


def resetAtEnd(sock: socket.socket) -> None:
    """
    Have a TCP connection be reset when its socket is closed, so that its other end finds it lost.
    That does nothing to sockets of other kinds.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
