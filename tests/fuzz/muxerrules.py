# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
What a muxer keeps to, whatever its phone does.
"""

from __future__ import annotations

from collections.abc import Sequence

from muxd.device.muxer import Muxer
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import BULK_PAYLOAD, USB_MTU, V1_HEADER, Flags, MuxProtocol, encodeVersion
from muxd.wire.sequence import between, distance
from tests.device.links import RecordingLink
from tests.fuzz.apps import App
from tests.fuzz.watching import demand

SENT_FLAGS = (int(Flags.SYN), int(Flags.ACK), int(Flags.RST))


class MuxerRules:
    """
    Looks at what a muxer has sent, and holds, and has told.
    """

    def __init__(self, muxer: Muxer, link: RecordingLink, apps: Sequence[App]) -> None:
        """
        @param apps: What has asked for sessions; there may be more as time goes by.
        """
        self._muxer = muxer
        self._link = link
        self._apps = apps
        self._window = muxer.limits.receiveWindow
        self._expected = 0

    def check(self) -> None:
        """
        What holds at any time.

        @raise Violation: It does not.
        """
        sent, self._link.sent = self._link.sent, []
        for packet in sent:
            self._checkPacket(packet)
        muxer, limits = self._muxer, self._muxer.limits
        demand(len(muxer._sessions) <= limits.sessionsPerPhone, "too many sessions")
        if muxer.version:
            backlog, most = muxer.outbound.backlog, limits.controlQueue + len(self._apps) * 3
            demand(backlog <= most, f"{backlog} control segments wait")
        for app in self._apps:
            session = app.session
            if session is not None:
                held = sum(map(len, session._held or ()))
                demand(held <= self._window, f"{held} bytes are held")
                demand(len(app.recorder.lost) <= 1, "a session was lost twice")
            demand(app.factory.starts >= app.factory.stops, "a factory was stopped twice")

    def _checkPacket(self, data: bytes) -> None:
        """
        Each packet that goes out is one, and comes after its predecessor.
        """
        protocol, length = V1_HEADER.unpack_from(data)
        demand(length == len(data) <= USB_MTU, f"a packet of {len(data)} bytes says {length}")
        if protocol == MuxProtocol.VERSION:
            demand(data == encodeVersion(2), "another VERSION")
            return
        packet = Packet.decode(data, self._muxer.version)
        if packet.transmitted is not None:
            demand(packet.transmitted == self._expected, "a counter was left out")
            self._expected = self._expected + 1 & 0xFFFF
        if protocol != MuxProtocol.TCP:
            demand(protocol == MuxProtocol.SETUP and packet.body == b"\7", f"protocol {protocol}")
            return
        segment = Segment.decode(packet.body)
        demand(segment.flags in SENT_FLAGS, f"flags {segment.flags:#x}")
        demand(len(segment.payload) <= BULK_PAYLOAD, "a payload that is too long")
        if segment.payload:
            self._checkPayload(segment)

    def _checkPayload(self, segment: Segment) -> None:
        """
        What was written goes out, each byte once and in order.
        """
        key = segment.destinationPort << 16 | segment.sourcePort
        for app in self._apps:
            if app.key == key:
                begin, end = app.heard, app.heard + len(segment.payload)
                demand(segment.seq == begin + 1, f"seq {segment.seq}, expected {begin + 1}")
                demand(segment.payload == app.written[begin:end], "other bytes than were written")
                app.heard = end
                session = app.session
                if session is not None and session.connected:
                    receive = session.session.receive
                    demand(
                        distance(segment.ack, receive.expected) <= 2 * self._window
                        or between(segment.ack, receive.expected, segment.ack),
                        "an acknowledgement of what has not come",
                    )
                return
        demand(False, "a payload of nobody")
