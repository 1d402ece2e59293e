# -*- test-case-name: tests.client.test_socketio,tests.client.test_opening -*-
"""
A blocking socket to a daemon: whole messages, exact reads, one deadline.

Nothing here reads a byte past the message it returns: what follows the Result
of a Connect is the phone's (protocol 9, edge 78).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from muxd.client.address import Address, TCPAddress, UnixAddress
from muxd.client.socketerrors import DaemonLost, DaemonNonsense, NoDaemon, TimedOut
from muxd.limits import LIMITS, Limits
from muxd.net.nodelay import sendAtOnce
from muxd.wire.messages import HEADER, Message

Clock = Callable[[], float]
Sleep = Callable[[float], None]

LONGEST = 1e6
"""Seconds beyond which a time-out is none: C{socket} takes only so much."""

BACKLOG_PAUSE = 0.01
"""Seconds between two attempts when a daemon is too busy to accept."""


class Deadline:
    """
    The moment at which an operation has taken too long, however many system
    calls it is made of.

    @ivar seconds: How long it was given, for the error's text; None is for ever.
    """

    def __init__(self, seconds: float | None, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = None if seconds is None or seconds > LONGEST else clock() + seconds

    def remaining(self, stage: str) -> float | None:
        """
        Seconds that are left, never 0; None when there is no limit.

        @raise TimedOut: None are left.
        """
        if self._end is None:
            return None
        left = self._end - self._clock()
        if left <= 0:
            raise self.error(stage)
        return left

    def error(self, stage: str) -> TimedOut:
        """
        What to raise when a system call took all that was left.
        """
        return TimedOut(self.seconds or 0.0, stage)

    def atMost(self, seconds: float) -> float:
        """
        How long to do something that should take so many seconds.
        """
        if self._end is None:
            return seconds
        return max(0.0, min(seconds, self._end - self._clock()))

    @property
    def expired(self) -> bool:
        """
        Whether it has passed.
        """
        return self._end is not None and self._clock() >= self._end

    def extend(self, seconds: float) -> None:
        """
        Do not count that time: it was spent on something with its own limit.
        """
        if self._end is not None:
            self._end += seconds

    def within(self, seconds: float) -> Deadline:
        """
        A deadline so many seconds from now, or this one if it comes first.
        """
        other = Deadline(seconds, self._clock)
        if self._end is None or (other._end or 0.0) < self._end:
            return other
        return self


class DaemonConnection:
    """
    One connection to a daemon while it still speaks in messages.

    @ivar where: The daemon's address as a person would write it.
    """

    def __init__(self, sock: socket.socket, where: str, limits: Limits = LIMITS) -> None:
        self.where = where
        self._socket = sock
        self._limits = limits

    def __enter__(self) -> DaemonConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Close the socket, unless it was L{released<release>}.
        """
        self._socket.close()

    def release(self) -> socket.socket:
        """
        Give the socket away: blocking, and no byte behind the last message read.
        """
        held = self._socket
        held.settimeout(None)
        # The object we keep is left without a file descriptor, so that our
        # close() cannot take the socket away again.
        released = socket.socket(held.family, held.type, held.proto, held.detach())
        return released

    def send(self, message: Message, deadline: Deadline, name: str) -> None:
        """
        Write a whole message.

        @param name: What to call it in an error.
        """
        stage = f"sending {name} to {self.where}"
        self._socket.settimeout(deadline.remaining(stage))
        try:
            # The time-out of sendall is for all of it, not for each send.
            self._socket.sendall(message.encode())
        except TimeoutError:
            raise deadline.error(stage) from None
        except OSError as error:
            raise DaemonLost(self.where, f"it to take {name}") from error

    def receive(self, deadline: Deadline, awaited: str) -> Message:
        """
        Read one message, and not a byte more.

        @param awaited: What to call it in an error.
        @raise DaemonNonsense: Its length cannot be right.
        @raise DaemonLost: The connection ended first.
        """
        header = self._read(HEADER.size, deadline, awaited)
        # A listener may wait for ever for an event, but not for the rest of it.
        rest = deadline.within(self._limits.messageTimeout)
        header += self._exactly(HEADER.size - len(header), rest, awaited)
        length, version, kind, tag = HEADER.unpack(header)
        if not HEADER.size <= length <= self._limits.replySize:
            raise DaemonNonsense(
                self.where,
                awaited,
                f"a message of {length} bytes, expected {HEADER.size} to {self._limits.replySize}",
            )
        body = self._exactly(length - HEADER.size, rest, awaited)
        return Message(version, kind, tag, body)

    def _exactly(self, count: int, deadline: Deadline, awaited: str) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += self._read(min(count - len(data), 65536), deadline, awaited)
        return bytes(data)

    def _read(self, atMost: int, deadline: Deadline, awaited: str) -> bytes:
        """
        One C{recv} that is not empty.
        """
        stage = f"waiting for {awaited} from {self.where}"
        self._socket.settimeout(deadline.remaining(stage))
        try:
            data = self._socket.recv(atMost)
        except TimeoutError:
            raise deadline.error(stage) from None
        except OSError as error:
            raise DaemonLost(self.where, awaited) from error
        if not data:
            raise DaemonLost(self.where, awaited)
        return data


def openSocket(address: Address, deadline: Deadline, sleep: Sleep = time.sleep) -> socket.socket:
    """
    Connect to a daemon.

    @raise NoDaemon: Nobody is there, or we are not allowed to.
    """
    stage = f"connecting to the daemon at {address}"
    try:
        if isinstance(address, UnixAddress):
            return _openUnix(address, deadline, stage, sleep)
        return _openTCP(address, deadline, stage)
    except TimedOut:
        raise
    except TimeoutError:
        raise deadline.error(stage) from None
    except OSError as error:
        raise NoDaemon(str(address), _reason(error)) from error


def _openUnix(address: UnixAddress, deadline: Deadline, stage: str, sleep: Sleep) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("there are no UNIX sockets here, give a host:port")
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            return _connected(sock, address.path, deadline, stage)
        except BlockingIOError:
            # The daemon's backlog is full.  Linux says so at once instead of
            # waiting, and nothing tells when there is room again.
            sleep(deadline.atMost(BACKLOG_PAUSE))


def _openTCP(address: TCPAddress, deadline: Deadline, stage: str) -> socket.socket:
    refusal: OSError | None = None
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, destination in found:
        try:
            sock = socket.socket(family, kind, protocol)
            sock = _connected(sock, destination, deadline, stage)
        except TimeoutError:
            raise
        except OSError as error:
            refusal = refusal or error
        else:
            sendAtOnce(sock)
            return sock
    raise refusal or OSError("the name has no address")


def _connected(
    sock: socket.socket, destination: Any, deadline: Deadline, stage: str
) -> socket.socket:
    try:
        sock.settimeout(deadline.remaining(stage))
        sock.connect(destination)
    except BaseException:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    if isinstance(error, PermissionError):
        return f"{text}; you need the right to read and write this socket"
    return text
