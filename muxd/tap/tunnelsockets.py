# -*- test-case-name: tests.tap.test_tunnelsockets -*-
"""
C{/connect} of the list of a phone's tunnel: a WebSocket, each of whose binary messages is more of a
stream to a port in the tunnel. C{pymobiledevice3 --tunnel UDID@HOST} reaches a phone by it.

The frames are wsproto's. Messages are not put together, as they mean nothing: what has come of one
is passed on, however long it says it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol
from twisted.internet.protocol import Factory, Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from twisted.web.server import Site
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    TextMessage,
)
from wsproto.events import Request as Asked
from wsproto.utilities import ProtocolError

from muxd.tap.halves import Half, SharedDoors, VisitingHalf
from muxd.wire.text import printable

HOSTS = frozenset({b"127.0.0.1", b"localhost"})
"""What programs of this machine call it."""

PATH = "/connect"
_BEGINNING = b"GET /connect"

BINARY_ALONE, TOO_MANY, NO_TUNNEL, NOT_CONNECTED = 1003, 1013, 4404, 4502
"""Why a WebSocket is closed, in the numbers of C{tunneld}."""

LONGEST_REASON = 120
"""Bytes of a reason; a close frame has room for 123."""


class Refused(Exception):
    """
    A program has no stream.

    @ivar code: Why, as a number.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def isOurs(request: Asked) -> bool:
    """
    Whether a program of this machine asks, and no page that a browser shows.
    """
    names = {bytes(name).lower() for name, _ in request.extra_headers}
    host = request.host.rpartition(":")[0] or request.host
    return host.encode("latin-1", "replace") in HOSTS and b"origin" not in names


def parseTarget(target: str) -> tuple[str, int | None, str | None]:
    """
    The UDID, port and address that a target names.

    @raise ValueError: It is another target.
    """
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    port = query.get("port")
    if parts.path != PATH or "udid" not in query:
        raise ValueError(f"expected {PATH}?udid=UDID, got {printable(target)[:80]}")
    if port is None:
        return query["udid"], None, query.get("address")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(f"expected a port from 1 to 65535, got {printable(port)[:80]}")
    return query["udid"], int(port), query.get("address")


class ListPort(ServerFactory):
    """
    The port of the list: programs that ask for a stream have one, the others the list.

    @ivar tunnels: Whose it is.
    """

    noisy = False

    def __init__(self, tunnels: SharedDoors, site: Site) -> None:
        """
        @param site: For the list.
        """
        self.tunnels = tunnels
        self._site = site

    def doStart(self) -> None:
        """
        Start both.
        """
        super().doStart()
        self._site.doStart()

    def doStop(self) -> None:
        """
        Stop both.
        """
        self._site.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        What hears how a program begins.
        """
        return _Beginning(self, addr)

    def following(self, isSocket: bool, addr: IAddress | None) -> IProtocol | None:
        """
        What a program has to do with that wants a stream, or the list.
        """
        return SocketVisitor(self.tunnels) if isSocket else self._site.buildProtocol(addr)


class _Beginning(Protocol, TimeoutMixin):
    """
    A program that has not said yet what it wants.
    """

    def __init__(self, port: ListPort, address: IAddress | None) -> None:
        self._port = port
        self._address = address
        self._held = b""

    def connectionMade(self) -> None:
        """
        It is not waited for long.
        """
        self.setTimeout(self._port.tunnels.limits.tunnelTimeout)

    def callLater(self, period: float, func: Callable[[], object]) -> IDelayedCall:
        """
        Have the time-out on the reactor that all of it lives on.
        """
        later: IDelayedCall = self._port.tunnels.reactor.callLater(period, func)
        return later

    def dataReceived(self, data: bytes) -> None:
        """
        See how it begins.
        """
        self._held += data
        if len(self._held) < len(_BEGINNING) and _BEGINNING.startswith(self._held):
            return
        self.setTimeout(None)
        held, self._held = self._held, b""
        isSocket = held.startswith(_BEGINNING)
        following: Any = self._port.following(isSocket, self._address)
        transport: Any = self.transport
        transport.protocol = following
        following.makeConnection(transport)
        following.dataReceived(held)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It never said anything.
        """
        self.setTimeout(None)


