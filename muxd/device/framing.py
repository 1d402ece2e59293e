# -*- test-case-name: tests.device.test_framing -*-
"""
The mux header as negotiated, with its counters (protocol 2.1 to 2.3).
"""

from __future__ import annotations

from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import (
    SETUP_BODY,
    TCP_HEADER,
    V1_HEADER,
    V2_HEADER,
    MuxProtocol,
    encodePacketV2,
)

COUNTER = 0xFFFF


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

    def write(
        self,
        memory: PacketMemory,
        size: int,
        source: int,
        destination: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
    ) -> int:
        """
        Put both headers of a segment before its payload of C{size} bytes, which begins at
        L{overhead}.

        @param window: In bytes.
        @return: How many bytes the packet has.
        """
        transmitted = self.transmitted
        self.transmitted = (transmitted + 1) & 0xFFFF
        return memory.writeSegment(
            self.version,
            size,
            transmitted,
            self.received,
            source,
            destination,
            seq,
            ack,
            flags,
            window,
        )
