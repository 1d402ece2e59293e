# -*- test-case-name: tests.net.test_peers -*-
"""
Whether a socket's other end is still held by a program.

An end of file does not tell: a program that has closed its socket and one that has only
finished sending look the same to a reader.  Linux knows better where the other end is on
the same machine:

  - A UNIX socket is hung up (C{POLLHUP}) once its peer is closed, and not before.

  - A TCP socket that was only shut down still has an inode, which is that of the program's
    descriptor; one that was closed lives on in FIN_WAIT2, without one.  The kernel tells of
    a single socket by its addresses (C{sock_diag(7)}), to any user, in some microseconds,
    whatever the number of sockets.

The kernel tells of the network namespace that asks.  A peer in another one, or on another
machine, is not found, and there it is not known.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from errno import ENOENT
from typing import Any

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
INET_DIAG_SHUTDOWN = 8
TCP_LISTEN = 10
SHUTDOWN_BOTH = 3

_HEADER = struct.Struct("=IHHII")
"""Of each netlink message: length, type, flags, sequence number, sender."""
_REQUEST = struct.Struct("=BBBBI")
"""Family, protocol, what else to tell, padding, states."""
_PORTS = struct.Struct("!HH")
_QUESTION = _HEADER.size + _REQUEST.size + 4 + 32 + 4 + 8
"""Bytes of a question: addresses and ports of both ends, a scope, a cookie."""
_TCP = int(socket.IPPROTO_TCP)
_INET, _INET6 = int(socket.AF_INET), int(socket.AF_INET6)
_ANSWER = struct.Struct("=BBBB")
"""Family, state, timer, retransmissions; then the addresses, as they were asked for."""
_ADDRESSES = 48
_NUMBERS = struct.Struct("=IIIII")
"""Expiry, read queue, write queue, user, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_ANY_COOKIE = b"\xff" * 8

BATCH = 32
"""Questions at a time: as many answers fit into a netlink socket's default buffer."""

_MAPPED = "::ffff:"
_WRITTEN_MAPPED = bytes(10) + b"\xff\xff"


class Presence(Enum):
    """
    What is known of a socket's other end.

    @cvar GONE: It has been closed: nothing that is sent will be read.
    @cvar HELD: A program holds it, and may read.
    @cvar UNKNOWN: The kernel cannot tell.
    """

    GONE = "gone"
    HELD = "held"
    UNKNOWN = "unknown"


_FINISHED = getattr(select, "POLLRDHUP", 0)


def presenceOf(descriptor: int) -> Presence:
    """
    What is known of the other end of a connected socket, now.

    One that has not finished sending counts as L{Presence.HELD}.

    @param descriptor: Of the socket; of anything else nothing is known.
    """
    if not sys.platform.startswith("linux") or descriptor < 0:
        return Presence.UNKNOWN
    poll = select.poll()
    poll.register(descriptor, _FINISHED)
    events = sum(event for _, event in poll.poll(0))
    if events & (select.POLLHUP | select.POLLNVAL):
        return Presence.GONE
    try:
        ours = socket.socket(fileno=descriptor)
    except OSError:
        return Presence.UNKNOWN
    try:
        if not events & _FINISHED or ours.family == socket.AF_UNIX:
            return Presence.HELD
        question = tcpQuestion(ours)
    finally:
        # It is not ours to close.
        ours.detach()
    if question is None:
        return Presence.UNKNOWN
    return next(iter(tcpPresences([question])), Presence.UNKNOWN)


def tcpQuestion(connected: socket.socket) -> bytes | None:
    """
    What to ask the kernel about the other end of a TCP socket, as long as it is connected;
    None if it is no connected TCP socket.
    """
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        family, theirHost, theirPort, scope = _place(connected.getpeername())
        _, ourHost, ourPort, _ = _place(connected.getsockname())
        hosts = _packed(family, theirHost) + _packed(family, ourHost)
    except (OSError, ValueError):
        return None
    ports = _PORTS.pack(theirPort, ourPort)
    return _question(family, ports, hosts, scope.to_bytes(4, sys.byteorder))


def tcpQuestionOf(peer: bytes, own: bytes) -> bytes:
    """
    The same, of a socket with these addresses.

    @param peer: The other end's, as the kernel writes it (L{StreamSocket.names}).
    @param own: And this end's.
    """
    family, theirs = _written(peer)
    _, ours = _written(own)
    scope = peer[24:28] if len(peer) >= 28 else bytes(4)
    return _question(family, peer[2:4] + own[2:4], theirs + ours, scope)