class SocketVisitor(VisitingHalf):
    """
    A program whose stream is a WebSocket.
    """

    _log = Logger()

    def __init__(self, tunnels: SharedDoors) -> None:
        super().__init__(tunnels)
        self._socket = WSConnection(ConnectionType.SERVER)
        self._isOver = False

    # What comes

    def dataReceived(self, data: bytes) -> None:
        """
        Read frames.
        """
        if not self._isOver:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            if data:
                # Nothing would be the end of the stream.
                self._socket.receive_data(data)
            self._readEvents()
        except (ProtocolError, ValueError) as problem:
            # Its headers are decoded as ASCII, whatever they are.
            why = printable(str(problem))[:200]
            self._log.info("a program's WebSocket: {why}", why=why)
            if self._socket.state is ConnectionState.CONNECTING:
                self.setTimeout(None)
                self._reject(400, f"expected a WebSocket: {why}")
                return
            self._isOver = True
            transport: Any = self.transport
            transport.abortConnection()

    def _readEvents(self) -> None:
        """
        Take what was read, as far as it is of use already.
        """
        if self._connecting is not None:
            # The rest is read when there is a stream.
            return
        for event in self._socket.events():
            match event:
                case Asked():
                    self._asked(event)
                case BytesMessage():
                    super().dataReceived(bytes(event.data))
                case TextMessage():
                    self._close(BINARY_ALONE, "expected binary messages")
                case Ping():
                    self._say(event.response())
                case CloseConnection():
                    self._isOver = True
                    self._say(event.response())
                    transport: Any = self.transport
                    transport.loseConnection()
            if self._isOver or self._connecting is not None:
                return

    def _asked(self, request: Asked) -> None:
        self.setTimeout(None)
        if not isOurs(request):
            self._reject(403, "expected a program of this machine")
            return
        try:
            wanted = parseTarget(request.target)
        except ValueError as problem:
            self._reject(400, str(problem))
            return
        self._say(AcceptConnection())
        if self._tunnels.visitors > self._tunnels.limits.tunnelSessions:
            self._close(TOO_MANY, "too many programs at once")
            return
        transport: Any = self.transport
        transport.pauseProducing()
        connecting = Deferred.fromCoroutine(self._connect(*wanted)).addErrback(self._refused)
        if not connecting.called:
            self._connecting = connecting

    async def _connect(self, udid: str, port: int | None, address: str | None) -> None:
        try:
            tunnel = await self._tunnels.tunnel.get()
        except Exception as problem:
            raise Refused(NO_TUNNEL, str(problem)) from problem
        own = str(tunnel.properties.get("UniqueDeviceID"))
        if udid not in (own, own.replace("-", "")):
            raise Refused(NO_TUNNEL, f"no tunnel exists for udid: {udid}")
        if address not in (None, str(tunnel.parameters.phone)):
            raise Refused(NO_TUNNEL, f"no tunnel has the address {address}")
        wanted = tunnel.parameters.rsdPort if port is None else port
        try:
            far: Any = await tunnel.endpoint(wanted).connect(Factory.forProtocol(Half))
        except Exception as problem:
            raise Refused(NOT_CONNECTED, f"port {wanted}: {problem}") from problem
        self._connecting = None
        self.join(far)
        transport: Any = self.transport
        transport.resumeProducing()
        self._read(b"")

    def _refused(self, reason: Failure) -> None:
        self._connecting = None
        problem = reason.value
        if reason.check(CancelledError) is not None or self._isOver:
            return
        code = problem.code if isinstance(problem, Refused) else NOT_CONNECTED
        self._log.info("a program's WebSocket: {why}", why=printable(str(problem))[:200])
        self._close(code, str(problem))

    # What is said

    def _say(self, event: Event) -> None:
        assert self.transport is not None
        self.transport.write(self._socket.send(event))

    def _reject(self, status: int, why: str) -> None:
        """
        Answer that there is no WebSocket.
        """
        self._isOver = True
        body = f"{why}\n".encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        self._say(RejectConnection(status_code=status, headers=headers, has_body=True))
        self._say(RejectData(data=body))
        transport: Any = self.transport
        transport.loseConnection()

    def _close(self, code: int, why: str = "") -> None:
        """
        Close it, and say why.
        """
        if self._isOver:
            return
        self._isOver = True
        text = printable(why).encode("ascii", "replace")[:LONGEST_REASON].decode("ascii")
        self._say(CloseConnection(code, text or None))
        transport: Any = self.transport
        transport.loseConnection()

    def deliver(self, data: bytes) -> None:
        """
        Say what came from the phone.
        """
        if not self._isOver:
            self._say(BytesMessage(bytes(data)))

    def finish(self) -> None:
        """
        The phone has said everything, and no WebSocket has an end of one direction.
        """
        self._close(1000)

    end = finish

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        One less.
        """
        self._isOver = True
        super().connectionLost(reason)
