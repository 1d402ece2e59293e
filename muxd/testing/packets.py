# -*- test-case-name: tests.wire.test_mux -*-
"""
Mux packets and segments as values, for tests of either end of a muxer.
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.wire.mux import (
    DATA_OFFSET,
    TCP_HEADER,
    V1_HEADER,
    V2_HEADER,
    WINDOW_SHIFT,
    MuxProtocol,
)


class MalformedPacket(ValueError):
    """
    Bytes that are no packet or segment; the text says what was expected.
    """


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One pseudo-TCP segment.

    @ivar window: In bytes, a multiple of 256.
    """

    sourcePort: int
    destinationPort: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """
        The body of a TCP packet.
        """
        header = TCP_HEADER.pack(
            self.sourcePort,
            self.destinationPort,
            self.seq,
            self.ack,
            DATA_OFFSET,
            self.flags,
            self.window >> WINDOW_SHIFT,
            0,
            0,
        )
        return header + self.payload

    @classmethod
    def decode(cls, body: bytes | memoryview) -> Segment:
        """
        Parse the body of a TCP packet.

        @raise MalformedPacket: It is shorter than a header, or its data offset
            is not 5 words.
        """
        if len(body) < TCP_HEADER.size:
            raise MalformedPacket(f"TCP header: expected {TCP_HEADER.size} bytes, got {len(body)}")
        source, destination, seq, ack, offset, flags, window, _, _ = TCP_HEADER.unpack_from(body)
        if offset >> 4 != DATA_OFFSET >> 4:
            raise MalformedPacket(f"TCP data offset: expected 5 words, got {offset >> 4}")
        payload = bytes(body[TCP_HEADER.size :])
        return cls(source, destination, seq, ack, flags, window << WINDOW_SHIFT, payload)


@dataclass(frozen=True, slots=True)
class Packet:
    """
    One mux packet.

    @ivar transmitted: The sender's packet counter; None under v1.
    @ivar received: The last counter it saw; None under v1.
    @ivar magic: As received; None under v1.
    """

    protocol: int
    body: bytes
    transmitted: int | None = None
    received: int | None = None
    magic: int | None = None

    @classmethod
    def decode(cls, data: bytes | memoryview, version: int) -> Packet:
        """
        Parse one whole packet.

        @param version: The negotiated version; a VERSION packet is read as v1
            whatever it is (protocol 2.2).
        @raise MalformedPacket: It is shorter than its header, or its length
            field does not match.
        """
        if len(data) < V1_HEADER.size:
            raise MalformedPacket(f"mux header: expected {V1_HEADER.size} bytes, got {len(data)}")
        protocol, length = V1_HEADER.unpack_from(data)
        if length != len(data):
            raise MalformedPacket(f"mux packet of {len(data)} bytes says it has {length}")
        if version < 2 or protocol == MuxProtocol.VERSION:
            return cls(protocol, bytes(data[V1_HEADER.size :]))
        if len(data) < V2_HEADER.size:
            raise MalformedPacket(f"mux header: expected {V2_HEADER.size} bytes, got {len(data)}")
        protocol, length, magic, transmitted, received = V2_HEADER.unpack_from(data)
        return cls(protocol, bytes(data[V2_HEADER.size :]), transmitted, received, magic)
