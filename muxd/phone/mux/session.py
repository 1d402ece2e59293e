# -*- test-case-name: tests.phone.mux.test_session -*-
"""
The phone's end of a pseudo-TCP session: a Twisted transport, so that any
Twisted factory is a service of the phone.

What bounds memory: the host may send no more than the window past what was
acknowledged, and a byte is acknowledged when the service has been given it.  A
service is given nothing while it has paused the session, nor while its own
output waits in a full buffer for the host to read.  So even a service
that ignores all producers, such as the simplest echo, holds one window each way
and not more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol as TypingProtocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProducer,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.phone.mux.behaviour import Expectations, Faults
from muxd.phone.mux.flow import Inflow, Objection, Outflow, Outgoing, objection
from muxd.wire.mux import Flags
from muxd.wire.sequence import advance


class SessionOwner(TypingProtocol):
    """
    What a session asks of its muxer.
    """

    @property
    def clock(self) -> IReactorTime:
        """Calls later."""

    @property
    def udid(self) -> str:
        """The phone's."""

    @property
    def window(self) -> int:
        """What each session offers the host, in bytes."""

    @property
    def expectations(self) -> Expectations:
        """What the phone insists on."""

    @property
    def faults(self) -> Faults:
        """How the phone misbehaves."""

    @property
    def payloadSize(self) -> int:
        """The largest payload of a segment to the host."""

    def violation(self, text: str) -> None:
        """The host has done something wrong."""

    def ready(self, session: PhoneSession) -> None:
        """The session has something to send, and wants its turn."""

    def forget(self, session: PhoneSession, late: bool = False) -> None:
        """The session has ended."""

    def sendSegment(
        self,
        hostPort: int,
        port: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        payload: bytes = b"",
    ) -> None:
        """Send a segment; the window is in bytes."""


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class PhoneAddress:
    """
    One end of a session, as the phone sees it.

    @ivar udid: The phone's.
    @ivar port: The phone's port, or the host's source port.
    """

    udid: str
    port: int


class State(Enum):
    """
    The life of a session.
    """

    HANDSHAKE = "SYN|ACK sent, no ACK yet"
    OPEN = "open"
    FLUSHING = "the service closes; its last bytes are on their way"
    FLUSHED = "everything has been sent; the reset goes out in the next turn"
    DRAINING = "the host has closed; the service still has bytes to take"
    ABORTING = "the service has aborted; the reset goes out in the next turn"
    CLOSED = "closed"


