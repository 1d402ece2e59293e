# -*- test-case-name: tests.phone.usbip.test_server,tests.phone.usbip.test_badinput -*-
"""
USB/IP connections: the server that hosts import devices from, and what is left of
it where this machine's own kernel is the host.

A connection goes through these states::

    REQUEST --DEVLIST--> CLOSING
       |
       +-----IMPORT----> COMMANDS ----> CLOSING

What is not USB/IP ends it, with one line in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.limits import LIMITS, Limits
from muxd.net.connections import Answering, Connections
from muxd.phone.usbip.exports import Export, Exports, IHostConnection
from muxd.phone.usbip.urbs import RemoteController
from muxd.ratelimit import RateLimit
from muxd.usbip.commands import COMMAND_SIZE, decodeHostCommand, hostCommandSize
from muxd.usbip.requests import (
    OP_HEADER,
    DevlistRequest,
    InvalidUsbip,
    Status,
    decodeRequest,
    encodeDevlistReply,
    encodeImportReply,
    requestSize,
)

ENDED = "ended"
"""The kind of trouble that ends a connection."""


class State(Enum):
    """
    See the module's text.
    """

    REQUEST = "waits for a request"
    COMMANDS = "has a device"
    CLOSING = "is being closed"


@implementer(IHostConnection, IHalfCloseableProtocol)
class UsbipConnection(Answering, Protocol):
    """
    One connection of a host.  What waits for a host that does not read is bounded
    by what it has submitted.

    @ivar state: Where it is.
    @ivar host: Whose it is, by address; None if it is a local program's.
    """

    _log = Logger()

    def __init__(
        self,
        factory: UsbipFactory,
        peer: str,
        export: Export | None = None,
        host: str | None = None,
    ) -> None:
        """
        @param peer: The host's address and port, for the log.
        @param export: What it has from the start: then there are no requests.
        @param host: Its address.
        """
        self.host = host
        self.state = State.REQUEST if export is None else State.COMMANDS
        self._server = factory
        self._reactor = factory.reactor
        self._limits = factory.limits
        self._peer = peer
        self._export = export
        self._controller: RemoteController | None = None
        self._timer: IDelayedCall | None = None
        self._buffer = bytearray()

    def connectionMade(self) -> None:
        """
        Wait for the request, or begin.
        """
        self._server.connections.add(self)
        self.beginAnswering()
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpKeepAlive(True)
        if self._export is not None:
            self._begin(self._export)
        else:
            self._timer = self._reactor.callLater(self._limits.usbipRequestTimeout, self._timedOut)

    def dataReceived(self, data: bytes) -> None:
        """
        Take requests and commands apart, and answer together what can be
        answered at once.
        """
        if self.state is State.CLOSING:
            return
        self._buffer += data
        try:
            while (message := self._nextMessage()) is not None:
                if self.state is State.REQUEST:
                    self._requested(message)
                elif self._controller is not None:
                    self._controller.commanded(decodeHostCommand(message))
        except InvalidUsbip as problem:
            self._refuse(str(problem))
        if self._controller is not None:
            self._controller.flush()

    def _nextMessage(self) -> bytes | None:
        """
        The next message if all of it is there.

        @raise InvalidUsbip: There is none.
        """
        if self.state is State.CLOSING:
            return None
        isRequest = self.state is State.REQUEST
        headerSize = OP_HEADER.size if isRequest else COMMAND_SIZE
        if len(self._buffer) < headerSize:
            return None
        header = bytes(self._buffer[:headerSize])
        size = requestSize(header) if isRequest else hostCommandSize(header)
        if size - headerSize > self._limits.usbipTransfer:
            raise InvalidUsbip(
                f"transfer of {size - headerSize} bytes, at most {self._limits.usbipTransfer}"
            )
        if len(self._buffer) < size:
            return None
        message = bytes(self._buffer[:size])
        del self._buffer[:size]
        return message

    def _requested(self, message: bytes) -> None:
        self._stopTimer()
        request = decodeRequest(message)
        exports = self._server.exports
        if isinstance(request, DevlistRequest):
            self._answer(encodeDevlistReply(exports.devices()))
            self._close()
            return
        export = exports.find(request.busID)
        if export is None or export.isTaken:
            status = Status.NO_DEVICE if export is None else Status.BUSY
            self._answer(encodeImportReply(status))
            why = "is not there" if export is None else "is another host's"
            self._refuse(f"device {request.busID!r} {why}")
            return
        self._answer(encodeImportReply(Status.OK, export.describe()))
        self.state = State.COMMANDS
        self._begin(export)

    def _begin(self, export: Export) -> None:
        """
        The host has the device.
        """
        self._export = export
        self._controller = RemoteController(
            self._reactor, export.take(self), self._write, export.counters, self._limits
        )
        self._server.tell("has device", self._peer, export)

    def _answer(self, data: bytes) -> None:
        self._write([data])

    def _write(self, parts: list[bytes]) -> None:
        transport: Any = self.transport
        transport.writeSequence(parts)

    # Ends.

    def makeRoom(self) -> None:
        """
        Go at once: another host wants to ask something, and this one has not asked yet.
        """
        self._complain("it said nothing, and others want to")
        self.state = State.CLOSING
        self._stopTimer()
        self._buffer.clear()
        self.endAnswering()
        transport: Any = self.transport
        transport.abortConnection()

    def disconnect(self, error: int) -> None:
        """
        Take the device away, if there is one.
        """
        export, self._export = self._export, None
        self._endCommands(error)
        if export is not None:
            export.giveBack()
        self._close()

    def readConnectionLost(self) -> None:
        """
        The host has finished sending.  If it has been answered, it still gets the answer;
        a device it has let go of thereby.
        """
        if self.state is not State.CLOSING:
            self._complainOfRest()
            self._giveBack()
            self._close()

    def writeConnectionLost(self) -> None:
        """
        The host takes no more; the loss of the connection follows.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host has let go, or the connection is closed.
        """
        self._server.connections.discard(self)
        self._stopTimer()
        self.endAnswering()
        if self.state is not State.CLOSING:
            self._complainOfRest()
            if not self._buffer and not reason.check(ConnectionDone):
                self._complain(reason.getErrorMessage())
        self.state = State.CLOSING
        self._buffer.clear()
        self._giveBack()

    def _refuse(self, problem: str) -> None:
        """
        This host is not served any further.
        """
        self._complain(problem)
        self._giveBack()
        self._close()

    def _giveBack(self) -> None:
        """
        The host has the device no more.
        """
        export, self._export = self._export, None
        self._endCommands(0)
        if export is not None:
            self._server.tell("has given back device", self._peer, export)
            export.giveBack()
            self._server.givenBack(export)

    def _endCommands(self, error: int) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.close(error)

    def _close(self) -> None:
        """
        Let the host have what was written, but not forever.
        """
        transport: Any = self.transport
        self.state = State.CLOSING
        self._stopTimer()
        self._buffer.clear()
        self.endAnswering()
        self._timer = self._reactor.callLater(self._limits.stopTimeout, self._abort)
        transport.loseConnection()

    def _timedOut(self) -> None:
        self._timer = None
        self._refuse("there is no whole request")

    def _abort(self) -> None:
        self._timer = None
        transport: Any = self.transport
        transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _complainOfRest(self) -> None:
        if self._buffer:
            self._complain(f"it ended within a message, after {len(self._buffer)} bytes of it")

    def _complain(self, problem: str) -> None:
        self._server.complain(self._peer, problem)


class UsbipFactory(Factory):
    """
    Lets hosts in.

    @ivar reactor: Provides C{IReactorTime}.
    @ivar exports: What they may have.
    @ivar limits: What they may not exceed.
    @ivar connections: Those that are open.
    @ivar refusals: How often something was not as it should be.
    @ivar givenBack: Told of a device that a host has given back.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        exports: Exports,
        limits: Limits = LIMITS,
        givenBack: Callable[[Export], object] = lambda export: None,
    ) -> None:
        self.reactor = reactor
        self.exports = exports
        self.limits = limits
        self.givenBack = givenBack
        self.connections = Connections[UsbipConnection]()
        self.refusals = 0
        self._trouble = RateLimit(reactor, self._summarise)

    def buildProtocol(self, addr: IAddress | None) -> UsbipConnection | None:
        """
        A connection; None if there are too many.
        """
        host, port = getattr(addr, "host", None), getattr(addr, "port", None)
        peer = "a local program" if host is None else f"{host} port {port}"
        if len(self.connections) >= self.limits.usbipConnections:
            silent = self._silent()
            if silent is None:
                self.complain(peer, f"there are {len(self.connections)} connections already")
                return None
            silent.makeRoom()
        connection = UsbipConnection(self, peer, host=host)
        connection.factory = self
        return connection

    def _silent(self) -> UsbipConnection | None:
        """
        The connection that has been there longest without having asked anything, of the
        host with the most of them.
        """
        waiting = [each for each in self.connections if each.state is State.REQUEST]
        byHost = Counter(each.host for each in waiting)
        return max(waiting, key=lambda each: byHost[each.host], default=None)

    def tell(self, what: str, peer: str, export: Export) -> None:
        """
        Tell of what a host does with a device; often, and it is counted.
        """
        if self._trouble.admit(what):
            self._log.info("{peer} {what} {device}", peer=peer, what=what, device=export.busID)

    def complain(self, peer: str, problem: str) -> None:
        """
        Tell of a host that is not served any further.
        """
        self.refusals += 1
        if self._trouble.admit(ENDED):
            self._log.warn("USB/IP with {peer} has ended: {problem}", peer=peer, problem=problem)

    def stop(self) -> Deferred[None]:
        """
        Close what is open.

        @return: fires when all is closed.
        """
        self._trouble.stop()
        return self.connections.stop(lambda connection: connection.disconnect(0))

    def _summarise(self, kind: str, count: int) -> None:
        if kind == ENDED:
            self._log.warn("USB/IP: {count} more connections have ended like that", count=count)
        else:
            self._log.info("USB/IP: {count} more hosts: {kind}", count=count, kind=kind)