def _question(family: int, ports: bytes, hosts: bytes, scope: bytes) -> bytes:
    """
    A question, of what is said of the other end and then of this one.
    """
    return b"".join(
        (
            _HEADER.pack(_QUESTION, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0),
            _REQUEST.pack(family, _TCP, 0, 0, 0xFFFFFFFF),
            ports,
            hosts,
            scope,
            _ANY_COOKIE,
        )
    )


def nameText(name: bytes) -> str:
    """
    An address, which is written as the kernel does it, as one would type it.
    """
    port = int.from_bytes(name[2:4], "big")
    if len(name) < 28:
        return f"{socket.inet_ntop(socket.AF_INET, name[4:8])}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, name[8:24])}]:{port}"


def tcpPresences(questions: Sequence[bytes]) -> list[Presence]:
    """
    Ask the kernel about the other ends of TCP sockets that have finished sending.

    @param questions: By L{tcpQuestion}.
    @return: the answers, in their order; L{Presence.UNKNOWN} for those that this network
        namespace does not have.  They are fewer than the questions, or none, if the kernel
        answers no more.
    """
    found: list[Presence] = []
    try:
        # It answers before send() returns, or not at all.
        with _kernel() as kernel:
            for first in range(0, len(questions), BATCH):
                batch = questions[first : first + BATCH]
                kernel.send(b"".join(batch))
                for asked in batch:
                    found.append(_presence(kernel.recv(4096), asked))
    except (OSError, AttributeError, struct.error):
        pass
    return found


class PeerInquiry:
    """
    Asks the kernel about one other end at a time, again and again: L{tcpPresences} without a
    socket of its own for each question.
    """

    def __init__(self) -> None:
        self._kernel: socket.socket | None = None

    def presence(self, question: bytes) -> Presence:
        """
        What is known of the other end of a TCP socket that has finished sending.

        @param question: By L{tcpQuestion}.
        """
        try:
            kernel = self._kernel
            if kernel is None:
                kernel = self._kernel = _kernel()
            kernel.send(question)
            return _presence(kernel.recv(4096), question)
        except (OSError, AttributeError, struct.error):
            # What may still come is no answer to the next question.
            self.close()
            return Presence.UNKNOWN

    def close(self) -> None:
        """
        Have done, until something is asked again.
        """
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.close()


def _kernel() -> socket.socket:
    """
    A socket that the kernel answers at.
    """
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    return socket.socket(socket.AF_NETLINK, kind, NETLINK_SOCK_DIAG)


def _place(address: Any) -> tuple[int, str, int, int]:
    """
    Family, host, port and scope of an address.  IPv4 in IPv6's clothes is IPv4, which is
    where the kernel looks for both.
    """
    host, port = address[0], address[1]
    scope = address[3] if len(address) > 3 else 0
    if host.startswith(_MAPPED) and "." in host:
        host = host.removeprefix(_MAPPED)
    host = host.partition("%")[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, host, port, scope


def _written(name: bytes) -> tuple[int, bytes]:
    """
    Family and host of an address that is written as the kernel does it, as L{_place} and
    L{_packed} have it.
    """
    if len(name) < 28:
        return _INET, name[4:8] + bytes(12)
    host = name[8:24]
    if host.startswith(_WRITTEN_MAPPED):
        return _INET, host[12:] + bytes(12)
    return _INET6, host


def _packed(family: int, host: str) -> bytes:
    return socket.inet_pton(family, host).ljust(16, b"\0")


def _presence(answer: bytes, asked: bytes) -> Presence:
    """
    Understand an answer.

    @raise OSError: The kernel does not know such questions.
    """
    length, kind, _, _, _ = _HEADER.unpack_from(answer)
    offset = _HEADER.size
    if kind == NLMSG_ERROR:
        number = -_ERROR.unpack_from(answer, offset)[0]
        if number == ENOENT:
            return Presence.UNKNOWN
        raise OSError(number, "sock_diag")
    _, state, _, _ = _ANSWER.unpack_from(answer, offset)
    offset += _ANSWER.size
    ports = asked[_HEADER.size + _REQUEST.size :][: _PORTS.size]
    if state == TCP_LISTEN or answer[offset : offset + _PORTS.size] != ports:
        # The connection is not there, but a socket that listens where it was.
        return Presence.UNKNOWN
    offset += _ADDRESSES
    inode = _NUMBERS.unpack_from(answer, offset)[4]
    offset += _NUMBERS.size
    if not inode:
        return Presence.GONE
    for name, value in _attributes(answer[offset:length]):
        if name == INET_DIAG_SHUTDOWN and value and value[0] == SHUTDOWN_BOTH:
            # Nothing can be read from it any more, though it has not been closed.
            return Presence.GONE
    return Presence.HELD


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, name = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield name, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
