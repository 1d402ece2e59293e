"""
A host that speaks the protocol by hand: whatever it should not do, it can do.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.protocols.wire import Discard, Echo

from muxd.phone.mux.behaviour import STRICT, Expectations
from muxd.phone.mux.muxer import PACKET_SIZE, WINDOW, PhoneMuxer
from muxd.phone.services.inet import ServiceFactory
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import (
    MAGIC,
    SETUP_BODY,
    Flags,
    MuxProtocol,
    encodePacketV1,
    encodePacketV2,
    encodeVersion,
)
from muxd.wire.sequence import advance

SERVICES = {7: ServiceFactory(Echo), 9: ServiceFactory(Discard)}
"""Enough for most tests, on ports of the phone."""


class ManualHost:
    """
    A phone's muxer and what the host has had from it.

    @ivar raw: Packets as they came, and not looked at by L{packets}.
    """

    def __init__(
        self,
        services: Mapping[int, IProtocolFactory],
        *,
        mux: int = 2,
        window: int = WINDOW,
        packetSize: int = PACKET_SIZE,
        expectations: Expectations = STRICT,
    ) -> None:
        self.clock = Clock()
        self.raw: list[bytes] = []
        self.room = True
        self.muxer = PhoneMuxer(
            self.clock,
            self.raw.append,
            services,
            mux=mux,
            udid="u",
            window=window,
            packetSize=packetSize,
            hasRoom=lambda: self.room,
            expectations=expectations,
        )
        self.version = mux
        self.counter = 0
        self.seen = 0xFFFF

    @property
    def violations(self) -> list[str]:
        """
        What the phone has found.
        """
        return self.muxer.violations

    def handshake(self) -> ManualHost:
        """
        VERSION and SETUP.
        """
        self.muxer.hostPacket(encodeVersion(2))
        assert self.raw.pop() == encodeVersion(self.version)
        if self.version >= 2:
            self.counter = 0
            self.seen = 0xFFFF
            self.send(MuxProtocol.SETUP, SETUP_BODY)
        return self

    def send(self, protocol: int, body: bytes) -> None:
        """
        Any packet, with the right counters.
        """
        if self.version < 2:
            self.muxer.hostPacket(encodePacketV1(protocol, body))
            return
        counter, self.counter = self.counter, (self.counter + 1) & 0xFFFF
        self.muxer.hostPacket(encodePacketV2(protocol, body, counter, self.seen, MAGIC))

    def packets(self) -> list[Packet]:
        """
        What has come since the last call.
        """
        packets = [Packet.decode(data, self.version) for data in self.raw]
        self.raw.clear()
        for packet in packets:
            if packet.transmitted is not None:
                assert packet.transmitted == (self.seen + 1) & 0xFFFF
                self.seen = packet.transmitted
        return packets

    def segments(self) -> list[Segment]:
        """
        The segments that have come since the last call.
        """
        return [Segment.decode(p.body) for p in self.packets() if p.protocol == MuxProtocol.TCP]

    def connect(self, port: int, hostPort: int = 1, window: int = WINDOW) -> ManualSession:
        """
        Open a session.
        """
        session = ManualSession(self, hostPort, port, window)
        session.send(Flags.SYN)
        session.seq = 1
        (answer,) = self.segments()
        assert answer.flags == Flags.SYN | Flags.ACK, answer
        session.ack = advance(answer.seq, 1)
        session.send()
        return session


class ManualSession:
    """
    The host's end of a session, which counts right unless told otherwise.

    @ivar received: Payload, in order.
    @ivar reset: The phone's RST.
    """

    def __init__(self, host: ManualHost, hostPort: int, port: int, window: int) -> None:
        self.host = host
        self.hostPort = hostPort
        self.port = port
        self.window = window
        self.seq = 0
        self.ack = 0
        self.acknowledged = 1
        self.received = b""
        self.reset: Segment | None = None

    def send(self, flags: int = Flags.ACK, payload: bytes = b"", skew: int = 0) -> None:
        """
        One segment.

        @param skew: How far its seq is off.
        """
        segment = Segment(
            self.hostPort,
            self.port,
            advance(self.seq, skew),
            self.ack,
            flags,
            self.window,
            payload,
        )
        self.seq = advance(self.seq, len(payload))
        self.host.send(MuxProtocol.TCP, segment.encode())

    def take(self, segment: Segment) -> None:
        """
        Account for a segment of the phone.
        """
        assert segment.sourcePort == self.port and segment.destinationPort == self.hostPort
        if segment.flags & Flags.RST:
            self.reset = segment
            return
        assert segment.flags == Flags.ACK, segment
        assert segment.seq == self.ack, (segment.seq, self.ack)
        self.ack = advance(self.ack, len(segment.payload))
        self.acknowledged = segment.ack
        self.received += segment.payload

    def poll(self) -> bytes:
        """
        Account for everything that has come, and return this session's payload
        since the last call.
        """
        before = len(self.received)
        for segment in self.host.segments():
            self.take(segment)
        return self.received[before:]

    def end(self) -> bytes:
        """
        What comes until the phone's reactor has had its next turn, in which a
        service that has closed ends.
        """
        before = len(self.received)
        self.poll()
        self.host.clock.advance(0)
        self.poll()
        return self.received[before:]
