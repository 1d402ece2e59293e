# -*- test-case-name: tests.device.test_outbound -*-
"""
What goes to the phone next.

A link takes a few transfers at a time and the bus carries them in order, so
whatever is handed to it early delays all that comes later: a daemon that
queues each session's whole window in transfers makes one byte of another
session wait behind half a megabyte.  So almost nothing is queued there.  The
rest waits here, or rather in the sessions, and is chosen only when the link has
room:

  1. Control segments: SYN, its last acknowledgement, RST.  Few and small; what
     they wait for is only the link's hard cap on small packets, and nothing
     overtakes them then: a session's first data may not come before the
     acknowledgement that opens it.

  2. Acknowledgements.  A session that owes one is remembered, not the segment:
     when its turn comes it acknowledges all that was delivered until then, so
     a session never has two in the queue, and one that sends data in the
     meantime has none.

  3. Data: the sessions that have both bytes and window, in turn, a segment
     each.

  4. Answers to strays, segments of no session: a phone may send any number of
     those, and a session that does not exist must not delay those that do.  While
     data waits, one is answered for each time that the link has room.

An ended session leaves the queue at once, as a phone may take nothing
for as long as it likes.

One exception makes an interactive session feel as if it were alone: a small
write of a session with nothing in flight does not wait for its turn.  It can do
that once a round trip, so it cannot starve the others.

Segments are small where others have to wait for them.  A session that has sent L{LONE} of
them and no other one any in between lets nothing wait, and its next are larger; with
keystrokes in between, or an echo, they stay small.

Counters are put into the header at the last moment, as they must follow the
order on the bus.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from twisted.python.failure import Failure

from muxd.device.counters import MuxerCounters
from muxd.device.ends import SessionEnd
from muxd.device.framing import Framing
from muxd.device.lending import Lender
from muxd.device.observing import SegmentObserver
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import TCP_HEADER, Flags

ACK = int(Flags.ACK)
RST = int(Flags.RST)

LONE = 16
"""
So many segments in a row make a session the only one: 8 ms of a USB 2 bus, and an echo beside
it is there and back in two.
"""


class Ported:
    """
    Whatever has a port at either end: a session, or one that is being opened.  All are
    subclasses, so that compiled code asks them without asking Python what they have; and
    so it is with those below, and elsewhere.

    @ivar sourcePort: Our port, which tells this session from the phone's others.
    @ivar port: The phone's port.
    """

    __slots__ = ("port", "sourcePort")

    sourcePort: int
    port: int

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
        A segment with these ports has come.

        @param window: In bytes.
        @param memory: The link's, good for this call only.
        @param start: Where its payload begins there.
        @param size: How many bytes that has.
        """
        raise NotImplementedError

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        There is no more to come.

        @param reset: Whether the phone is to be told.
        """
        raise NotImplementedError


class Sender(Ported):
    """
    A session, to what sends for it.

    @ivar available: How many bytes its end has for the phone.
    @ivar waiting: Whether it is among those that wait for their turn.
    @ivar end: Where its bytes come from and go to.
    @ivar send: What it may send.
    @ivar receive: What the phone may send.
    """

    __slots__ = ("available", "end", "receive", "send", "waiting")

    available: int
    waiting: bool
    end: SessionEnd
    send: SendWindow
    receive: ReceiveWindow

    def isQuiet(self) -> bool:
        """
        Whether everything that was sent has been acknowledged.
        """
        raise NotImplementedError

    def advance(self, size: int) -> None:
        """
        A segment of this many bytes is being sent, which acknowledges what may be
        acknowledged.
        """
        raise NotImplementedError

    def isSmall(self, limit: int) -> bool:
        """
        Whether all that its end has for the phone are at most this many bytes.
        """
        raise NotImplementedError

    def ranDry(self) -> None:
        """
        Its end had nothing to send after all.
        """
        raise NotImplementedError

    def acknowledge(self) -> bool:
        """
        Acknowledge what was taken.

        @return: Whether that is owed, and may be done.
        """
        raise NotImplementedError


class Outbound:
    """
    The queues in front of one link.

    @ivar observer: Is shown all segments that are sent; None if nothing looks.
    """

    def __init__(
        self,
        lender: Lender,
        framing: Framing,
        counters: MuxerCounters,
        *,
        window: int,
        smallWrite: int,
        controlQueue: int,
    ) -> None:
        """
        @param window: What every segment advertises, in bytes.
        @param smallWrite: The largest payload that may overtake others.
        @param controlQueue: How many answers to strays may wait.
        """
        self._lender = lender
        self._framing = framing
        self._counters = counters
        self._window = window
        self._smallWrite = smallWrite
        self._controlQueue = controlQueue
        self._control: deque[tuple[int, int, int, int, int, int]] = deque()
        self._owing: OrderedDict[Sender, None] = OrderedDict()
        self._ready: deque[Sender] = deque()
        self._endedReady = 0
        self._latest: Sender | None = None
        self._row = 0
        self._lone: Sender | None = None
        self._strays: OrderedDict[tuple[int, int], int] = OrderedDict()
        self.observer: SegmentObserver | None = None

    @property
    def backlog(self) -> int:
        """
        How many control segments wait for room, answers to strays included.
        """
        return len(self._control) + len(self._strays)

    def answerStray(self, source: int, destination: int, ack: int) -> bool:
        """
        Send an anonymous RST when nothing else waits, unless too many are waiting
        that the phone is obviously not listening.  One is enough for each pair of
        ports.
        """
        strays = self._strays
        if (source, destination) not in strays:
            if len(strays) >= self._controlQueue:
                return False
            waits = strays or self._control or self._owing or self._ready
            if not waits and self._lender.hasRoom(self._framing.overhead):
                self._transmit(source, destination, 0, ack, RST, 0)
                return True
        strays[source, destination] = ack
        return True

    def segment(self, session: Ported, flags: int, seq: int, ack: int) -> None:
        """
        Send a control segment of a session, ahead of all data.
        """
        source = session.sourcePort
        destination = session.port
        if self._strays:
            # An answer to its predecessor on these ports would end this one.
            self._strays.pop((source, destination), None)
        if self._control or not self._lender.hasRoom(self._framing.overhead):
            self._control.append((source, destination, seq, ack, flags, self._window))
        else:
            self._transmit(source, destination, seq, ack, flags, self._window)

    def acknowledge(self, session: Sender) -> None:
        """
        Send what the session owes, now or as soon as the link has room.
        """
        if not self._control and self._lender.hasRoom(self._framing.overhead):
            self._acknowledge(session)
        else:
            self._owing[session] = None

    def ready(self, session: Sender) -> None:
        """
        The session has bytes to send and a window to send them in.
        """
        if session.waiting:
            return
        lender = self._lender
        send = session.send
        most = lender.lonePayload if session is self._lone else lender.payload
        size = send.room(session.available, most)
        if not size:
            return
        session.waiting = True
        overhead = self._framing.overhead
        isDry = False
        if self._control:
            # A waiting SYN's or acknowledgement's numbers are older than ours.
            pass
        else:
            if not self._ready:
                while size and lender.hasRoom(overhead + size):
                    if not self._send(session, size):
                        isDry = True
                        break
                    # Most have said all they have.
                    size = session.available and send.room(session.available, most)
            if size and not isDry and self._mayOvertake(session, size):
                isDry = not self._send(session, min(size, self._smallWrite))
                size = send.room(session.available, most)
        if size and not isDry:
            self._ready.append(session)
        else:
            session.waiting = False
            if isDry:
                session.ranDry()

    def _mayOvertake(self, session: Sender, size: int) -> bool:
        """
        Whether what the session has is little, and need not wait for its turn.
        """
        small = self._smallWrite
        return (
            (not self._ready or session.isQuiet())
            and self._lender.hasRoom(self._framing.overhead + min(size, small))
            and (size <= small or session.isSmall(small))
        )

    def forget(self, session: Sender) -> None:
        """
        The session has ended: it sends nothing any more but, at most, a RST.

        There may be thousands, so it is not looked for among those that are
        ready, whose turns are to cost little: they are gone through when as
        many have ended as may be left.
        """
        if self._owing:
            self._owing.pop(session, None)
        if session is self._latest:
            self._latest = self._lone = None
        if session.waiting:
            session.waiting = False
            self._endedReady += 1
            ready = self._ready
            if 2 * self._endedReady >= len(ready):
                self._endedReady = 0
                alive = [one for one in ready if one.waiting]
                ready.clear()
                ready.extend(alive)

    def flush(self) -> None:
        """
        The link has room: send what waits, in the order of the prose above.
        """
        lender = self._lender
        overhead = self._framing.overhead
        control = self._control
        while control and lender.hasRoom(overhead):
            self._transmit(*control.popleft())
        if control:
            return
        owing = self._owing
        while owing and lender.hasRoom(overhead):
            self._acknowledge(owing.popitem(last=False)[0])
        ready = self._ready
        strays = self._strays
        while ready:
            session = ready[0]
            send = session.send
            most = lender.lonePayload if session is self._lone else lender.payload
            size = send.room(session.available, most)
            isDry = False
            if size:
                if not lender.hasRoom(overhead + size):
                    if strays and lender.hasRoom(overhead):
                        self._answerStray()
                    return
                ready.popleft()
                isDry = not self._send(session, size)
                if not isDry and session.available and send.room(session.available, most):
                    ready.append(session)
                    continue
            else:
                ready.popleft()
            session.waiting = False
            if isDry:
                session.ranDry()
        while strays and lender.hasRoom(overhead):
            self._answerStray()

    def sendControl(self) -> None:
        """
        Send the waiting control segments of sessions, room or not: nothing comes
        after.
        """
        while self._control:
            self._transmit(*self._control.popleft())

    def _transmit(
        self, source: int, destination: int, seq: int, ack: int, flags: int, window: int
    ) -> None:
        framing, lender = self._framing, self._lender
        memory = lender.borrow(framing.overhead)
        size = framing.write(memory, 0, source, destination, seq, ack, flags, window)
        self._counters.packetsSent += 1
        if self.observer is not None:
            self._observed(self.observer, memory, size)
        lender.transmit(memory, size)

    def _observed(self, observer: SegmentObserver, memory: PacketMemory, length: int) -> None:
        """
        Show a packet of this many bytes.
        """
        start = self._framing.overhead - TCP_HEADER.size
        observer.segmentSent(memory, start, length - start)

    def _answerStray(self) -> None:
        (source, destination), ack = self._strays.popitem(last=False)
        self._transmit(source, destination, 0, ack, RST, 0)

    def _acknowledge(self, session: Sender) -> None:
        if session.acknowledge():
            self._counters.acknowledgements += 1
            self._transmit(
                session.sourcePort,
                session.port,
                session.send.next,
                session.receive.acknowledged,
                ACK,
                self._window,
            )

    def _send(self, session: Sender, most: int) -> int:
        """
        Send a segment.

        @return: The size of its payload; 0 if the session had none.
        """
        framing, lender = self._framing, self._lender
        overhead = framing.overhead
        memory = lender.borrow(overhead + most)
        end = session.end
        size = end.fill(memory, overhead, most)
        if size <= 0:
            lender.giveBack(memory)
            return 0
        if session is not self._latest:
            self._latest, self._row, self._lone = session, 1, None
        elif self._lone is None:
            self._row += 1
            if self._row >= LONE:
                self._lone = session
        seq = session.send.next
        session.advance(size)
        length = framing.write(
            memory,
            size,
            session.sourcePort,
            session.port,
            seq,
            session.receive.acknowledged,
            ACK,
            self._window,
        )
        counters = self._counters
        counters.packetsSent += 1
        counters.bytesSent += size
        if self.observer is not None:
            self._observed(self.observer, memory, length)
        lender.transmit(memory, length)
        end.sent()
        return size
