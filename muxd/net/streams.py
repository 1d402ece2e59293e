# -*- test-case-name: tests.net.test_streams -*-
"""
Connected sockets, and listening ones, asked for one system call at a time.

What the kernel says comes back as a value: a count, or an error number with a minus
sign in front of it.  An exception means that the caller has made a mistake.

B{Two builds.}  This module is compiled from C{streams.pyx} where there is a compiler,
and is this file everywhere else (L{muxd.build}).  Both do the same, and one set of
tests holds for both.
"""

from __future__ import annotations

import socket
from errno import EAGAIN, EBADF
from operator import index
from struct import Struct

BUILD = "pure"

BLOCKED = -EAGAIN
"""There is nothing to read now, or no room to write; L{muxd.net.polling} says when."""

CLOSED = -EBADF
"""This socket has been closed, by its owner, on this side."""

LONGEST_PATH = 108
"""Bytes of the path of a UNIX socket's file, with a zero behind it."""

# What C{socket.socket} is a class of Python around, whose C{accept} and C{close} take longer
# than those of the kernel.
_Socket = socket.SocketType
_STREAM = int(socket.SOCK_STREAM)

_CREDENTIALS = Struct("3i")
_NAME = Struct("=H2s4s")
_LONG_NAME = Struct("=H2s4s16sI")
_WITHOUT_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


def checkNumbers(*numbers: object) -> None:
    """
    Raise what compiled code raises when it is given something that is no number of 64
    bits, before it looks at any of them more closely.

    @raise TypeError: One is no whole number.
    @raise OverflowError: One has more than 64 bits.
    """
    for number in numbers:
        if not -(1 << 63) <= index(number) < 1 << 63:  # type: ignore[arg-type]
            raise OverflowError("expected a number of 64 bits")


class StreamSocket:
    """
    A connected socket, which never blocks.

    It owns its descriptor: after L{close} nothing can be read from, or written to, the
    file that gets the same number next.

    @ivar fileno: Called for the descriptor, to be watched; it is -1 when this is closed.
    """

    __slots__ = ("_socket", "fileno")

    def __init__(self, descriptor: int) -> None:
        """
        Take over a descriptor.

        @raise OSError: It is not that of a socket; it is still the caller's.
        """
        checkNumbers(descriptor)
        if descriptor < 0:
            raise OSError(EBADF, f"expected the descriptor of a socket, got {descriptor}")
        self._socket = _Socket(fileno=descriptor)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno

    @classmethod
    def _of(cls, connected: socket.SocketType) -> StreamSocket:
        made = cls.__new__(cls)
        connected.setblocking(False)
        made._socket = connected
        made.fileno = connected.fileno
        return made

    def send(self, data: bytes | bytearray | memoryview, start: int = 0) -> int:
        """
        Send from C{data[start:]} what the kernel takes.

        @return: How many bytes; L{BLOCKED}, or another error with a minus sign.
        @raise ValueError: C{start} is not within the data.
        """
        if type(data) is bytes and type(start) is int and not start and data:
            try:
                return self._socket.send(data, _WITHOUT_SIGNAL)
            except OSError as error:
                return -(error.errno or EBADF)
        with memoryview(data).cast("B") as view:
            if start < 0 or start > len(view):
                checkNumbers(start)
                raise ValueError(f"expected a start within {len(view)} bytes, got {start}")
            if start == len(view):
                checkNumbers(start)
                return 0
            try:
                return self._socket.send(view[start:], _WITHOUT_SIGNAL)
            except OSError as error:
                return -(error.errno or EBADF)

    def peerUser(self) -> int:
        """
        The user of the process at the other end when it connected; -1 if the kernel does
        not tell, as it does of UNIX sockets on Linux.
        """
        try:
            data = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except (OSError, AttributeError):
            return -1
        return int(_CREDENTIALS.unpack(data)[1])

    def names(self) -> tuple[bytes, bytes] | None:
        """
        The addresses of the peer and of this end, as the kernel writes them.

        @return: None if this is no connected TCP socket, or its peer has reset it.
        """
        try:
            names = self._socket.getpeername(), self._socket.getsockname()
        except OSError:
            return None
        if self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return _nameOf(*names[0]), _nameOf(*names[1])

    def waiting(self) -> int:
        """
        How many bytes the peer has sent that have not been read; or an error with a
        minus sign.
        """
        from fcntl import ioctl
        from termios import FIONREAD

        descriptor = self._socket.fileno()
        if descriptor < 0:
            return CLOSED
        try:
            return int.from_bytes(ioctl(descriptor, FIONREAD, bytes(4)), "little")
        except OSError as error:
            return -(error.errno or EBADF)

    def shutdown(self) -> int:
        """
        Send nothing more: the peer will read to an end.

        @return: 0, or an error with a minus sign.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            return -(error.errno or EBADF)
        return 0

    def detach(self) -> int:
        """
        Give the descriptor away.

        @return: It, or -1 if it is closed.
        """
        return self._socket.detach()

    def close(self) -> None:
        """
        Close it, if it is not closed.
        """
        try:
            self._socket.close()
        except OSError:  # such as a reset by the peer: it is closed all the same
            pass


def _nameOf(host: str, port: int, flow: int | None = None, scope: int = 0) -> bytes:
    """
    An address of a TCP socket, as Linux writes it.
    """
    if flow is None:
        packed = socket.inet_pton(socket.AF_INET, host)
        return _NAME.pack(socket.AF_INET, port.to_bytes(2, "big"), packed) + bytes(8)
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return _LONG_NAME.pack(
        socket.AF_INET6, port.to_bytes(2, "big"), flow.to_bytes(4, "big"), packed, scope
    )


def openUNIX(path: bytes) -> StreamSocket | None:
    """
    Connect to a UNIX socket.

    @param path: Of its file.
    @return: None if that cannot be done at once.
    @raise ValueError: There can be no such socket.
    """
    if not 0 < len(path) < LONGEST_PATH or b"\0" in path:
        raise ValueError(f"expected a path of 1 to {LONGEST_PATH - 1} bytes, got {path!r}")
    connected = None
    try:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.setblocking(False)
        connected.connect(path)
    except OSError:
        if connected is not None:
            connected.close()
        return None
    return StreamSocket._of(connected)


class Acceptor:
    """
    A listening socket, whose connections are taken one by one.

    @ivar error: Why nothing was taken the last time, an error number: C{EAGAIN} when
        none was waiting; 0 after a success.
    """

    __slots__ = ("_accept", "_family", "_listening", "error")

    def __init__(self, listening: socket.socket) -> None:
        """
        @param listening: It stays the caller's, is asked not to block, and is used as
            long as it is open.
        """
        listening.setblocking(False)
        self._listening = listening
        self._accept = listening._accept  # type: ignore[attr-defined]
        self._family = int(listening.family)
        self.error = 0

    def accept(self) -> StreamSocket | None:
        """
        Take the next connection: it does not block, and no program that is started
        inherits it.

        @return: None if there is none: see C{error}.
        """
        try:
            accept = self._accept
            descriptor, _ = accept()
        except OSError as error:
            self.error = error.errno or EBADF
            return None
        self.error = 0
        return StreamSocket._of(_Socket(self._family, _STREAM, 0, descriptor))
