# -*- test-case-name: tests.client.test_socketio,tests.client.test_opening -*-
"""
A blocking socket to a daemon, and one deadline for all that is done with it.

While it speaks in messages, no byte is read past the message that is awaited: what
follows the Result of a Connect is the phone's (protocol 9, edge 78).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from muxd.client import socketerrors
from muxd.client.address import Address, TLSAddress, UnixAddress, UnusableFiles
from muxd.client.answers import Answer, DeviceTable, Event
from muxd.client.exchange import EventStream, Exchange
from muxd.client.problems import CERTIFY, START, Stage
from muxd.client.requests import Dialect, Request
from muxd.client.socketerrors import NoDaemon, TimedOut
from muxd.limits import LIMITS, Limits
from muxd.net.nodelay import sendAtOnce
from muxd.net.resetting import resetAtEnd
from muxd.net.tlsreasons import tlsReason

Clock = Callable[[], float]
Sleep = Callable[[float], None]

LONGEST = 1e6
"""Seconds beyond which a time-out is none: C{socket} takes no more."""

CHUNK = 65536
"""Bytes to read at once."""

BACKLOG_PAUSE = 0.01
"""Seconds between two attempts when a daemon is too busy to accept."""


class Deadline:
    """
    The moment at which an operation has taken too long, however many system
    calls it is made of.

    @ivar seconds: How long it was given, for the error's text; None is no limit.
    """

    def __init__(self, seconds: float | None, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = None if seconds is None or seconds > LONGEST else clock() + seconds

    def remaining(self, stage: Stage, subject: str) -> float | None:
        """
        Seconds that are left, never 0; None when there is no limit.

        @param stage: What is being done, for the error's text.
        @param subject: With or about what.
        @raise TimedOut: None are left.
        """
        if self._end is None:
            return None
        left = self._end - self._clock()
        if left <= 0:
            raise self.error(stage, subject)
        return left

    def error(self, stage: Stage, subject: str) -> TimedOut:
        """
        What to raise when a system call took all that was left.
        """
        return TimedOut(stage, self.seconds or 0.0, subject)

    def atMost(self, seconds: float) -> float:
        """
        How long to do something that should take this many seconds.
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

    def within(self, seconds: float) -> Self:
        """
        A deadline this many seconds from now, or the present one if it comes first.
        """
        other = type(self)(seconds, self._clock)
        if self._end is None or (other._end or 0.0) < self._end:
            return other
        return self


D = TypeVar("D", bound=Deadline)


class MessagePatience:
    """
    How long to wait for bytes: as long as there is time, which may be without limit,
    but not for the rest of a message that has begun.
    """

    def __init__(self, incoming: Exchange | EventStream, limits: Limits) -> None:
        self._incoming = incoming
        self._limits = limits
        self._within: Any = None
        self._messages = -1

    def of(self, deadline: D) -> D:
        """
        The deadline to read with.
        """
        if not self._incoming.withinMessage:
            self._within = None
            return deadline
        if self._within is None or self._messages != self._incoming.messages:
            self._messages = self._incoming.messages
            self._within = deadline.within(self._limits.messageTimeout)
        within: D = self._within
        return within


def whyEnded(sock: socket.socket) -> str:
    """
    Why a daemon's connection has ended, as far as that is known: with TLS it may be.
    """
    reason: str = getattr(sock, "trouble", "")
    return reason


def abort(sock: socket.socket) -> None:
    """
    Close a socket, and have the other end find that the connection is lost, which a UNIX socket
    cannot tell.
    """
    if hasattr(sock, "isAborted"):
        sock.isAborted = True
    else:
        resetAtEnd(sock)
    sock.close()


class Talk:
    """
    One connection to a daemon while it still speaks in messages, whatever waits for its bytes.

    @ivar where: The daemon's address as a person would write it.
    """

    def __init__(
        self, sock: socket.socket, where: str, program: str, limits: Limits = LIMITS
    ) -> None:
        """
        @param program: The name of the program that asks, for the daemon.
        """
        self.where = where
        self._socket = sock
        self._limits = limits
        self._exchange = Exchange(where, socketerrors, program, limits)
        self._events = EventStream(where, socketerrors, limits)

    def close(self) -> None:
        """
        Close the socket, unless it was given away.
        """
        self._exchange.close()
        self._socket.close()

    def listen(self, devices: DeviceTable) -> None:
        """
        From here on it is a feed of events.

        @param devices: What the listener knows already, and adds to.
        """
        self._events = EventStream(self.where, socketerrors, self._limits, devices)
        self._events.feed(self._exchange.takeRest())


