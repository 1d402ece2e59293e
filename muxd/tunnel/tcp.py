# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
The rules of a TCP connection in a tunnel (RFC 9293): what is sent and when, what is taken, and how
it ends.

It does no I/O: segments come by a call and go by a call.  What uses it is an
L{ITCPUser<muxd.tunnel.contracts.ITCPUser>}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muxd.device.chunks import ChunkQueue
from muxd.tunnel.contracts import Carrier
from muxd.tunnel.packets import ACK, FIN, HEADERS, LARGEST_SCALE, PSH, RST, SYN, Segment
from muxd.tunnel.reassembly import Reassembly, signed
from muxd.tunnel.retransmission import Congestion, Flight, Sent, Timeout
from muxd.tunnel.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    RECEIVING,
    SENDING,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    TRANSITIONS,
    TCPState,
)
from muxd.wire.sequence import advance, distance

SMALLEST_MSS = 536
"""What is taken for the other side's if it says nothing, or less."""

LINGER = 1.0
"""Seconds in TIME_WAIT: in a stream nothing strays for long."""

DUPLICATES = 3
"""Acknowledgements of the same, after which what follows is taken for lost."""

MOST_TRIES = 8
"""Times that a segment is sent again before the other side is given up."""

MOST_SMALL = 64
"""Segments under way with which what does not fill another one waits."""

_MASK = 0xFFFF


def scaleFor(size: int) -> int:
    """
    By how many bits a window of this size must be shifted.
    """
    return min(max(0, size.bit_length() - 16), LARGEST_SCALE)


