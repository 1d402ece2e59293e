# -*- test-case-name: tests.device -*-
"""
One pseudo-TCP connection: the rules that both of its ends keep (protocol 3).

Its states and all ways between them are in L{muxd.device.states}; where its bytes come
from and go to on our side is its end's business (L{muxd.device.ends}).

Back-pressure towards the phone is the withheld acknowledgement.  An end that does not
take what comes holds it, which is at most one window, since the phone may not send more
before it is acknowledged; and only what the end has taken is acknowledged.  An end that
the phone announces while bytes are held is held too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.device.acknowledging import Debtor
from muxd.device.counters import Breach
from muxd.device.ends import NO_END
from muxd.device.errors import ProtocolViolation
from muxd.device.states import (
    CLOSED,
    DRAINING,
    ESTABLISHED,
    FLUSHING,
    HALF_CLOSED,
    HALF_CLOSING,
    TRANSITIONS,
    SessionState,
)
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import Flags, phoneText

if TYPE_CHECKING:
    from muxd.device.owner import SessionOwner

ACK = int(Flags.ACK)
RST = int(Flags.RST)
MASK = 0xFFFFFFFF

# In compiled code it cannot see where it is.
_log = Logger(__name__)


class Session(Debtor):
    """
    One connection.

    @ivar owner: What it belongs to.
    @ivar outbound: The same of its owner, which never changes.
    @ivar sourcePort: Our port, which tells this session from the phone's others.
    @ivar port: The phone's port.
    @ivar end: Where its bytes come from and go to.
    @ivar state: Where the session is in its life.
    @ivar isWithheld: Whether nothing is to be acknowledged at present, also of what was
        taken.
    @ivar waiting: Whether it waits for its turn to send (see L{Outbound}).
    @ivar touched: Whether this batch of packets brought bytes for it, and it has
        not ended.
    @ivar bytesSent: Payload that went to the link.
    @ivar bytesReceived: Payload that came.
    @ivar since: When the phone accepted it, by the owner's clock.
    @ivar stalls: How often its end has not taken all that came.
    @ivar stalledSince: Since when that is so, by the owner's clock; negative if it is not.
    """

    __slots__ = (
        "_reason",
        "_timer",
        "bytesSent",
        "isWithheld",
        "outbound",
        "owner",
        "since",
        "stalledSince",
        "stalls",
        "state",
    )

    def __init__(
        self,
        owner: SessionOwner,
        sourcePort: int,
        port: int,
        send: SendWindow,
        receive: ReceiveWindow,
        since: float,
    ) -> None:
        self.owner = owner
        # In compiled code the owner is of a known class where it is an attribute.
        self.outbound = self.owner.outbound
        self.sourcePort = sourcePort
        self.port = port
        self.send = send
        self.receive = receive
        self.state = ESTABLISHED
        self.available = 0
        self.isWithheld = False
        self.waiting = False
        self.touched = False
        self.bytesSent = 0
        self.bytesReceived = 0
        self.since = since
        self.stalls = 0
        self.stalledSince = -1.0
        self._reason: Failure | None = None
        self._timer: IDelayedCall | None = None

    # Sending

    def offer(self) -> None:
        """
        The end has bytes for the phone: see whether they can be sent.
        """
        self.outbound.ready(self)

    def isQuiet(self) -> bool:
        """
        Whether everything that was sent has been acknowledged.
        """
        return self.send.next == self.send.acknowledged

    @property
    def progress(self) -> int:
        """
        What is different when the phone has taken something.
        """
        return self.send.acknowledged

    def unacknowledged(self) -> int:
        """
        How many bytes of the end's the phone has not confirmed.
        """
        return (self.end.waiting() if self.available else 0) + self.send.inFlight()

    def isSmall(self, limit: int) -> bool:
        """
        Whether all that the end has for the phone are at most this many bytes.
        """
        return self.end.waiting() <= limit

    def advance(self, size: int) -> None:
        """
        A segment of this many bytes is being sent, which acknowledges what may be
        acknowledged.
        """
        send = self.send
        send.next = (send.next + size) & MASK
        self.bytesSent += size
        # Nearly all may be, and this is done for every segment.
        receive = self.receive
        if receive.delivered != receive.acknowledged and (
            (self.state is ESTABLISHED and not self.isWithheld) or self.acknowledgeable()
        ):
            receive.acknowledge()

    def ranDry(self) -> None:
        """
        The end had nothing to send after all.
        """
        # It may let go of the end, which has to be there until it returns.
        end = self.end
        end.ranDry()

    # Acknowledging

    def acknowledgeable(self) -> bool:
        """
        Whether what was taken may be acknowledged now.
        """
        state = self.state
        if state is CLOSED or state is DRAINING:
            return False
        return not self.isWithheld or state is FLUSHING

    def acknowledge(self) -> bool:
        """
        Acknowledge what was taken.

        @return: Whether that is owed, and may be done.
        """
        return self.acknowledgeable() and self.receive.acknowledge()

    def reserve(self, size: int) -> None:
        """
        Leave this many bytes that were taken unacknowledged from now on.
        """
        self.receive.reserve = size

    # From the phone

    def segmentReceived(
        self,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        memory: PacketMemory,
        start: int,
        size: int,
    ) -> None:
        """
        A segment has come for this session.

        @param window: In bytes.
        @param memory: The link's, good for this call only.
        @param start: Where its payload begins there.
        @param size: How many bytes that has.
        """
        if flags != ACK:
            self._unusual(flags, memory, start, size)
            return
        owner = self.owner
        if not self.send.acknowledge(ack, window):
            owner.phoneLog.add(
                Breach.BAD_ACKNOWLEDGEMENT,
                f"expected an acknowledgement up to {self.send.next}, got {ack}",
            )
        receive = self.receive
        if seq != receive.expected:
            behind = receive.behind(seq)
            if behind < 0 and size:
                self._violated(
                    Breach.SEQUENCE_GAP,
                    f"expected seq {receive.expected}, got {seq}: bytes are missing",
                )
                return
            owner.phoneLog.add(Breach.DUPLICATE, f"expected seq {receive.expected}, got {seq}")
            known = min(max(behind, 0), size)
            start += known
            size -= known
        if size:
            if not receive.admits(size):
                self._violated(
                    Breach.OVERRUN,
                    f"expected at most {receive.size} bytes unacknowledged, got {size} more",
                )
                return
            receive.expected = (receive.expected + size) & MASK
            self.bytesReceived += size
            owner.touch(self, size)
            if self.state is FLUSHING:
                receive.delivered = receive.expected
            else:
                # As with L{ranDry}.
                end = self.end
                end.deliver(memory, start, size)
        if self.available:
            # One of many that send mostly has its turn to come.
            if not self.waiting:
                self.outbound.ready(self)
        elif self.state is not ESTABLISHED:
            self.checkFlushed()

    def _unusual(self, flags: int, memory: PacketMemory, start: int, size: int) -> None:
        """
        A segment has other flags than ACK.
        """
        if flags & RST:
            text = phoneText(memory.read(start, size))
            if text:
                _log.info(
                    "{udid} ended session {session} with port {port}: {text}",
                    udid=self.owner.label,
                    session=self.sourcePort,
                    port=self.port,
                    text=text,
                )
            self.ended(Failure(ConnectionDone(text)) if text else connectionDone, reset=False)
        else:
            self._violated(Breach.UNEXPECTED_FLAGS, f"expected flags 0x10, got 0x{flags:02x}")

    def _violated(self, breach: Breach, text: str) -> None:
        """
        The phone has lost the thread of this session, and only of this one.
        """
        self.owner.phoneLog.add(breach, f"session {self.sourcePort}, port {self.port}: {text}")
        self.ended(Failure(ProtocolViolation(text)), reset=True)

    def isHolding(self) -> bool:
        """
        Whether something has come that the end has not taken.
        """
        return self.receive.delivered != self.receive.expected

    def taken(self, size: int) -> None:
        """
        The end has taken this many bytes.
        """
        receive = self.receive
        receive.delivered = (receive.delivered + size) & MASK

    def stalled(self) -> None:
        """
        The end has begun to hold what comes.
        """
        self.stalls += 1
        self.stalledSince = self.owner.seconds()

    def resumed(self) -> None:
        """
        The end has taken some of what was held, and perhaps all of it.
        """
        if self.stalledSince >= 0 and not self.isHolding():
            owner = self.owner
            owner.times.stalls.add(owner.seconds() - self.stalledSince)
            self.stalledSince = -1.0
        if self.state is DRAINING:
            if self.isHolding() or self.isWithheld:
                self._awaitDraining()
            else:
                self._endDraining()
        elif self.acknowledgeable():
            self.owner.delayed.owes(self, self.receive.due())

    # The end

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        There is no more to come: the phone has ended the session or is gone.

        What is held is still delivered when the end takes it.

        @param reset: Whether the phone is to be told.
        """
        if self.state is FLUSHING or not self.isHolding():
            self._finish(reason, reset, False)
            return
        self._reason = reason
        self.available = 0
        end = self.end
        end.forgetUnsent()
        self.owner.sessionEnded(self)
        if reset:
            self._reset()
        self._awaitDraining()

    def close(self) -> None:
        """
        Send what the end has and wait for its acknowledgement, then end the session;
        at the latest when the phone has taken nothing for the flush timeout.
        """
        state = self.state
        if state is DRAINING:
            self._endDraining(True)
        elif state is not FLUSHING and state is not CLOSED:
            end = self.end
            end.forgetHeld()
            self.receive.delivered = self.receive.expected
            self._enter(FLUSHING)
            self.checkFlushed(True)
            if self.state is FLUSHING:
                self._awaitFlush()
                self.owner.delayed.owes(self, self.receive.due())

    def closeHalf(self) -> None:
        """
        Send what the end has, and go on delivering what the phone says until it ends
        the session (protocol 3.7), or the end does: it knows whether anything is still
        waiting for the phone's answer, and a session does not.
        """
        if self.state is ESTABLISHED:
            self._enter(HALF_CLOSING)
            self.checkFlushed(True)

    def abort(self, reason: Failure | None = None, *, later: bool = True) -> None:
        """
        End the session now; what was not sent is dropped.

        @param reason: What the end is told; that it was its own wish, if it is None.
        """
        if reason is None:
            reason = Failure(ConnectionAborted())
        self._finish(reason, True, later)

    def checkFlushed(self, later: bool = False) -> None:
        """
        Go on with closing, if that is what the session does and everything has
        been taken.

        @param later: Tell the end afterwards, as it is calling us.
        """
        state = self.state
        if state is not FLUSHING and state is not HALF_CLOSING:
            return
        end = self.end
        if self.available or not self.isQuiet() or not end.isFinished():
            return
        if state is FLUSHING:
            self._finish(connectionDone, True, later)
        else:
            self._enter(HALF_CLOSED)
            end.writeFinished(later)

    # Waiting

    def _awaitDraining(self) -> None:
        """
        Let the end take what is held.
        """
        self._enter(DRAINING, self.owner.limits.flushTimeout, self._drainingExpired)

    def _drainingExpired(self) -> None:
        end = self.end
        if end.isTaking():
            self._awaitDraining()
        else:
            self._endDraining()

    def _endDraining(self, later: bool = False) -> None:
        assert self._reason is not None
        self._finish(self._reason, False, later)

    def _awaitFlush(self) -> None:
        """
        Let the phone take the last bytes, as slowly as it likes.
        """
        before = self.send.acknowledged

        def expired() -> None:
            self._timer = None
            if self.send.acknowledged != before:
                self._awaitFlush()
            else:
                self._flushExpired()

        self._enter(FLUSHING, self.owner.limits.flushTimeout, expired)

    def _flushExpired(self) -> None:
        text = f"the phone did not take the last {self.unacknowledged()} bytes in time"
        self._finish(Failure(ConnectionLost(text)), True, False)

    def _enter(
        self,
        state: SessionState,
        delay: float | None = None,
        expired: Callable[[], None] | None = None,
    ) -> None:
        """
        Change the state, and with it the one timer; every change happens here.
        """
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"session {self.sourcePort}: {self.state.value} to {state.value}")
        timer = self._timer
        if timer is not None:
            if timer.active():
                timer.cancel()
            self._timer = None
        self.state = state
        if delay is not None and expired is not None:
            self._timer = self.owner.clock.callLater(delay, expired)

    def _reset(self) -> None:
        self.outbound.segment(self, RST, self.send.next, self.receive.delivered)

    def _finish(self, reason: Failure, reset: bool, later: bool) -> None:
        """
        The one way to CLOSED.  Everything is put in order before the end hears
        of it, last.

        @param reset: Whether the phone is to be told.
        @param later: It hears of it from the reactor, as it is calling us and
            does not expect to be called before we return.
        """
        state = self.state
        if state is CLOSED:
            return
        self._enter(CLOSED)
        self.available = 0
        if state is not DRAINING:
            self.owner.sessionEnded(self)
            if reset:
                self._reset()
        end, self.end = self.end, NO_END
        end.lost(reason, later)
