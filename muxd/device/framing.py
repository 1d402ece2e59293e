# -*- test-case-name: tests.device.test_framing -*-
"""
The mux header as negotiated, with its counters (protocol 2.1 to 2.3).
"""

from __future__ import annotations

from struct import Struct

from muxd.wire.mux import (
    DATA_OFFSET,
    MAGIC,
    SETUP_BODY,
    TCP_HEADER,
    V1_HEADER,
    V1_TCP,
    V2_HEADER,
    V2_TCP,
    WINDOW_SHIFT,
    MuxProtocol,
    encodePacketV2,
)

TCP = int(MuxProtocol.TCP)
COUNTER = 0xFFFF

V2_SEGMENT = Struct(">I8xH2xHHIIBBH4x")
"""
What is looked at of a segment's two headers under v2: protocol, the phone's
packet counter, source and destination port, seq, ack, offset, flags, window.
"""


class Framing:
    """
    Writes headers of one version.

    SETUP has counter 0 and says that nothing was received, which is 0xffff; the
    first packet after it has counter 1.

    @ivar version: 1 or 2.
    @ivar overhead: Bytes before a segment's payload: 28 or 36.
    @ivar transmitted: The counter of the next packet.
    @ivar received: The counter of the phone's last packet.
    """

    __slots__ = ("overhead", "received", "transmitted", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        header = V1_HEADER if version < 2 else V2_HEADER
        self.overhead = header.size + TCP_HEADER.size
        self.transmitted = 0
        self.received = COUNTER

    def setup(self) -> bytes | None:
        """
        The SETUP packet, which resets both counters; None under v1.
        """
        if self.version < 2:
            return None
        self.transmitted = 1
        return encodePacketV2(MuxProtocol.SETUP, SETUP_BODY, 0, self.received)

    def segment(
        self, source: int, destination: int, seq: int, ack: int, flags: int, window: int, size: int
    ) -> bytes:
        """
        Both headers of a segment whose payload has C{size} bytes.

        @param window: In bytes.
        """
        length = self.overhead + size
        if self.version < 2:
            return V1_TCP.pack(
                TCP,
                length,
                source,
                destination,
                seq,
                ack,
                DATA_OFFSET,
                flags,
                window >> WINDOW_SHIFT,
                0,
                0,
            )
        transmitted = self.transmitted
        self.transmitted = (transmitted + 1) & COUNTER
        return V2_TCP.pack(
            TCP,
            length,
            MAGIC,
            transmitted,
            self.received,
            source,
            destination,
            seq,
            ack,
            DATA_OFFSET,
            flags,
            window >> WINDOW_SHIFT,
            0,
            0,
        )