class TCPConnection:
    """
    One connection.

    @ivar local: Our port.
    @ivar remote: The other side's.
    @ivar state: Where it is in its life.
    @ivar unread: Bytes that were received and have not been taken.
    @ivar buffer: What was written and has not been sent.
    """

    __slots__ = (
        "_ackPending",
        "_acknowledged",
        "_carrier",
        "_congestion",
        "_duplicates",
        "_edge",
        "_endTimer",
        "_expected",
        "_finAt",
        "_finWanted",
        "_flight",
        "_isDeaf",
        "_isScaled",
        "_isTold",
        "_loose",
        "_mss",
        "_next",
        "_peerFinished",
        "_peerScale",
        "_peerWindow",
        "_recover",
        "_scale",
        "_timeout",
        "_timer",
        "_user",
        "_windowAck",
        "_windowSequence",
        "buffer",
        "local",
        "remote",
        "state",
        "unread",
    )

    def __init__(self, carrier: Carrier, local: int, remote: int, user: Any, first: int) -> None:
        """
        @param user: An L{ITCPUser}.
        @param first: The first sequence number, which should be random.
        """
        limits = carrier.limits
        self.local = local
        self.remote = remote
        self.state: TCPState = CLOSED
        self.unread = 0
        self.buffer = ChunkQueue()
        self._carrier = carrier
        self._user = user
        self._mss = min(carrier.mtu - HEADERS, 0xFFFF)
        self._next = self._acknowledged = first
        self._flight = Flight()
        self._timeout = Timeout()
        self._congestion = Congestion(self._mss, limits.tunnelInFlight)
        self._timer: IDelayedCall | None = None
        self._endTimer: IDelayedCall | None = None
        self._duplicates = 0
        self._recover: int | None = None
        self._peerWindow = 0
        self._peerScale = 0
        self._windowSequence = self._windowAck = 0
        self._scale = scaleFor(limits.tunnelWindow)
        self._isScaled = True
        self._expected = 0
        self._edge = 0
        self._loose = Reassembly(limits.tunnelWindow)
        self._finAt: int | None = None
        self._peerFinished = False
        self._ackPending = False
        self._finWanted = False
        self._isDeaf = False
        self._isTold = False

    # What its user does

    def open(self) -> None:
        """
        Ask the other side.
        """
        self.state = SYN_SENT
        self._transmit(SYN)

    def accept(self, syn: Segment) -> None:
        """
        Agree with the other side, which has asked.
        """
        self.state = SYN_RECEIVED
        self._learn(syn)
        self._transmit(SYN | ACK)

    def write(self, data: bytes) -> None:
        """
        Send bytes, as the other side has room.
        """
        if self._finWanted or self.state not in SENDING or not data:
            return
        self.buffer.append(data)
        self.output()

    def taken(self, count: int) -> None:
        """
        So many of the bytes that were received have been taken.
        """
        self.unread -= count
        if self._peerFinished or self.state not in RECEIVING:
            return
        grown = distance(self._edge, advance(self._expected, self._room()))
        if grown < 1 << 31 and grown >= self._carrier.limits.tunnelWindow // 4:
            self._wantAck()

    def closeHalf(self) -> None:
        """
        Say that there is no more, once all has been sent.
        """
        if self.state in SENDING and not self._finWanted:
            self._finWanted = True
            self.output()

    def close(self) -> None:
        """
        The same, and take nothing more.
        """
        if self.state is SYN_SENT or self.state is SYN_RECEIVED:
            self.abort()
            return
        if self._isDeaf or self.state is CLOSED:
            return
        self._isDeaf = True
        self.unread = 0
        self._progress()
        self.closeHalf()
        self._checkDone()

    def abort(self, reason: Failure | None = None) -> None:
        """
        End it at once, and tell the other side.
        """
        if self.state is CLOSED:
            return
        if self.state is not SYN_SENT and self.state is not TIME_WAIT:
            self._reset()
        self._end(reason or Failure(ConnectionAborted()))

    def carrierLost(self, reason: Failure) -> None:
        """
        There is no tunnel any more.
        """
        if self.state is not CLOSED:
            self._end(reason)

    @property
    def isFlushed(self) -> bool:
        """
        Whether nothing that was written waits, here or on its way.
        """
        return not self.buffer.size and not self._flight

    # What the other side does

    def arrived(self, segment: Segment) -> None:
        """
        A segment for this connection has come.
        """
        state = self.state
        if state is SYN_SENT:
            self._answered(segment)
            return
        if state is CLOSED:
            return
        start = signed(self._expected, segment.sequence)
        window = distance(self._expected, self._edge)
        flags = segment.flags
        if flags & RST:
            if start == 0:
                self._refusedOrReset()
            elif 0 < start < window:
                self._wantAck()
            return
        if flags & SYN:
            # Ours has not arrived yet, and will be sent again; or it makes no sense.
            if state is not SYN_RECEIVED:
                self._wantAck()
            return
        if not flags & ACK:
            return
        self._acknowledge(segment)
        if self.state is CLOSED or self.state is SYN_RECEIVED:
            return
        if segment.length:
            self._take(segment, start, window)

    def _answered(self, segment: Segment) -> None:
        """
        The answer to our SYN, if it is one.
        """
        flags = segment.flags
        isOurs = bool(flags & ACK) and segment.acknowledgement == self._next
        if flags & ACK and not isOurs:
            if not flags & RST:
                self._carrier.send(
                    Segment(self.local, self.remote, segment.acknowledgement, 0, RST, 0)
                )
            return
        if flags & RST:
            if isOurs:
                self._refusedOrReset()
            return
        if not flags & SYN or not isOurs:
            return
        self._learn(segment)
        self._edge = advance(self._expected, min(self._room(), _MASK))
        self._acknowledgedUpTo(segment.acknowledgement)
        self._enter(ESTABLISHED)
        self._wantAck()
        self._user.established()
        self.output()
        self.flush()

    def _refusedOrReset(self) -> None:
        if self.state is SYN_SENT:
            self._end(Failure(ConnectionRefusedError()))
        elif self.state is TIME_WAIT:
            self._end(Failure(ConnectionDone()))
        else:
            self._end(Failure(ConnectionLost("reset by the other end of the tunnel")))

    def _learn(self, syn: Segment) -> None:
        self._expected = advance(syn.sequence, 1)
        self._edge = self._expected
        self._mss = min(self._mss, max(syn.mss or SMALLEST_MSS, SMALLEST_MSS))
        self._congestion = Congestion(self._mss, self._carrier.limits.tunnelInFlight)
        self._isScaled = syn.scale is not None
        if syn.scale is None:
            self._scale = 0
        else:
            self._peerScale = syn.scale
        self._windowSequence, self._windowAck = syn.sequence, syn.acknowledgement
        self._peerWindow = syn.window

    def _acknowledge(self, segment: Segment) -> None:
        """
        Take what a segment says of ours.
        """
        ack = segment.acknowledgement
        count = signed(self._acknowledged, ack)
        if count > distance(self._acknowledged, self._next):
            # It acknowledges what was never sent.
            self._wantAck()
            return
        if count < 0:
            return
        if self.state is SYN_RECEIVED:
            if count == 0:
                return
            self._windowFrom(segment, self._peerScale)
            self._acknowledgedUpTo(ack)
            self._enter(ESTABLISHED)
            self._user.established()
            return
        before = self._peerWindow
        self._windowFrom(segment, self._peerScale)
        if count:
            self._acknowledgedUpTo(ack)
        elif self._flight and not segment.length:
            if self._peerWindow == before and self._peerWindow:
                self._duplicated()
            else:
                # It is there, and has no room.
                first = self._flight[0]
                first.tries = min(first.tries, 1)
        self.output()

    def _windowFrom(self, segment: Segment, scale: int) -> None:
        newer = signed(self._windowSequence, segment.sequence)
        if newer > 0 or (newer == 0 and signed(self._windowAck, segment.acknowledgement) >= 0):
            self._peerWindow = segment.window << scale
            self._windowSequence = segment.sequence
            self._windowAck = segment.acknowledgement

    def _acknowledgedUpTo(self, ack: int) -> None:
        count = distance(self._acknowledged, ack)
        self._acknowledged = ack
        self._duplicates = 0
        flight = self._flight
        isFin, sentAt = flight.acknowledged(ack)
        if sentAt is not None:
            self._timeout.measured(self._carrier.clock.seconds() - sentAt)
        self._timeout.known()
        self._congestion.acknowledged(count)
        self._progress()
        if self._recover is not None:
            if not flight or signed(self._recover, ack) >= 0:
                self._recover = None
            else:
                self._again(flight[0])
        if isFin:
            self._finAcknowledged()
        self._schedule()

    def _duplicated(self) -> None:
        self._duplicates += 1
        if self._duplicates == DUPLICATES and self._recover is None:
            self._recover = self._next
            self._congestion.lost(self._underWay(), isLast=False)
            self._again(self._flight[0])

    def _take(self, segment: Segment, start: int, window: int) -> None:
        """
        Take what a segment brings.
        """
        self._wantAck()
        if self.state not in RECEIVING or self._peerFinished:
            return
        payload = segment.payload
        end = start + len(payload)
        if segment.flags & FIN and start <= window and end <= window:
            self._finAt = advance(segment.sequence, len(payload))
        if end > window:
            payload = payload[: max(0, window - start)]
        if start < 0:
            payload = payload[-start:]
        if start > 0 and payload:
            if not self._loose.hold(segment.sequence, payload):
                self._carrier.counters.dropped["no room"] += 1
            # At once: the other side counts them.
            self._acknowledgeNow()
            return
        while payload:
            self._expected = advance(self._expected, len(payload))
            if not self._deliver(payload):
                return
            payload = self._loose.take(self._expected)
        if self._finAt == self._expected and self.state in RECEIVING:
            self._finArrived()

    def _deliver(self, payload: bytes) -> bool:
        """
        Give bytes to the user.

        @return: Whether there may be more.
        """
        if self._isDeaf:
            if self.state is FIN_WAIT_2:
                # Nothing here reads it: the other side should know.
                self._reset()
                self._end(Failure(ConnectionDone()))
                return False
            return True
        self.unread += len(payload)
        self._user.received(payload)
        return self.state in RECEIVING

    def _finArrived(self) -> None:
        self._expected = advance(self._expected, 1)
        self._edge = advance(self._edge, 1)
        self._peerFinished = True
        self._loose.clear()
        if self.state is ESTABLISHED:
            self._enter(CLOSE_WAIT)
        elif self.state is FIN_WAIT_1:
            self._enter(CLOSING)
        else:
            self._enter(TIME_WAIT)
        if not self._isDeaf:
            self._user.finished()
        self._checkDone()

    def _finAcknowledged(self) -> None:
        if self.state is FIN_WAIT_1:
            self._enter(FIN_WAIT_2)
        elif self.state is CLOSING:
            self._enter(TIME_WAIT)
        elif self.state is LAST_ACK:
            self._end(Failure(ConnectionDone()))
            return
        if not self._isDeaf:
            self._user.writeFinished()
        self._checkDone()

    # What is sent

    def output(self) -> None:
        """
        Send what may be sent now.
        """
        carrier = self._carrier
        if self.state in SENDING:
            self._sendData()
            if self._finWanted and not self.buffer.size and not carrier.isHeld:
                self._enter(FIN_WAIT_1 if self.state is ESTABLISHED else LAST_ACK)
                self._transmit(FIN | ACK)
        self._schedule()

    def _sendData(self) -> None:
        buffer, carrier = self.buffer, self._carrier
        if not buffer.size:
            return
        most = min(self._peerWindow, self._congestion.window)
        isSent = False
        while buffer.size and not carrier.isHeld:
            room = most - self._underWay()
            size = min(self._mss, buffer.size, room)
            if size <= 0 or (size < self._mss and self._isUnwise(size)):
                break
            self._transmit(ACK | PSH if size == buffer.size else ACK, b"".join(buffer.take(size)))
            isSent = True
        if isSent:
            self._user.drained(buffer.size)

    def _isUnwise(self, size: int) -> bool:
        """
        Whether a segment that is not a whole one should wait: there is more that will fill it, or
        many are under way already.
        """
        return bool(self._flight) and (size < self.buffer.size or len(self._flight) >= MOST_SMALL)

    def flush(self) -> None:
        """
        Acknowledge what has come, if nothing has done so yet.
        """
        if self._ackPending and self.state is not CLOSED:
            self._acknowledgeNow()

    def _wantAck(self) -> None:
        if not self._ackPending:
            self._ackPending = True
            self._carrier.wantsFlush(self)

    def _acknowledgeNow(self) -> None:
        if self._carrier.isHeld:
            self._wantAck()
            return
        self._carrier.send(self._segment(self._next, ACK))

    def _transmit(self, flags: int, payload: bytes = b"") -> None:
        """
        Send something that takes sequence numbers.
        """
        sent = Sent(self._next, flags, payload, self._carrier.clock.seconds())
        self._flight.append(sent)
        self._next = sent.end
        self._carrier.send(self._segment(sent.sequence, flags, payload))
        self._schedule()

    def _again(self, sent: Sent) -> None:
        """
        Send a segment again.
        """
        sent.tries += 1
        sent.at = self._carrier.clock.seconds()
        if not self._carrier.isHeld:
            self._carrier.counters.again += 1
            self._carrier.send(self._segment(sent.sequence, sent.flags, sent.payload))

    def _segment(self, sequence: int, flags: int, payload: bytes = b"") -> Segment:
        room = self._room()
        if flags & SYN:
            scale = self._scale if self._isScaled else None
            self._edge = advance(self._expected, min(room, _MASK))
            return Segment(
                self.local,
                self.remote,
                sequence,
                self._expected,
                flags,
                min(room, _MASK),
                payload,
                self._carrier.mtu - HEADERS,
                scale,
            )
        self._ackPending = False
        window = min(room >> self._scale, _MASK)
        edge = advance(self._expected, window << self._scale)
        if signed(self._edge, edge) > 0:
            self._edge = edge
        return Segment(self.local, self.remote, sequence, self._expected, flags, window, payload)

    def _room(self) -> int:
        """
        The window: what there is room for.
        """
        return max(0, self._carrier.limits.tunnelWindow - self.unread)

    def _underWay(self) -> int:
        return distance(self._acknowledged, self._next)

    def _reset(self) -> None:
        self._carrier.send(
            Segment(self.local, self.remote, self._next, self._expected, RST | ACK, 0)
        )

    # Time

    def _schedule(self) -> None:
        """
        Have a timer run while something is waited for.
        """
        if self._timer is None and self.state is not CLOSED and (self._flight or self._isStuck()):
            self._timer = self._carrier.clock.callLater(self._timeout.seconds, self._timedOut)

    def _isStuck(self) -> bool:
        return bool(self.buffer.size) and self._peerWindow == 0 and self.state in SENDING

    def _timedOut(self) -> None:
        self._timer = None
        if not self._flight:
            if self._isStuck() and not self._carrier.isHeld:
                # A byte, so that the other side says what room it has.
                self._transmit(ACK, b"".join(self.buffer.take(1)))
            self._schedule()
            return
        first = self._flight[0]
        left = first.at + self._timeout.seconds - self._carrier.clock.seconds()
        if left > 0:
            self._timer = self._carrier.clock.callLater(left, self._timedOut)
            return
        if self._carrier.isHeld:
            self._schedule()
            return
        if first.tries >= MOST_TRIES:
            self._reset()
            self._end(Failure(TimeoutError("the other end of the tunnel does not acknowledge")))
            return
        self._timeout.passed()
        self._congestion.lost(self._underWay(), isLast=True)
        self._recover = self._next
        self._duplicates = 0
        self._again(first)
        self._schedule()

    def _progress(self) -> None:
        """
        Something was taken: an end that is waited for may be waited for anew.
        """
        if not self._isDeaf or self.state is TIME_WAIT:
            return
        timeout = self._carrier.limits.flushTimeout
        if self._endTimer is None:
            self._endTimer = self._carrier.clock.callLater(timeout, self._neverEnded)
        else:
            self._endTimer.reset(timeout)

    def _neverEnded(self) -> None:
        self._endTimer = None
        self._reset()
        self._end(Failure(ConnectionLost("the other end of the tunnel took nothing more")))

    # The end

    def _enter(self, state: TCPState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state.value} to {state.value}"
        self.state = state
        if state is TIME_WAIT:
            if self._endTimer is not None:
                self._endTimer.cancel()
            self._endTimer = self._carrier.clock.callLater(LINGER, self._lingered)

    def _lingered(self) -> None:
        self._endTimer = None
        self._end(Failure(ConnectionDone()))

    def _checkDone(self) -> None:
        """
        Tell the user, if there is nothing more to say or to hear.
        """
        isHeard = self._peerFinished or self._isDeaf
        if isHeard and self.state in (FIN_WAIT_2, TIME_WAIT):
            self._tell(Failure(ConnectionDone()))

    def _tell(self, reason: Failure) -> None:
        if not self._isTold:
            self._isTold = True
            self._user.lost(reason)

    def _end(self, reason: Failure) -> None:
        self._enter(CLOSED)
        for timer in (self._timer, self._endTimer):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._endTimer = None
        self._flight.clear()
        self.buffer.clear()
        self._loose.clear()
        self._carrier.ended(self)
        self._tell(reason)
