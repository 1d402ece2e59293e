# -*- test-case-name: tests.net.test_credentials -*-
"""
The process at the other end of a socket.

The kernel tells it of UNIX sockets (C{SO_PEERCRED}, Linux): the process that connected,
and its user at that time.  The process may be another one by now, or gone.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from muxd.wire.text import printable

_CREDENTIALS = struct.Struct("3i")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Peer:
    """
    A process that has connected.

    @ivar pid: Its number; 0 if it is in another namespace.
    @ivar uid: Its user.
    @ivar gid: Its group.
    """

    pid: int
    uid: int
    gid: int

    @property
    def program(self) -> str:
        """
        What it calls itself, in characters that can be printed; empty if it has gone.
        """
        try:
            with open(f"/proc/{self.pid}/comm", "rb") as file:
                name = file.read(_LONGEST_NAME)
        except OSError:
            return ""
        return printable(name.decode("utf-8", "replace").rstrip("\n"))

    def __str__(self) -> str:
        """
        For a log.
        """
        name = f" ({program})" if (program := self.program) else ""
        return f"pid {self.pid}{name}, uid {self.uid}"


def peerOf(sock: Any) -> Peer | None:
    """
    The process at the other end of a socket.

    @param sock: A C{socket.socket}, or whatever has its C{getsockopt}.
    @return: C{None} if the kernel does not tell.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or getattr(sock, "family", None) != socket.AF_UNIX:
        return None
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    except OSError:
        return None
    return Peer(*_CREDENTIALS.unpack(data))


def ownerOf(transport: object) -> Hashable:
    """
    Whose the other end of a transport is, to be compared with others: the user's number on
    this machine, or the address of another one; "unknown" if neither is known.
    """
    peer = peerOf(getattr(transport, "socket", None))
    if peer is not None:
        return peer.uid
    getPeer: Callable[[], object] | None = getattr(transport, "getPeer", None)
    host = None if getPeer is None else getattr(getPeer(), "host", None)
    return "unknown" if host is None else str(host)


def peerText(transport: Any) -> str:
    """
    The other end of a transport, for a log: a process, or an address.
    """
    peer = peerOf(getattr(transport, "socket", None))
    if peer is not None:
        return str(peer)
    address = transport.getPeer()
    host = getattr(address, "host", None)
    return f"{host}:{address.port}" if host is not None else "a client"