class DaemonConnection(Talk):
    """
    One connection to a daemon, for a program that blocks.
    """

    def __enter__(self) -> DaemonConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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

    def ask(self, request: Request, dialect: Dialect, deadline: Deadline) -> Answer:
        """
        Make a request and read its answer, and not a byte more.

        @raise DaemonRefused: And others, as L{Exchange.receive}.
        @raise DaemonLost: The connection ended first.
        """
        subject = f"{request.name}, usbmuxd at {self.where}"
        exchange = self._exchange
        self._send(exchange.ask(request, dialect), deadline, request.stage, subject)
        patience = MessagePatience(exchange, self._limits)
        while True:
            within = patience.of(deadline)
            data = self._read(min(exchange.wanted, CHUNK), within, request.stage, subject)
            if not data:
                raise exchange.lost(whyEnded(self._socket))
            answer = exchange.receive(data)
            if answer is not None:
                return answer

    def nextEvent(self, deadline: Deadline) -> Event:
        """
        Wait for the next event.

        @raise TimedOut: There was none.
        @raise DaemonLost: The connection has ended.
        """
        events = self._events
        patience = MessagePatience(events, self._limits)
        while (event := events.next()) is None:
            within = patience.of(deadline)
            data = self._read(CHUNK, within, Stage.EVENT, f"usbmuxd at {self.where}")
            if not data:
                raise events.lost(whyEnded(self._socket))
            events.feed(data)
        return event

    def _send(self, data: bytes, deadline: Deadline, stage: Stage, subject: str) -> None:
        self._socket.settimeout(deadline.remaining(stage, subject))
        try:
            # The time-out of sendall is for all of it, not for each send.
            self._socket.sendall(data)
        except OSError as error:
            if tookAllTime(error):
                raise deadline.error(stage, subject) from None
            raise self._exchange.lost(whyEnded(self._socket)) from error

    def _read(self, atMost: int, deadline: Deadline, stage: Stage, subject: str) -> bytes:
        """
        One C{recv}; a connection that is reset has ended.
        """
        self._socket.settimeout(deadline.remaining(stage, subject))
        try:
            return self._socket.recv(atMost)
        except OSError as error:
            if tookAllTime(error):
                raise deadline.error(stage, subject) from None
            return b""


def openSocket(address: Address, deadline: Deadline, sleep: Sleep = time.sleep) -> socket.socket:
    """
    Connect to a daemon.

    @raise NoDaemon: Nothing listens there, or we are not allowed to connect.
    """
    subject = f"usbmuxd at {address}"
    try:
        if isinstance(address, UnixAddress):
            return _openUnix(address, deadline, subject, sleep)
        if isinstance(address, TLSAddress):
            return _openTLS(address, deadline, subject)
        return _openTCP(address.host, address.port, deadline, subject)
    except TimedOut:
        raise
    except OSError as error:
        if tookAllTime(error):
            raise deadline.error(Stage.REACH, subject) from None
        raise NoDaemon(str(address), unreachable(error), remedyFor(error)) from error


def _openUnix(
    address: UnixAddress, deadline: Deadline, subject: str, sleep: Sleep
) -> socket.socket:
    while True:
        sock = unixSocket()
        try:
            return _connected(sock, address.path, deadline, subject)
        except BlockingIOError:
            # The daemon's backlog is full.  Linux says so at once instead of
            # waiting, and nothing tells when there is room again.
            sleep(deadline.atMost(BACKLOG_PAUSE))


def _openTLS(address: TLSAddress, deadline: Deadline, subject: str) -> socket.socket:
    from muxd.client.tlssocket import secured

    target = address.target
    sock = _openTCP(target.host, target.port, deadline, subject)
    try:
        sock.settimeout(deadline.remaining(Stage.REACH, subject))
        return secured(sock, target)
    except BaseException:
        sock.close()
        raise


def _openTCP(host: str, port: int, deadline: Deadline, subject: str) -> socket.socket:
    refusal: OSError | None = None
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, destination in found:
        try:
            sock = socket.socket(family, kind, protocol)
            sock = _connected(sock, destination, deadline, subject)
        except OSError as error:
            if isinstance(error, TimedOut) or tookAllTime(error):
                raise
            refusal = refusal or error
        else:
            sendAtOnce(sock)
            return sock
    raise refusal or OSError("the name has no address")


def _connected(
    sock: socket.socket, destination: Any, deadline: Deadline, subject: str
) -> socket.socket:
    try:
        sock.settimeout(deadline.remaining(Stage.REACH, subject))
        sock.connect(destination)
    except BaseException:
        sock.close()
        raise
    return sock


def unixSocket() -> socket.socket:
    """
    A UNIX socket.

    @raise OSError: There are none on this system.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("there are no UNIX sockets here, give a host:port")
    return socket.socket(socket.AF_UNIX)


def tookAllTime(error: OSError) -> bool:
    """
    Whether a system call has taken all the time that its socket was given; the system's
    own patience, which ends in C{ETIMEDOUT}, is another matter.
    """
    return isinstance(error, TimeoutError) and error.errno is None


def remedyFor(error: OSError) -> str:
    """
    What to do about it, for L{NoDaemon}.
    """
    return CERTIFY if tlsReason(error) or isinstance(error, UnusableFiles) else START


def unreachable(error: OSError) -> str:
    """
    Why a daemon cannot be reached, for L{NoDaemon}.
    """
    text = tlsReason(error) or error.strerror or str(error)
    if isinstance(error, PermissionError):
        return f"{text}; you need the right to read and write this socket"
    return text
