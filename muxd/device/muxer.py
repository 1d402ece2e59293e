# -*- test-case-name: tests.device.test_muxer,tests.device.test_handshake -*-
"""
The host's end of a link: handshake, counters, and which segment is whose
(protocol 2 and 3.3).

The life of a muxer is IDLE, then NEGOTIATING from our VERSION to the phone's,
then ACTIVE, and ENDED from the loss of the link, a failed handshake or C{stop}
on.  It does not come back: a phone that is plugged in again gets another one.

Segments reach their session through a dictionary whose key is both ports in one
integer.  Acknowledging is left to the end of each batch of packets (see
L{muxd.device.acknowledging}): a session that got five segments in one wake-up
acknowledges at most once, and not at all if it sent data in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory, IReactorTime
from twisted.python.failure import Failure
from zope.interface import classImplements

from muxd.device.acknowledging import Debtor, DelayedAcknowledgements
from muxd.device.counters import Breach, MuxerCounters
from muxd.device.deadlines import Deadlines
from muxd.device.errors import HandshakeTimeout, NoFreePort, UnsupportedVersion
from muxd.device.framing import COUNTER, Framing
from muxd.device.lending import lender
from muxd.device.observing import SegmentObserver
from muxd.device.opening import PendingSession, SessionRequest
from muxd.device.outbound import Outbound, Ported
from muxd.device.owner import SessionOwner
from muxd.device.phonelog import PhoneLog
from muxd.device.ports import SourcePorts
from muxd.device.session import Session
from muxd.device.times import SessionTimes
from muxd.device.transport import ProtocolRequest
from muxd.device.windowsharing import WindowSharing
from muxd.interfaces import Buffer, IPacketLink, IPlacedPacketReceiver, PlacedPacket
from muxd.limits import LIMITS, Limits
from muxd.net.packetmemory import V2_SEGMENT, PacketMemory
from muxd.wire.mux import (
    DATA_OFFSET,
    DEVICE_MRU,
    TCP_HEADER,
    V1_HEADER,
    V2_HEADER,
    VERSION_BODY,
    Flags,
    MuxProtocol,
    encodeVersion,
)

TCP = int(MuxProtocol.TCP)
RST = int(Flags.RST)
OUR_MAJOR = 2

COUNTER_AT = 12
"""Where a v2 header has its sender's packet counter."""


class MuxerState(Enum):
    """
    See the module's text.
    """

    IDLE = "idle"
    NEGOTIATING = "negotiating"
    ACTIVE = "active"
    ENDED = "ended"


# A member of an enumeration is slow to look up, and these are asked for with each packet.
IDLE = MuxerState.IDLE
NEGOTIATING = MuxerState.NEGOTIATING
ACTIVE = MuxerState.ACTIVE
ENDED = MuxerState.ENDED