@implementer(ITransport, IConsumer, IPushProducer)
class PhoneSession:
    """
    One session.

    @ivar hostPort: The host's source port.
    @ivar port: The phone's port.
    @ivar window: What it offers the host, in bytes.  Tests shrink it; what has
        been offered stays so.
    @ivar state: See L{State}.
    """

    _log = Logger()
    disconnecting = False

    def __init__(
        self, muxer: SessionOwner, factory: IProtocolFactory, hostPort: int, port: int
    ) -> None:
        self.hostPort = hostPort
        self.port = port
        self.window = muxer.window
        self.state = State.HANDSHAKE
        self._muxer = muxer
        self._factory = factory
        self._isStarted = False
        self._protocol: IProtocol | None = None
        self._inflow = Inflow()
        self._outgoing = Outgoing()
        self._delivering = False
        self._paused = False
        self._outflow = Outflow(muxer.clock, self._wantTurn)

    # From the host.

    def synReceived(self, seq: int, window: int) -> None:
        """
        Agree to a session.
        """
        self._inflow.begin(seq)
        self._outgoing.begin(self._muxer.faults.firstSequence, window)
        self._send(Flags.SYN | Flags.ACK)

    def segmentReceived(
        self, seq: int, ack: int, flags: int, window: int, payload: memoryview
    ) -> None:
        """
        A segment of this session.
        """
        if flags & Flags.RST:
            self._resetReceived(seq, flags, window)
            return
        if flags != Flags.ACK:
            self._fault(Objection(f"flags {flags:#04x}, expected 0x10", b"flags are not 0x10"))
            return
        self._checkWindow(window)
        opening = self.state is State.HANDSHAKE
        wrong = objection(self._inflow, self._outgoing, seq, ack, len(payload), opening)
        if wrong is not None:
            self._fault(wrong)
            return
        self._outgoing.acknowledged = ack
        if opening and not self._open():
            return
        if payload:
            self._inflow.append(bytes(payload))
            self._deliver()
        self._wantTurn()

    def _checkWindow(self, window: int) -> None:
        """
        The host's window stays what it was.
        """
        if self._muxer.expectations.constantWindow and window != self._outgoing.window:
            self._violation(f"window {window}, expected {self._outgoing.window} as before")
        self._outgoing.window = window

    def _resetReceived(self, seq: int, flags: int, window: int) -> None:
        """
        The host closes.  What it sent before still reaches the service.
        """
        if flags != Flags.RST:
            self._violation(f"flags {flags:#04x} of a reset, expected 0x04")
        if seq != self._inflow.expected:
            self._violation(f"seq {seq} of a reset, expected {self._inflow.expected}")
        self._checkWindow(window)
        self._muxer.forget(self)
        if self.state is State.OPEN:
            self.state = State.DRAINING
            self._outflow.clear()
            self._deliver()
        elif self.state is not State.DRAINING:
            self._finish(ConnectionDone())

    def _open(self) -> bool:
        """
        The handshake is complete: connect the service.
        """
        try:
            self._factory.doStart()
            self._isStarted = True
            self._protocol = protocol = self._factory.buildProtocol(self.getPeer())
            if protocol is None:
                self.reset(b"no service")
            else:
                self.state = State.OPEN
                protocol.makeConnection(self)
        except Exception:
            self._crashed()
        # The service may have gone again at once.
        return self.state is not State.CLOSED

    def _deliver(self) -> None:
        """
        Give the service what it may have, and acknowledge that.
        """
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._inflow and self._mayDeliver():
                assert self._protocol is not None
                self._protocol.dataReceived(self._inflow.take())
        except Exception:
            self._crashed()
        finally:
            self._delivering = False
        if self.state is State.DRAINING and not self._inflow:
            self._finish(ConnectionDone())
        elif self.state is State.OPEN:
            # Data on its way to the host takes the acknowledgement along.
            self._wantTurn()
            if self._inflow.owed and self.state is State.OPEN:
                self._send(Flags.ACK)

    def _mayDeliver(self) -> bool:
        if self._paused:
            return False
        if self.state is State.OPEN:
            return not self._outflow.full
        return self.state is State.DRAINING

    def _crashed(self) -> None:
        """
        The service has raised: it loses its connection, and no other service
        anything.
        """
        self._log.failure("the service on port {port} failed", port=self.port)
        self._end(Failure(), b"service failed")

    # To the host.

    def sendable(self) -> int:
        """
        How many bytes may be sent now, within the host's window.
        """
        if self.state is not State.OPEN and self.state is not State.FLUSHING:
            return 0
        return min(self._outgoing.room, len(self._outflow), self._muxer.payloadSize)

    def turn(self) -> bool:
        """
        Send one segment.

        @return: Whether there is another one to send.
        """
        size = self.sendable()
        if size:
            self._send(Flags.ACK, self._outflow.take(size))
        self._drained()
        return self.sendable() > 0

    def _wantTurn(self) -> None:
        if self.sendable():
            self._muxer.ready(self)
        else:
            self._drained()

    def _drained(self) -> None:
        """
        Look after what waits for room: the producer, the end, the input.
        """
        try:
            self._outflow.drained()
        except Exception:
            self._crashed()
        if self.state is State.FLUSHING and not self._outflow and not self._outflow.awaited:
            # The service may be calling us, and does not expect its end within.
            self.state = State.FLUSHED
            self._muxer.clock.callLater(0, self._flushed)
        elif self._inflow and self._mayDeliver():
            self._deliver()

    def _flushed(self) -> None:
        """
        The end that the service wanted, unless its producer has written meanwhile.
        """
        if self.state is State.FLUSHED:
            self._end(ConnectionDone())

    def _send(self, flags: int, payload: bytes = b"") -> None:
        """
        One segment, with everything the host is to know.
        """
        ack, window = self._inflow.offer(self.window)
        # Counted first: a host in the same process may answer at once.
        seq = self._outgoing.sequence
        self._outgoing.sequence = advance(seq, len(payload) + bool(flags & Flags.SYN))
        self._muxer.sendSegment(self.hostPort, self.port, seq, ack, flags, window, payload)

    # How it ends.

    def reset(self, text: bytes = b"") -> None:
        """
        Close at once, with a reason for the host (protocol 3.8).
        """
        self._end(ConnectionAborted(), text)

    def lost(self) -> None:
        """
        The host is gone.
        """
        self._finish(ConnectionLost())

    def _violation(self, text: str) -> None:
        self._muxer.violation(f"session {self.hostPort}->{self.port}: {text}")

    def _fault(self, wrong: Objection) -> None:
        """
        The host has broken the rules in a way that ends the session.
        """
        self._violation(wrong.text)
        self._end(ConnectionLost(wrong.text), wrong.reason)

    def _end(self, reason: Exception | Failure, text: bytes = b"") -> None:
        """
        Reset the host's end, if it has not closed already, and then ours.
        """
        if self.state is State.CLOSED:
            return
        if self.state is not State.DRAINING:
            self._send(Flags.RST, text)
            self._muxer.forget(self, late=True)
        self._finish(reason)

    def _finish(self, reason: Exception | Failure) -> None:
        """
        The end of it: everything is forgotten before the service hears.
        """
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.disconnecting = True
        self._inflow.clear()
        protocol, self._protocol = self._protocol, None
        self._attempt("Producer", self._outflow.stop)
        if protocol is not None:
            why = reason if isinstance(reason, Failure) else Failure(reason)
            self._attempt("Service", protocol.connectionLost, why)
        if self._isStarted:
            self._attempt("Factory", self._factory.doStop)

    def _attempt(self, who: str, end: Callable[..., object], *arguments: object) -> None:
        """
        Tell a protocol or producer of the end, at which it may fail.
        """
        try:
            end(*arguments)
        except Exception:
            self._log.failure("{who} on port {port} failed at its end", who=who, port=self.port)

    # ITransport

    def write(self, data: bytes) -> None:
        """
        Send to the host.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, not {type(data).__name__}")
        if self.state is State.FLUSHED and self._outflow.producer is not None:
            self.state = State.FLUSHING
        isFlushing = self.state is State.FLUSHING and self._outflow.producer is not None
        if self.state is State.OPEN or isFlushing:
            self._outflow.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send to the host.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close when everything written has been sent.
        """
        if self.state is State.OPEN:
            self.state = State.FLUSHING
            self.disconnecting = True
            self._inflow.clear()
            self._outflow.closing()
            self._wantTurn()
        elif self.state is State.DRAINING:
            self._muxer.clock.callLater(0, self._finish, ConnectionDone())

    def abortConnection(self) -> None:
        """
        Close now; what was written and not sent is lost.
        """
        if self.state is State.CLOSED:
            return
        if self.state is not State.DRAINING:
            self.state = State.ABORTING
        self._paused = True
        self._outflow.clear()
        self._muxer.clock.callLater(0, self.reset)

    def getPeer(self) -> PhoneAddress:
        """
        The host's end.
        """
        return PhoneAddress(self._muxer.udid, self.hostPort)

    def getHost(self) -> PhoneAddress:
        """
        The phone's end.
        """
        return PhoneAddress(self._muxer.udid, self.port)

    # IConsumer

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Let a producer know when to write.
        """
        if self.state is State.OPEN or self.state is State.FLUSHING:
            self._outflow.register(producer, streaming)
        else:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        """
        There is none any more.
        """
        self._outflow.unregister()

    # IPushProducer

    def pauseProducing(self) -> None:
        """
        Give the service no more, and acknowledge no more.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        if self._paused:
            self._paused = False
            self._deliver()

    def stopProducing(self) -> None:
        """
        The other side of a relay is gone.
        """
        self.loseConnection()
