# -*- test-case-name: tests.device.test_session,tests.device.test_receiving -*-
"""
The end of a session that leads to a Twisted protocol: an ordinary Twisted transport.

What a paused protocol is not given is held here, and what it has written, and the link
has not taken, waits here.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, NoProtocol
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.address import DeviceAddress, HostAddress
from muxd.device.chunks import SMALL, ChunkQueue, joined
from muxd.device.ends import SessionEnd
from muxd.device.producing import ProducerGate
from muxd.device.session import Session
from muxd.device.states import (
    CLOSED,
    DRAINING,
    ESTABLISHED,
    FLUSHING,
    HALF_CLOSING,
    SessionState,
)
from muxd.net.packetmemory import PacketMemory

_log = Logger()


def stopFactory(factory: IProtocolFactory) -> None:
    """
    Tell a factory that one of its connections has ended.  What it raises then
    is logged, and troubles nothing else.
    """
    try:
        factory.doStop()
    except Exception:
        _log.failure("doStop of {factory} failed", factory=factory)


@implementer(ITransport, IConsumer, IPushProducer, ILoggingContext)
class SessionTransport(SessionEnd):
    """
    A session, to the protocol that uses it.

    @ivar session: Its rules.
    """

    __slots__ = (
        "_buffer",
        "_delivering",
        "_factory",
        "_gate",
        "_held",
        "_paused",
        "_protocol",
        "session",
    )

    def __init__(self, session: Session, factory: IProtocolFactory) -> None:
        """
        @param factory: Has been started; it is stopped when the session ends.
        """
        owner = session.owner
        self.session = session
        self._factory = factory
        self._protocol: IProtocol | None = None
        self._buffer = ChunkQueue()
        self._gate = ProducerGate(owner.limits.sendBuffer, owner.clock, self._producerFailed)
        self._held: deque[bytes | bytearray] | None = None
        self._paused = False
        self._delivering = False

    def begin(self) -> IProtocol:
        """
        Make the protocol and connect it.

        @raise NoProtocol: The factory does not want this connection.
        """
        # The application may end the session from in here.
        try:
            protocol = self._factory.buildProtocol(self.getPeer())
            if protocol is None:
                raise NoProtocol(f"the factory made no protocol for {self.logPrefix()}")
            if self.state is CLOSED:
                raise ConnectionAborted("ended while its protocol was being made")
            self._protocol = protocol
            protocol.makeConnection(self)
        except Exception:
            self._protocol = None
            self.session.abort(Failure(), later=False)
            raise
        return protocol

    def _blame(self, what: str) -> None:
        """
        The application's code raised: that ends its session and nothing else.
        """
        failure = Failure()
        session = self.session
        _log.failure(
            "{what} of session {session} with port {port} of {udid} failed",
            failure,
            what=what,
            session=session.sourcePort,
            port=session.port,
            udid=session.owner.label,
        )
        session.abort(failure)

    # What the protocol sends

    def write(self, data: bytes) -> None:
        """
        Send bytes, as the phone's window and the link allow.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"expected bytes, got {type(data).__name__}")
        if not data or not self._acceptsWrites():
            return
        self._buffer.append(data)
        self._written()

    def writeSequence(self, data: Any) -> None:
        """
        Send an iterable of bytes as if they were one.
        """
        chunks = list(data)
        for chunk in chunks:
            if not isinstance(chunk, bytes):
                raise TypeError(f"expected bytes, got {type(chunk).__name__}")
        if not self._acceptsWrites():
            return
        for chunk in chunks:
            if chunk:
                self._buffer.append(chunk)
        self._written()

    def _acceptsWrites(self) -> bool:
        state = self.session.state
        if state is ESTABLISHED:
            return True
        closing = state is FLUSHING or state is HALF_CLOSING
        return closing and self._gate.producer is not None

    def _written(self) -> None:
        session, gate = self.session, self._gate
        session.available = self._buffer.size
        if gate.paused:
            gate.writing(session.offer)
        else:
            session.offer()
            gate.filled(self._buffer.size)

    def _producerFailed(self) -> None:
        self._blame("resumeProducing")

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pause this producer while more than the send buffer is waiting.

        @raise RuntimeError: There is one already.
        """
        state = self.state
        if state is CLOSED or state is DRAINING:
            producer.stopProducing()
        else:
            self._gate.register(producer, streaming, self._buffer.size)

    def unregisterProducer(self) -> None:
        """
        Forget the producer; idempotent.
        """
        self._gate.unregister()
        self.session.checkFlushed(True)

    # What the protocol receives

    def pauseProducing(self) -> None:
        """
        Deliver nothing and acknowledge nothing until resumed.
        """
        self._paused = self.session.isWithheld = True

    def resumeProducing(self) -> None:
        """
        Deliver what is held, then acknowledge it.
        """
        session = self.session
        if session.state is CLOSED or session.state is FLUSHING:
            return
        self._paused = session.isWithheld = False
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._held and not self._paused:
                data = self._held.popleft()
                session.taken(len(data))
                self._give(bytes(data))
        finally:
            self._delivering = False
        if not self._held:
            self._held = None
        session.resumed()

    def stopProducing(self) -> None:
        """
        The consumer of our bytes has gone: its last bytes still reach the phone.
        """
        self.loseConnection()

    def _give(self, data: bytes) -> None:
        assert self._protocol is not None
        try:
            self._protocol.dataReceived(data)
        except Exception:
            self._blame("dataReceived")

    # How it ends

    def loseConnection(self) -> None:
        """
        Send what was written and wait for its acknowledgement, then end the
        session; at the latest when the phone has taken nothing for the flush timeout.
        """
        self.session.close()

    def loseWriteConnection(self) -> None:
        """
        Send what was written, and go on delivering what the phone says: see
        L{Session.closeHalf}.
        """
        self.session.closeHalf()

    def abortConnection(self) -> None:
        """
        End the session now; what was not sent is dropped.
        """
        self.session.abort()

    # What it is

    @property
    def protocol(self) -> IProtocol | None:
        """
        What uses the session; None when it has ended.
        """
        return self._protocol

    @property
    def state(self) -> SessionState:
        """
        Where the session is in its life.
        """
        return self.session.state

    @property
    def progress(self) -> int:
        """
        What is different when the phone has taken something.
        """
        return self.session.progress

    @property
    def disconnecting(self) -> bool:
        """
        Whether C{loseConnection} has been called, as protocols ask.
        """
        state = self.session.state
        return state is FLUSHING or state is CLOSED

    @property
    def connected(self) -> bool:
        """
        Whether there is a session.
        """
        return self.session.state is not CLOSED

    def getPeer(self) -> DeviceAddress:
        """
        The phone's port.
        """
        return DeviceAddress(self.session.owner.label, self.session.port)

    def getHost(self) -> HostAddress:
        """
        Our source port.
        """
        return HostAddress(self.session.owner.label, self.session.sourcePort)

    def logPrefix(self) -> str:
        """
        For the log of the application's code.
        """
        session = self.session
        return f"Session {session.sourcePort}->{session.port} on {session.owner.label}"

    # SessionEnd

    def fill(self, memory: PacketMemory, start: int, most: int) -> int:
        """
        The next of the bytes that were written.
        """
        place = start
        for part in self._buffer.take(most):
            place = memory.write(place, part)
        self.session.available = self._buffer.size
        return place - start

    def ranDry(self) -> None:
        """
        What was written is there.
        """

    def waiting(self) -> int:
        """
        As many bytes as were written.
        """
        return self._buffer.size

    def sent(self) -> None:
        """
        A segment has been taken: the producer may go on.
        """
        self._gate.drained(self._buffer.size)

    def isFinished(self) -> bool:
        """
        Whether all has been sent, and no producer will write more.
        """
        return not self._buffer.size and self._gate.producer is None

    def forgetUnsent(self) -> None:
        """
        Drop what was written.
        """
        self._buffer.clear()

    def deliver(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        Give the bytes to the protocol, or hold them while it is paused.
        """
        held = self._held
        payload = memory.read(start, size)
        if not self._paused and not held:
            self.session.taken(size)
            self._give(payload)
            return
        if held is None:
            self._held = held = deque()
            self.session.stalled()
        if size < SMALL and held and size + len(held[-1]) <= SMALL:
            held[-1] = joined(held[-1], payload)
        else:
            held.append(payload)

    def forgetHeld(self) -> None:
        """
        Drop what is held.
        """
        self._held = None

    def isTaking(self) -> bool:
        """
        A protocol that is paused takes nothing.
        """
        return False

    def writeFinished(self, later: bool) -> None:
        """
        Tell the protocol, if it wants to know.
        """
        if later:
            self.session.owner.clock.callLater(0, self._tellWriteFinished)
        else:
            self._tellWriteFinished()

    def _tellWriteFinished(self) -> None:
        protocol = IHalfCloseableProtocol(self._protocol, None)
        if protocol is not None:
            try:
                protocol.writeConnectionLost()
            except Exception:
                self._blame("writeConnectionLost")

    def lost(self, reason: Failure, later: bool) -> None:
        """
        Stop the producer, and tell the protocol.
        """
        self._buffer.clear()
        self._held = None
        producer = self._gate.close()
        protocol, self._protocol = self._protocol, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                _log.failure("stopProducing failed")
        if later:
            self.session.owner.clock.callLater(0, self._tellLost, protocol, reason)
        else:
            self._tellLost(protocol, reason)

    def _tellLost(self, protocol: IProtocol | None, reason: Failure) -> None:
        if protocol is not None:
            try:
                protocol.connectionLost(reason)
            except Exception:
                _log.failure("connectionLost failed")
        stopFactory(self._factory)


class ProtocolRequest:
    """
    Asks for a session for a factory's protocol.

    @ivar connected: Fires with the protocol once its C{connectionMade} has run.
    @ivar transport: What the session leads to, once there is one.
    """

    __slots__ = ("_factory", "connected", "transport")

    def __init__(self, factory: IProtocolFactory, connected: Deferred[IProtocol]) -> None:
        """
        @param factory: Has been started; it is stopped when the session ends.
        """
        self._factory = factory
        self.connected = connected
        self.transport: SessionTransport | None = None

    def accepted(self) -> None:
        """
        The protocol hears of it when it can answer.
        """

    def established(self, session: Session) -> None:
        """
        Make the protocol and connect it.
        """
        self.transport = session.end = transport = SessionTransport(session, self._factory)
        try:
            protocol = transport.begin()
        except Exception:
            if not self.connected.called:
                self.connected.errback(Failure())
        else:
            if not self.connected.called:
                self.connected.callback(protocol)

    def refused(self, reason: Failure) -> None:
        """
        Stop the factory, and tell why.
        """
        stopFactory(self._factory)
        if not self.connected.called:
            self.connected.errback(reason)