class Muxer(SessionOwner):
    """
    One phone's sessions on one link.

    @ivar label: What the phone is called in logs: its UDID.
    @ivar state: Where the muxer is in its life.
    @ivar version: Of the mux protocol as negotiated; 0 before.
    @ivar counters: What has happened so far.
    @ivar times: How long it took.
    @ivar phoneLog: What was wrong with it.
    @ivar outbound: What waits to be sent; not before ACTIVE.
    @ivar delayed: Acknowledgements that wait for a timer; not before ACTIVE.
    @ivar openings: The deadlines of sessions that the phone has not answered.
    @ivar observer: Is shown all segments; None if nothing looks (see L{observe}).
    """

    def __init__(self, clock: IReactorTime, label: str, limits: Limits = LIMITS) -> None:
        self.clock = clock
        self.seconds = clock.seconds
        self.label = label
        self.limits = limits
        self.state = IDLE
        self.version = 0
        self.counters = MuxerCounters()
        self.times = SessionTimes()
        self.phoneLog = PhoneLog(clock, label, self.counters)
        self._link: IPacketLink | None = None
        self._memory: PacketMemory | None = None
        self._framing = Framing(OUR_MAJOR)
        self._ports = SourcePorts(clock, limits.portReuseDelay)
        self.openings = Deadlines(clock, limits.connectTimeout)
        self._sessions: dict[int, Ported] = {}
        self._touched: list[Debtor] = []
        self._ready: Deferred[None] | None = None
        self._handshakeTimer: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._lost: Failure | None = None
        self.observer: SegmentObserver | None = None

    # Life

    def handshake(self, link: IPacketLink) -> Deferred[None]:
        """
        Start the link and agree on a version (protocol 2.2).

        @return: fires when sessions can be opened; fails with
            L{HandshakeTimeout}, L{UnsupportedVersion} or C{ConnectionLost}.
            The link is not closed then.
        """
        self._link = link
        self._ready = ready = Deferred[None]()
        self.state = NEGOTIATING
        self._handshakeTimer = self.clock.callLater(
            self.limits.handshakeTimeout, self._handshakeTimedOut
        )
        link.start(self)
        link.send((encodeVersion(OUR_MAJOR),))
        self.counters.packetsSent += 1
        return ready

    def whenLost(self) -> Deferred[None]:
        """
        Wait for the end.

        @return: fails, with why, when the muxer has ended.
        """
        lost: Deferred[None] = Deferred()
        if self._lost is None:
            self._waiting.append(lost)
        else:
            lost.errback(self._lost)
        return lost

    def stop(self) -> None:
        """
        End every session with a RST, which the link sends before it is closed.
        """
        self._end(Failure(ConnectionLost("the daemon let go of the phone")), reset=True)

    def linkLost(self, reason: Failure) -> None:
        """
        The phone is gone: its sessions end without a RST.
        """
        self._end(reason, reset=False)

    def _handshakeTimedOut(self) -> None:
        text = f"no answer to VERSION within {self.limits.handshakeTimeout:g} s"
        self._end(Failure(HandshakeTimeout(text)), reset=False)

    def _end(self, reason: Failure, *, reset: bool) -> None:
        if self.state is ENDED:
            return
        # First of all, as the application is called below and may call us.
        self.state = ENDED
        self._lost = reason
        lost = Failure(ConnectionLost(f"{self.label}: {reason.getErrorMessage()}"))
        for key, session in list(self._sessions.items()):
            if self._sessions.get(key) is session:
                session.ended(lost, reset=reset)
        self.openings.stop()
        if self.version:
            self.delayed.stop()
            if reset:
                self.outbound.sendControl()
        if self._handshakeTimer is not None and self._handshakeTimer.active():
            self._handshakeTimer.cancel()
        self.phoneLog.stop()
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.errback(reason)
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.errback(reason)

    # Sessions

    @property
    def sessions(self) -> Iterator[Session]:
        """
        Those that are established, to look at.
        """
        return (one for one in self._sessions.values() if isinstance(one, Session))

    def connect(self, port: int, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a session with a TCP port of the phone.

        @return: fires with the factory's protocol, connected; fails with
            C{ConnectionRefusedError} and the phone's text, C{TimeoutError},
            C{ConnectionLost} when the phone is gone, L{NoFreePort}, or
            C{ConnectError} when the phone has long stopped taking packets.
        """
        sourcePort = self._portFor()
        if isinstance(sourcePort, Exception):
            return fail(sourcePort)
        try:
            factory.doStart()
        except Exception:
            self._ports.release(sourcePort)
            return fail()
        connected: Deferred[IProtocol] = Deferred(lambda _: opening.cancel())
        opening = self._open(sourcePort, port, ProtocolRequest(factory, connected))
        return connected

    def open(self, port: int, request: SessionRequest) -> PendingSession:
        """
        Open a session for something else than a protocol.

        @raise ConnectError: It cannot be opened, as with L{connect}; or
            C{ConnectionLost}.
        """
        sourcePort = self._portFor()
        if isinstance(sourcePort, Exception):
            raise sourcePort
        return self._open(sourcePort, port, request)

    def _portFor(self) -> int | Exception:
        """
        A source port for one more session, or why there is none.
        """
        if self.state is not ACTIVE:
            text = "has not answered yet" if self._lost is None else "is not there any more"
            return ConnectionLost(f"{self.label} {text}")
        ports = self._ports
        most = self.limits.sessionsPerPhone
        if self.outbound.backlog >= most:
            return ConnectError(string=f"{self.label} takes no packets")
        sourcePort = ports.take() if len(ports) < most else None
        if sourcePort is None:
            return NoFreePort(string=f"{self.label} has {len(ports)} sessions already")
        return sourcePort

    def observe(self, observer: SegmentObserver | None) -> None:
        """
        Show all segments from now on to this observer, and to no other one.
        """
        self.observer = observer
        if self.version:
            self.outbound.observer = observer

    def _open(self, sourcePort: int, port: int, request: SessionRequest) -> PendingSession:
        if self.observer is not None:
            self.observer.sessionOpening(sourcePort, port)
        opening = PendingSession(self, sourcePort, port, request)
        self._sessions[port << 16 | sourcePort] = opening
        return opening

    def sessionOpened(self, session: Ported) -> None:
        """
        An L{PendingSession} has become a session.
        """
        assert isinstance(session, Session)
        self._sessions[session.port << 16 | session.sourcePort] = session

    def sessionEnded(self, session: Ported) -> None:
        """
        Its ports are free, after a rest; packets for it are strays.
        """
        if self._sessions.pop(session.port << 16 | session.sourcePort, None) is not None:
            self._ports.release(session.sourcePort)
            if isinstance(session, Session):
                ended = session
                ended.touched = False
                self.delayed.forget(ended)
                self.outbound.forget(ended)

    def touch(self, session: Debtor, size: int) -> None:
        """
        A segment brought bytes: see to their acknowledgement after the batch.
        """
        self.counters.bytesReceived += size
        sharing = self.delayed.sharing
        if size > sharing.packet:
            sharing.saw(size)
        if not session.touched:
            session.touched = True
            self._touched.append(session)

    # From the link

    def packetsReceived(self, packets: Sequence[memoryview]) -> None:
        """
        One wake-up's packets, in order.
        """
        self.placedPacketsReceived(self._placed(packets))

    def _placed(self, packets: Sequence[memoryview]) -> Iterator[PlacedPacket]:
        """
        Packets in memory of ours, each until the next one is asked for.
        """
        for packet in packets:
            memory, size = self._memory, len(packet)
            if memory is None or memory.size < size:
                self._memory = memory = PacketMemory(max(DEVICE_MRU, size))
            yield memory, 0, memory.write(0, packet)

    def placedPacketsReceived(self, packets: Iterable[PlacedPacket]) -> None:
        """
        The same, of packets in memory that can be used as it is.
        """
        counters, sessions = self.counters, self._sessions
        for memory, start, size in packets:
            counters.packetsReceived += 1
            headers = 0
            if self.version == 2 and size >= V2_SEGMENT:
                memory.readSegment(2, start)
                if memory.protocol == TCP and memory.dataOffset == DATA_OFFSET:
                    counter, framing = memory.transmitted, self._framing
                    if counter != (framing.received + 1) & COUNTER:
                        self._counterJumped(counter)
                    framing.received = counter
                    headers = V2_SEGMENT
            if not headers:
                headers = self._unusualPacketReceived(memory, start, size)
                if not headers:
                    continue
            # It is a segment, whose headers were read from this memory last.
            place = start + headers
            payload = size - headers
            if self.observer is not None:
                header = TCP_HEADER.size
                self.observer.segmentReceived(memory, place - header, header + payload)
            found = sessions.get(memory.sourcePort << 16 | memory.destinationPort)
            if found is not None:
                found.segmentReceived(
                    memory.seq, memory.ack, memory.flags, memory.window, memory, place, payload
                )
            else:
                self._stray(memory.sourcePort, memory.destinationPort, memory.seq, memory.flags)
        if self._touched:
            self._batchEnded()

    def _batchEnded(self) -> None:
        """
        See to what is owed to the phone for the packets of one wake-up.
        """
        touched, self._touched = self._touched, []
        delayed = self.delayed
        for one in touched:
            # An ended session is forgotten already.
            if one.touched:
                one.touched = False
                delayed.owes(one, one.receive.due())

    def roomAvailable(self) -> None:
        """
        Send what was waiting for the link.
        """
        if self.state is ACTIVE:
            self.outbound.flush()

    def _unusualPacketReceived(self, memory: PacketMemory, start: int, size: int) -> int:
        """
        Any packet but a well-formed v2 segment.

        @return: How many bytes the headers of a segment are; 0 if it is none.
        """
        if self.state is ENDED:
            return 0
        if size < V1_HEADER.size:
            self.phoneLog.add(Breach.MALFORMED, f"expected a header of 8 bytes, got {size}")
            return 0
        memory.readHeader(start)
        protocol = memory.protocol
        if protocol == MuxProtocol.VERSION:
            self._versionReceived(memory.read(start + V1_HEADER.size, size - V1_HEADER.size))
            return 0
        header = V1_HEADER if self.version < 2 else V2_HEADER
        if self.version == 2:
            if size < header.size:
                self.phoneLog.add(Breach.MALFORMED, f"expected 16 bytes, got {size}")
                return 0
            counter = int.from_bytes(memory.read(start + COUNTER_AT, 2), "big")
            if counter != (self._framing.received + 1) & COUNTER:
                self._counterJumped(counter)
            self._framing.received = counter
        rest = size - header.size
        if protocol == MuxProtocol.CONTROL:
            self.phoneLog.controlReceived(memory.read(start + header.size, rest))
        elif protocol == MuxProtocol.TCP:
            return self._unusualSegmentReceived(memory, start, header.size, rest)
        else:
            self.phoneLog.add(Breach.MALFORMED, f"expected CONTROL or TCP, got protocol {protocol}")
        return 0

    def _versionReceived(self, body: Buffer) -> None:
        if self.state is not NEGOTIATING:
            self.phoneLog.add(Breach.MALFORMED, "expected no VERSION after the first one")
            return
        if len(body) < VERSION_BODY.size:
            self.phoneLog.add(Breach.MALFORMED, f"VERSION: expected 12 bytes, got {len(body)}")
            return
        major, minor, _ = VERSION_BODY.unpack_from(body)
        if major not in (1, 2):
            text = f"expected version 1 or 2 of the mux protocol, the phone chose {major}.{minor}"
            self._end(Failure(UnsupportedVersion(text)), reset=False)
            return
        self._activate(major)

    def _activate(self, major: int) -> None:
        assert self._link is not None
        self.version = major
        self._framing = Framing(major)
        window = self.limits.receiveWindow
        self.outbound = Outbound(
            lender(self._link),
            self._framing,
            self.counters,
            window=window,
            smallWrite=self.limits.smallWrite,
            controlQueue=self.limits.controlQueue,
        )
        self.outbound.observer = self.observer
        self.delayed = DelayedAcknowledgements(
            self.clock,
            self.outbound,
            # A window that is smaller must not be used up until a timer runs.
            threshold=min(self.limits.acknowledgeAt, window // 2),
            delay=self.limits.acknowledgeDelay,
            sharing=WindowSharing(window),
        )
        if self._handshakeTimer is not None:
            self._handshakeTimer.cancel()
        self.state = ACTIVE
        setup = self._framing.setup()
        if setup is not None:
            # The link may be lost with this, and we have ended when it returns.
            self._link.send((setup,))
            self.counters.packetsSent += 1
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.callback(None)

    def _unusualSegmentReceived(
        self, memory: PacketMemory, start: int, header: int, size: int
    ) -> int:
        """
        A v1 segment, or one that is not well-formed or too early.

        @param header: How many bytes of the packet are that of the mux protocol.
        @param size: How many follow.
        @return: How many bytes its headers are; 0 if it is no segment.
        """
        if self.state is not ACTIVE:
            self.phoneLog.add(Breach.MALFORMED, "expected VERSION, got a segment")
            return 0
        if size < TCP_HEADER.size:
            self.phoneLog.add(Breach.MALFORMED, f"expected a TCP header of 20 bytes, got {size}")
            return 0
        memory.readSegment(self.version, start)
        offset = memory.dataOffset
        if offset != DATA_OFFSET:
            self.phoneLog.add(
                Breach.MALFORMED, f"expected TCP data offset 0x50, got 0x{offset:02x}"
            )
            return 0
        return header + TCP_HEADER.size

    def _stray(self, source: int, destination: int, seq: int, flags: int) -> None:
        """
        A segment for no session: usually late, for one that we have ended.  It
        is answered by an anonymous RST, but a RST never is (protocol 3.4).
        """
        self.counters.strays += 1
        if flags & RST or self.state is not ACTIVE:
            return
        if not self.outbound.answerStray(destination, source, seq):
            self.counters.straysUnanswered += 1

    def _counterJumped(self, counter: int) -> None:
        """
        The reader lost or reordered transfers, or the phone started anew
        (protocol 2.3).  The first packet may have any number.
        """
        if self._framing.received != COUNTER:
            self.phoneLog.add(
                Breach.COUNTER_GAP,
                f"expected packet {(self._framing.received + 1) & COUNTER}, got {counter}",
            )


# A compiled class takes no decorator.
classImplements(Muxer, IPlacedPacketReceiver)
