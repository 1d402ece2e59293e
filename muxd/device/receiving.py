# -*- test-case-name: tests.device.test_receiving -*-
"""
What a session does with the phone's segments: their numbers are checked, their
bytes delivered or, while the protocol is paused, held.

This adds to the sending half rather than standing beside it, because both share
the session's numbers, which are looked up with every segment.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from muxd.device.chunks import SMALL, joined
from muxd.device.errors import ProtocolViolation
from muxd.device.sending import CLOSED, DRAINING, ESTABLISHED, FLUSHING, SendingHalf
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.wire.mux import Flags

if TYPE_CHECKING:
    from muxd.device.muxer import Muxer

ACK = int(Flags.ACK)


class ReceivingHalf(SendingHalf):
    """
    @ivar touched: Whether this batch of packets brought bytes for it, and it has
        not ended.
    @ivar bytesReceived: Payload that came.
    """

    __slots__ = ("_delivering", "_held", "_paused", "_protocol", "bytesReceived", "touched")

    def __init__(
        self, muxer: Muxer, sourcePort: int, port: int, send: SendWindow, receive: ReceiveWindow
    ) -> None:
        super().__init__(muxer, sourcePort, port, send, receive)
        self.touched = False
        self.bytesReceived = 0
        self._protocol: IProtocol | None = None
        self._held: deque[bytes | bytearray] | None = None
        self._paused = False
        self._delivering = False

    # What the whole session decides

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        There is no more to come.
        """
        raise NotImplementedError

    def _unusual(self, flags: int, payload: memoryview) -> None:
        """
        A segment has other flags than ACK.
        """
        raise NotImplementedError

    def _drainedHeld(self) -> None:
        """
        The protocol has resumed after the end, and taken what it wanted to.
        """
        raise NotImplementedError

    # From the phone

    def segmentReceived(
        self, seq: int, ack: int, flags: int, window: int, payload: memoryview
    ) -> None:
        """
        A segment has come for this session.

        @param window: In bytes.
        @param payload: The link's memory, good for this call only.
        """
        if flags != ACK:
            self._unusual(flags, payload)
            return
        if not self._send.acknowledge(ack, window):
            self._muxer.complaints.add(
                "badAcknowledgements",
                f"expected an acknowledgement up to {self._send.next}, got {ack}",
            )
        receive = self._receive
        size = len(payload)
        if seq != receive.expected:
            behind = receive.behind(seq)
            if behind < 0 and size:
                self._violated(
                    "sequenceGaps", f"expected seq {receive.expected}, got {seq}: bytes are missing"
                )
                return
            self._muxer.complaints.add("duplicates", f"expected seq {receive.expected}, got {seq}")
            payload = payload[max(behind, 0) :]
            size = len(payload)
        if size:
            if not receive.admits(size):
                self._violated(
                    "overruns",
                    f"expected at most {receive.size} bytes unacknowledged, got {size} more",
                )
                return
            receive.expected = (receive.expected + size) & 0xFFFFFFFF
            self.bytesReceived += size
            self._muxer.touch(self, size)
            if self.state is FLUSHING:
                receive.delivered = receive.expected
            elif self._paused or self._held:
                held = self._held
                if held is None:
                    self._held = held = deque()
                if size < SMALL and held and size + len(held[-1]) <= SMALL:
                    held[-1] = joined(held[-1], payload)
                else:
                    held.append(bytes(payload))
            else:
                receive.delivered = receive.expected
                self._deliver(bytes(payload))
        if self._buffer.size:
            self._muxer.outbound.ready(self)
        elif self.state is not ESTABLISHED:
            self._checkFlushed()

    def _violated(self, counter: str, text: str) -> None:
        """
        The phone has lost the thread of this session, and only of this one.
        """
        self._muxer.complaints.add(counter, f"session {self.sourcePort}, port {self.port}: {text}")
        self.ended(Failure(ProtocolViolation(text)), reset=True)

    def _deliver(self, data: bytes) -> None:
        assert self._protocol is not None
        try:
            self._protocol.dataReceived(data)
        except Exception:
            self._blame("dataReceived")

    def acknowledgeable(self) -> bool:
        """
        Whether delivered bytes may be acknowledged now: not while paused.
        """
        if self.state is CLOSED or self.state is DRAINING:
            return False
        return not self._paused or self.state is FLUSHING

    # Push producer: back-pressure on the phone

    def pauseProducing(self) -> None:
        """
        Deliver nothing and acknowledge nothing until resumed.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Deliver what is held, then acknowledge it.
        """
        if self.state is CLOSED or self.state is FLUSHING:
            return
        self._paused = False
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._held and not self._paused:
                data = self._held.popleft()
                self._receive.delivered = (self._receive.delivered + len(data)) & 0xFFFFFFFF
                self._deliver(bytes(data))
        finally:
            self._delivering = False
        if not self._held:
            self._held = None
        if self.state is DRAINING:
            self._drainedHeld()
        elif self.acknowledgeable():
            self._muxer.delayed.owes(self, self.owed())

    def stopProducing(self) -> None:
        """
        The consumer of our bytes has gone: its last bytes still reach the phone.
        """
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        End the session when all that was written has been taken.
        """
        raise NotImplementedError
