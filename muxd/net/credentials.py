# -*- test-case-name: tests.net.test_credentials -*-
"""
The process at the other end of a socket.

The kernel tells it of UNIX sockets (C{SO_PEERCRED}, Linux): the process that connected,
and its user at that time.  The process may be another one by now, or gone.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from errno import ENOPROTOOPT, EOPNOTSUPP
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from muxd.wire.text import printable

_CREDENTIALS = struct.Struct("3i")
_LONGEST_NAME = 64
_GROUP_SIZE = 4
_MOST_GROUPS = 65536

_NO_SUCH_OPTION = (ENOPROTOOPT, EOPNOTSUPP)

SO_PEERGROUPS = 59
SO_PEERPIDFD = 77
"""Linux's, which the module C{socket} does not name."""


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


UNKNOWN = "unknown"
"""The owner of what nothing is known of."""


def peerOfDescriptor(descriptor: int) -> Peer | None:
    """
    The process at the other end of a socket that is known by its descriptor.

    @return: C{None} if the kernel does not tell.
    """
    try:
        borrowed = socket.socket(fileno=descriptor)
    except (OSError, ValueError):
        return None
    try:
        return peerOf(borrowed)
    finally:
        borrowed.detach()


def addressOfDescriptor(descriptor: int) -> str:
    """
    The address at the other end of a TCP socket that is known by its descriptor; "" if it
    has none.
    """
    try:
        borrowed = socket.socket(fileno=descriptor)
    except (OSError, ValueError):
        return ""
    try:
        if borrowed.family not in (socket.AF_INET, socket.AF_INET6):
            return ""
        host, port = borrowed.getpeername()[:2]
    except OSError:
        return ""
    finally:
        borrowed.detach()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
    return UNKNOWN if host is None else machineOf(str(host))


def ownerOfSocket(descriptor: int, family: int) -> Hashable:
    """
    The same of a connected socket of which there is only a number.
    """
    try:
        connected = socket.socket(family, socket.SOCK_STREAM, 0, descriptor)
    except (OSError, ValueError):
        return UNKNOWN
    try:
        if family != socket.AF_UNIX:
            return machineOf(connected.getpeername()[0])
        data = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(data)[1])
    except (OSError, AttributeError):
        return UNKNOWN
    finally:
        # It is not ours to close.
        connected.detach()


def machineOf(host: str) -> str:
    """
    What the addresses of one machine have in common, as far as that can be told: one has
    all of a network of IPv6.
    """
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_link_local or address.is_loopback:
        return host
    return str(IPv6Network((address.packed[:8] + bytes(8), 64)))


def nameOf(transport: object) -> Hashable | None:
    """
    The name in the certificate that the other end of a TLS transport has shown, when it has: one
    that this side has checked, as others are not asked for.
    """
    getPeerCertificate = getattr(transport, "getPeerCertificate", None)
    certificate = None if getPeerCertificate is None else getPeerCertificate()
    if certificate is None:
        return None
    subject = certificate.get_subject()
    return printable(f"CN={subject.commonName}"[:_LONGEST_NAME])


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


class Evidence:
    """
    What is known of the program at the other end of a connection, found out as it is asked
    for, and anew each time: a process may run another program by now.
    """

    def __init__(self, connection: Any) -> None:
        """
        @param connection: A transport, or whatever has a C{socket}.
        """
        self._connection = connection
        self._socket = getattr(connection, "socket", None)
        self._peer = peerOf(self._socket)

    @property
    def uid(self) -> int:
        """
        Its user; -1 if that is not known.
        """
        return -1 if self._peer is None else self._peer.uid

    @property
    def gids(self) -> frozenset[int]:
        """
        Its groups, also the supplementary ones; none if they are not known.
        """
        if self._peer is None:
            return frozenset()
        return frozenset((self._peer.gid, *supplementaryGroups(self._socket)))

    @property
    def program(self) -> str:
        """
        The path of its program; empty if that is not known, as another user's is to a
        daemon that is not root.
        """
        return "" if self._peer is None else executableOf(self._socket, self._peer.pid)

    @property
    def certificates(self) -> frozenset[str]:
        """
        The names in the certificate that it has shown, which the connection has verified;
        none without TLS.
        """
        return certificateNames(self._connection)


def supplementaryGroups(sock: Any) -> tuple[int, ...]:
    """
    The supplementary groups of the process that has connected (C{SO_PEERGROUPS}).

    @return: none if the kernel does not tell.
    """
    if not sys.platform.startswith("linux"):
        return ()
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 1024)
    except OSError:
        try:
            # They are more than that.
            data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUP_SIZE * _MOST_GROUPS)
        except (OSError, ValueError):
            return ()
    return struct.unpack(f"{len(data) // _GROUP_SIZE}I", data)


def executableOf(sock: Any, pid: int) -> str:
    """
    The path of the program that the process at the other end runs now.

    @param pid: Its number, which another process may have by now: where the kernel can
        (C{SO_PEERPIDFD}, Linux 6.5), it is asked whether this one is alive.
    @return: empty if it cannot be told.
    """
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
    return "" if _hasEnded(sock) else program


def _hasEnded(sock: Any) -> bool:
    """
    Whether the process at the other end is known to have ended.
    """
    try:
        descriptor = sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError as error:
        # It has ended, or this kernel cannot tell.
        return error.errno not in _NO_SUCH_OPTION
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    finally:
        os.close(descriptor)


def certificateNames(connection: Any) -> frozenset[str]:
    """
    The names in the certificate of a peer: its common name, and its names of the domain
    name system.

    @param connection: A transport; none but those with TLS have any.
    """
    getCertificate = getattr(connection, "getPeerCertificate", None)
    certificate = None if getCertificate is None else getCertificate()
    return frozenset() if certificate is None else namesIn(certificate)


def namesIn(certificate: Any) -> frozenset[str]:
    """
    The names in a certificate of pyOpenSSL: its common name, and its names of the domain name
    system.
    """
    from cryptography.x509 import DNSName, ExtensionNotFound, NameOID, SubjectAlternativeName

    parsed = certificate.to_cryptography()
    names = {str(each.value) for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        others = parsed.extensions.get_extension_for_class(SubjectAlternativeName)
    except (ExtensionNotFound, ValueError):
        return frozenset(names)
    return frozenset((*names, *others.value.get_values_for_type(DNSName)))
