# -*- test-case-name: tests.phone.mux.test_muxer,tests.phone.mux.test_framing -*-
"""
The phone's muxer, strict: it writes down whatever the host does wrong.

It runs in the reactor's thread and knows nothing of USB: whole packets go in by
L{PhoneMuxer.hostPacket} and come out of a callable.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.logger import Logger

from muxd.phone.mux.behaviour import STRICT, Expectations, Faults
from muxd.phone.mux.framing import Framing
from muxd.phone.mux.session import PhoneSession
from muxd.wire.mux import (
    DATA_OFFSET,
    SETUP_BODY,
    TCP_HEADER,
    VERSION_BODY,
    WINDOW_SHIFT,
    ControlKind,
    Flags,
    MuxProtocol,
    encodeVersion,
)

WINDOW = 131072
PACKET_SIZE = 32000
"""The largest packet to the host; what real phones do is not known."""

VIOLATIONS_KEPT = 1000

LATE_SESSIONS_KEPT = 1024

SessionKey = tuple[int, int]
"""Host port and phone port."""


class MuxState(Enum):
    """
    The handshake (protocol 2.2).
    """

    SILENT = "no VERSION yet"
    VERSION_AGREED = "no SETUP yet"
    ACTIVE = "active"


class PhoneMuxer:
    """
    The far end of a host's muxer.

    @ivar clock: Calls later.
    @ivar services: What listens on which port; may be changed at any time.
    @ivar udid: Whose sessions these are.
    @ivar window: What each session offers the host, in bytes.
    @ivar packetSize: The largest packet to the host, header included.
    @ivar faults: How it misbehaves.
    @ivar violations: What the host has done wrong, in words.
    @ivar sessions: The open ones.
    @ivar handshakes: VERSION packets that were answered.
    @ivar packetsReceived: Whole transfers of the host.
    @ivar largestReceived: The largest of them, in bytes.
    @ivar packetsSent: Packets to the host.
    @ivar acknowledgementsReceived: Segments of the host without a payload.
    @ivar observe: Called with each packet that is sent, and each transfer that has come, and
        whether it has come from the host.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        send: Callable[[bytes], None],
        services: Mapping[int, IProtocolFactory],
        *,
        mux: int = 2,
        udid: str = "",
        window: int = WINDOW,
        packetSize: int = PACKET_SIZE,
        hasRoom: Callable[[], bool] | None = None,
        expectations: Expectations = STRICT,
    ) -> None:
        """
        @param send: Sends one packet to the host.
        @param mux: The newest version it speaks, 1 or 2.
        @param hasRoom: Whether a data packet should be sent now; if not,
            the link calls L{roomAvailable} later.
        """
        self.clock = clock
        self.services = services
        self.udid = udid
        self.window = window
        self.packetSize = packetSize
        self.expectations = expectations
        self.faults = Faults()
        self.violations: list[str] = []
        self.sessions: dict[SessionKey, PhoneSession] = {}
        self.state = MuxState.SILENT
        self.handshakes = 0
        self.packetsReceived = 0
        self.largestReceived = 0
        self.packetsSent = 0
        self.acknowledgementsReceived = 0
        self.observe: Callable[[bytes, bool], object] = lambda packet, isHosts: None
        self._mux = mux
        self._sendRaw = send
        self._hasRoom = hasRoom or (lambda: True)
        self._waiting: deque[bytes] = deque()
        self._busy = False
        self._ready: OrderedDict[PhoneSession, None] = OrderedDict()
        self._turning = False
        self._late: dict[SessionKey, None] = {}
        self._framing = Framing(0, self.violation, expectations)

    @property
    def version(self) -> int:
        """
        The agreed one, 0 before.
        """
        return self._framing.version

    @property
    def payloadSize(self) -> int:
        """
        The largest payload of a segment to the host.
        """
        return self.packetSize - self._framing.headerSize - TCP_HEADER.size

    def violation(self, text: str) -> None:
        """
        The host has done something wrong.
        """
        if len(self.violations) < VIOLATIONS_KEPT:
            self.violations.append(text)
            self._log.warn("the host violates the protocol: {text}", text=text, udid=self.udid)

    def lost(self) -> None:
        """
        The host is gone: no session survives that.
        """
        self._waiting.clear()
        self._beginAnew(0)

    def _beginAnew(self, version: int) -> None:
        """
        Forget everything but the services.
        """
        sessions = list(self.sessions.values())
        self.sessions.clear()
        self._ready.clear()
        self._late.clear()
        self.state = MuxState.SILENT
        self._framing = Framing(version, self.violation, self.expectations)
        for session in sessions:
            session.lost()

    # From the host.

    def hostPacket(self, data: bytes) -> None:
        """
        One whole OUT transfer of the host.
        """
        self._waiting.append(data)
        if self._busy:
            # A host in the same process has answered from within send().
            return
        self._busy = True
        try:
            while self._waiting:
                self._packet(self._waiting.popleft())
        finally:
            self._busy = False

    def _packet(self, data: bytes) -> None:
        """
        Check the framing and dispatch.
        """
        self.observe(data, True)
        self.packetsReceived += 1
        self.largestReceived = max(self.largestReceived, len(data))
        packet = self._framing.decode(data)
        if packet is None:
            return
        protocol, body = packet
        if protocol == MuxProtocol.VERSION:
            self._versionReceived(body)
        elif protocol == MuxProtocol.SETUP:
            self._setupReceived(body)
        elif protocol != MuxProtocol.TCP:
            self.violation(f"protocol {protocol}, which no host sends")
        elif self.state is not MuxState.ACTIVE:
            self.violation("TCP before SETUP")
        elif len(body) < TCP_HEADER.size:
            self.violation(f"TCP packet of {len(body)} bytes, expected 20 at least")
        else:
            self._segmentReceived(body)

    def _versionReceived(self, body: memoryview) -> None:
        """
        The host begins, or begins anew.
        """
        if len(body) != VERSION_BODY.size:
            self.violation(f"VERSION of {len(body)} bytes, expected {VERSION_BODY.size}")
            return
        major, minor, padding = VERSION_BODY.unpack(body)
        if (major, minor, padding) != (2, 0, 0):
            self.violation(f"VERSION {major} {minor} {padding}, expected 2 0 0")
        version = 0 if self.faults.silent else self.faults.version or min(self._mux, major)
        self._beginAnew(version)
        if not version:
            return
        self.handshakes += 1
        self.state = MuxState.VERSION_AGREED if version >= 2 else MuxState.ACTIVE
        self._send(encodeVersion(version))

    def _setupReceived(self, body: memoryview) -> None:
        if self.version < 2:
            self.violation("SETUP under version 1")
        elif self.state is MuxState.ACTIVE:
            self.violation("SETUP twice")
        elif body != SETUP_BODY:
            self.violation(f"SETUP with {bytes(body[:16]).hex()}, expected 07")
        self.state = MuxState.ACTIVE

    def _segmentReceived(self, body: memoryview) -> None:
        """
        Find the session of a segment.
        """
        fields = TCP_HEADER.unpack_from(body)
        hostPort, port, seq, ack, offset, flags, window, checksum, urgent = fields
        if offset != DATA_OFFSET:
            self.violation(f"data offset {offset:#x}, expected {DATA_OFFSET:#x}")
            return
        if checksum or urgent:
            self.violation(f"checksum {checksum} and urgent {urgent}, expected 0 0")
        payload = body[TCP_HEADER.size :]
        if not payload:
            self.acknowledgementsReceived += 1
        key = (hostPort, port)
        session = self.sessions.get(key)
        if flags == Flags.SYN:
            self._synReceived(key, seq, ack, window << WINDOW_SHIFT, len(payload))
        elif session is not None:
            session.segmentReceived(seq, ack, flags, window << WINDOW_SHIFT, payload)
        elif not flags & Flags.RST:
            if key not in self._late:
                self.violation(f"session {hostPort}->{port}: unknown, flags {flags:#04x}")
            self.sendSegment(hostPort, port, ack, seq, Flags.RST, 0)

    def _synReceived(self, key: SessionKey, seq: int, ack: int, window: int, size: int) -> None:
        """
        Open a session or refuse it.
        """
        hostPort, port = key
        if ack or size or not hostPort:
            self.violation(f"SYN of {hostPort}->{port} with ack {ack} and {size} bytes")
        session = self.sessions.get(key)
        if session is not None:
            self.violation(f"session {hostPort}->{port}: SYN while it is open")
            session.reset(b"SYN on an open session")
            return
        self._late.pop(key, None)
        factory = self.services.get(port)
        if port in self.faults.deaf:
            return
        if port in self.faults.refusals or factory is None:
            text = self.faults.refusals.get(port, b"connection refused")
            self.sendSegment(hostPort, port, 0, seq + 1, Flags.RST | Flags.ACK, 0, text)
            return
        session = self.sessions[key] = PhoneSession(self, factory, hostPort, port)
        session.synReceived(seq, window)

    # To the host.

    def ready(self, session: PhoneSession) -> None:
        """
        A session has something to send: it gets its turn, and then the others
        theirs.
        """
        self._ready.setdefault(session)
        self.roomAvailable()

    def roomAvailable(self) -> None:
        """
        Give turns, one segment each, while there is room.
        """
        if self._turning:
            return
        self._turning = True
        try:
            while self._ready and self._hasRoom():
                session, _ = self._ready.popitem(last=False)
                if session.turn():
                    self._ready.setdefault(session)
        finally:
            self._turning = False

    def forget(self, session: PhoneSession, late: bool = False) -> None:
        """
        A session has ended.

        @param late: The phone has ended it: segments of the host may be on
            their way, which is no fault.
        """
        key = (session.hostPort, session.port)
        self.sessions.pop(key, None)
        if late:
            self._late[key] = None
            if len(self._late) > LATE_SESSIONS_KEPT:
                del self._late[next(iter(self._late))]

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
        """
        Send any segment, whether or not there is such a session.

        @param window: In bytes.
        """
        if payload and not flags & Flags.RST and self.faults.skipSequence:
            seq += self.faults.skipSequence
            self.faults.skipSequence = 0
        header = TCP_HEADER.pack(
            port,
            hostPort,
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            DATA_OFFSET,
            flags,
            window >> WINDOW_SHIFT,
            0,
            0,
        )
        self.sendPacket(MuxProtocol.TCP, header + payload)

    def sendControl(self, kind: int, text: bytes) -> None:
        """
        Tell the host something (protocol 2.4).
        """
        self.sendPacket(MuxProtocol.CONTROL, bytes((kind,)) + text)

    def complain(self, text: bytes) -> None:
        """
        Tell the host of an error.
        """
        self.sendControl(ControlKind.ERROR, text)

    def sendPacket(self, protocol: int, body: bytes) -> None:
        """
        Send any packet, framed as agreed.
        """
        self._framing.skip, self.faults.skipCounter = self.faults.skipCounter, 0
        self._send(self._framing.encode(protocol, body))

    def _send(self, packet: bytes) -> None:
        self.packetsSent += 1
        self.observe(packet, False)
        self._sendRaw(packet)
