# -*- test-case-name: tests.device.test_sending -*-
"""
The half of a session that sends: what the application writes, on its way into
segments, and the back-pressure on whoever produces it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from muxd.device.address import DeviceAddress, HostAddress
from muxd.device.chunks import ChunkQueue
from muxd.device.producing import ProducerGate
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.interfaces import Buffer

if TYPE_CHECKING:
    from muxd.device.muxer import Muxer


class SessionState(Enum):
    """
    See L{muxd.device.session} for what they mean and how they follow each other.
    """

    ESTABLISHED = "established"
    HALF_CLOSING = "half-closing"
    HALF_CLOSED = "half-closed"
    FLUSHING = "flushing"
    DRAINING = "draining"
    CLOSED = "closed"


ESTABLISHED = SessionState.ESTABLISHED
HALF_CLOSING = SessionState.HALF_CLOSING
HALF_CLOSED = SessionState.HALF_CLOSED
FLUSHING = SessionState.FLUSHING
DRAINING = SessionState.DRAINING
CLOSED = SessionState.CLOSED


class SendingHalf:
    """
    @ivar sourcePort: Our port, which tells this session from the phone's others.
    @ivar port: The phone's port.
    @ivar state: Where the session is in its life.
    @ivar waiting: Whether it waits for its turn to send (see L{Outbound}).
    @ivar bytesSent: Payload that went to the link.
    """

    __slots__ = (
        "_buffer",
        "_gate",
        "_muxer",
        "_receive",
        "_send",
        "bytesSent",
        "port",
        "sourcePort",
        "state",
        "waiting",
    )

    def __init__(
        self, muxer: Muxer, sourcePort: int, port: int, send: SendWindow, receive: ReceiveWindow
    ) -> None:
        self.sourcePort = sourcePort
        self.port = port
        self.state = ESTABLISHED
        self.waiting = False
        self.bytesSent = 0
        self._muxer = muxer
        self._send = send
        self._receive = receive
        self._buffer = ChunkQueue()
        self._gate = ProducerGate(muxer.limits.sendBuffer, muxer.clock, self._producerFailed)

    # What the other half decides

    def acknowledgeable(self) -> bool:
        """
        Whether delivered bytes may be acknowledged now.
        """
        raise NotImplementedError

    def _checkFlushed(self, *, later: bool = False) -> None:
        """
        Go on with closing, if that is what the session does and everything has
        been taken.

        @param later: Tell the application afterwards, as it is calling us.
        """
        raise NotImplementedError

    def _blame(self, what: str) -> None:
        """
        The application's code is raising: end its session.
        """
        raise NotImplementedError

    # The application's side

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
        if self.state is ESTABLISHED:
            return True
        closing = self.state is FLUSHING or self.state is HALF_CLOSING
        return closing and self._gate.producer is not None

    def _written(self) -> None:
        gate = self._gate
        if gate.paused:
            gate.writing(lambda: self._muxer.outbound.ready(self))
        else:
            self._muxer.outbound.ready(self)
            gate.filled(self._buffer.size)

    def _producerFailed(self) -> None:
        self._blame("resumeProducing")

    def sendable(self, most: int) -> int:
        """
        The size of the segment that could be sent now; 0 for none.

        @param most: The largest payload that the link wants.
        """
        room = self._send.room()
        size = self._buffer.size
        if size < room:
            room = size
        return room if room < most else most

    def isQuiet(self) -> bool:
        """
        Whether everything that was sent has been acknowledged.
        """
        return self._send.next == self._send.acknowledged

    @property
    def progress(self) -> int:
        """
        What is different when the phone has taken something.
        """
        return self._send.acknowledged

    def unacknowledged(self) -> int:
        """
        How many written bytes the phone has not confirmed.
        """
        return self._buffer.size + self._send.inFlight()

    def take(self, size: int) -> tuple[list[Buffer], int, int]:
        """
        The next segment's payload, sequence number and acknowledgement.
        """
        send = self._send
        seq = send.next
        send.next = (seq + size) & 0xFFFFFFFF
        self.bytesSent += size
        receive = self._receive
        if self.acknowledgeable():
            receive.acknowledge()
        return self._buffer.take(size), seq, receive.acknowledged

    def acknowledgement(self) -> tuple[int, int] | None:
        """
        The numbers of an acknowledgement, if one is owed and may be given.
        """
        receive = self._receive
        if not (self.acknowledgeable() and receive.acknowledge()):
            return None
        return self._send.next, receive.acknowledged

    def owed(self) -> int:
        """
        How many delivered bytes may be acknowledged.
        """
        receive = self._receive
        owed = receive.owed() - receive.reserve
        return owed if owed > 0 else 0

    @property
    def reserved(self) -> int:
        """
        How many delivered bytes are not to be acknowledged yet.
        """
        return self._receive.reserve

    def reserve(self, size: int) -> None:
        """
        Leave so many delivered bytes unacknowledged from now on.
        """
        self._receive.reserve = size

    def drained(self) -> None:
        """
        A segment has been taken: the producer may go on.
        """
        self._gate.drained(self._buffer.size)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pause this producer while more than the send buffer is waiting.

        @raise RuntimeError: There is one already.
        """
        if self.state is CLOSED or self.state is DRAINING:
            producer.stopProducing()
        else:
            self._gate.register(producer, streaming, self._buffer.size)

    def unregisterProducer(self) -> None:
        """
        Forget the producer; idempotent.
        """
        self._gate.unregister()
        self._checkFlushed(later=True)

    # Who we are

    @property
    def disconnecting(self) -> bool:
        """
        Whether C{loseConnection} has been called, as protocols ask.
        """
        return self.state is FLUSHING or self.state is CLOSED

    @property
    def connected(self) -> bool:
        """
        Whether there is a session.
        """
        return self.state is not CLOSED

    def getPeer(self) -> DeviceAddress:
        """
        The phone's port.
        """
        return DeviceAddress(self._muxer.label, self.port)

    def getHost(self) -> HostAddress:
        """
        Our source port.
        """
        return HostAddress(self._muxer.label, self.sourcePort)

    def logPrefix(self) -> str:
        """
        For the log of the application's code.
        """
        return f"Session {self.sourcePort}->{self.port} on {self._muxer.label}"
