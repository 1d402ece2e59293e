# -*- test-case-name: tests.phone.mux.test_framing -*-
"""
Mux packets as the phone reads and writes them, with their counters.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.phone.mux.behaviour import Expectations
from muxd.wire.mux import (
    MAGIC,
    USB_MTU,
    V1_HEADER,
    V2_HEADER,
    MuxProtocol,
    encodePacketV1,
    encodePacketV2,
)

PHONE_MAGIC = 0xFACEFACE
"""What phones write, so that a host which checks it is found out."""

COUNTER_MASK = 0xFFFF


class Framing:
    """
    The framing of one handshake, from VERSION to the next.

    @ivar version: The agreed one, 0 before.
    @ivar skip: How far the counter of the next packet jumps: a fault.
    """

    def __init__(
        self,
        version: int,
        violation: Callable[[str], None],
        expectations: Expectations,
    ) -> None:
        """
        @param violation: Called with whatever is wrong.
        """
        self.version = version
        self.skip = 0
        self._violation = violation
        self._expectations = expectations
        self._counter = 0
        self._hostCounter = COUNTER_MASK
        self._hostSaw = COUNTER_MASK

    @property
    def headerSize(self) -> int:
        """
        Of every packet but VERSION.
        """
        return V2_HEADER.size if self.version >= 2 else V1_HEADER.size

    def encode(self, protocol: int, body: bytes) -> bytes:
        """
        A packet to the host.
        """
        if self.version < 2:
            return encodePacketV1(protocol, body)
        counter = (self._counter + self.skip) & COUNTER_MASK
        self.skip = 0
        self._counter = (counter + 1) & COUNTER_MASK
        return encodePacketV2(protocol, body, counter, self._hostCounter, PHONE_MAGIC)

    def decode(self, data: bytes) -> tuple[int, memoryview] | None:
        """
        Check a packet of the host, and take its protocol and its body out.

        @return: None if it is none.
        """
        size = len(data)
        if size < V1_HEADER.size:
            self._violation(f"transfer of {size} bytes, expected a header of 8 at least")
            return None
        protocol, length = V1_HEADER.unpack_from(data)
        if length != size:
            self._wrongLength(protocol, length, size)
            return None
        if size > USB_MTU:
            self._violation(f"packet of {size} bytes, expected at most {USB_MTU}")
            return None
        if protocol == MuxProtocol.VERSION:
            return protocol, memoryview(data)[V1_HEADER.size :]
        if not self.version:
            self._violation(f"protocol {protocol} before VERSION")
            return None
        if size < self.headerSize:
            self._violation(f"packet of {size} bytes, expected a header of 16 at least")
            return None
        if self.version >= 2:
            self._checkCounters(data)
        return protocol, memoryview(data)[self.headerSize :]

    def _wrongLength(self, protocol: int, length: int, size: int) -> None:
        """
        Say what is behind a length that does not match: mostly two packets
        glued together for want of the empty one between them.
        """
        if V1_HEADER.size <= length < size and length % 64 == 0:
            self._violation(
                f"missing ZLP: a packet of {length} bytes was not ended, "
                f"and the transfer became one of {size}"
            )
        else:
            self._violation(
                f"transfer of {size} bytes with a packet length of {length}, protocol {protocol}"
            )

    def _checkCounters(self, data: bytes) -> None:
        """
        The two counters of a v2 header (protocol 2.3).
        """
        protocol, _, magic, transmitted, received = V2_HEADER.unpack_from(data)
        if magic != MAGIC:
            self._violation(f"magic {magic:#x}, expected {MAGIC:#x}")
        if protocol == MuxProtocol.SETUP:
            if (transmitted, received) != (0, COUNTER_MASK):
                self._violation(f"SETUP with counters {transmitted} {received}, expected 0 65535")
        else:
            expected = (self._hostCounter + 1) & COUNTER_MASK
            if transmitted != expected:
                self._violation(f"tx_seq {transmitted}, expected {expected}")
            self._checkReceived(received)
        self._hostCounter = transmitted

    def _checkReceived(self, received: int) -> None:
        """
        The host may lag behind what we have sent, but not go back.
        """
        last = (self._counter - 1) & COUNTER_MASK
        unseen = (last - self._hostSaw) & COUNTER_MASK
        if (received - self._hostSaw) & COUNTER_MASK <= unseen:
            self._hostSaw = received
        elif self._expectations.received:
            self._violation(f"rx_seq {received}, expected {self._hostSaw} to {last}")
