# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
The codec of mux packets: transfers put together to packets, packets and segments
taken apart.
"""

from __future__ import annotations

from muxd.testing.packets import MalformedPacket, Packet, Segment
from muxd.wire.assembly import PacketAssembler
from muxd.wire.mux import (
    DEVICE_MRU,
    V1_HEADER,
    MuxProtocol,
    encodePacketV1,
    encodePacketV2,
    phoneText,
)
from tests.fuzz.metering import Bounds, metering
from tests.fuzz.script import Script
from tests.fuzz.watching import LONGEST_LINE, demand, watching

SIZES = (512, 16384, 65536, 64, 17)
"""Of transfers."""


def encodePacket(packet: Packet) -> bytes:
    """
    A packet as it was.
    """
    if packet.transmitted is None:
        return encodePacketV1(packet.protocol, packet.body)
    assert packet.received is not None and packet.magic is not None
    return encodePacketV2(
        packet.protocol, packet.body, packet.transmitted, packet.received, packet.magic
    )


def takeApart(data: bytes, version: int) -> None:
    """
    A packet encodes to what it was made of, a segment to one with the same
    meaning.
    """
    try:
        packet = Packet.decode(data, version)
    except MalformedPacket:
        return
    demand(encodePacket(packet) == data, "a packet is not what it was made of")
    text = phoneText(packet.body)
    demand(text.isprintable() and len(text) < LONGEST_LINE, f"text that cannot be shown: {text!r}")
    if packet.protocol != MuxProtocol.TCP:
        return
    try:
        segment = Segment.decode(packet.body)
    except MalformedPacket:
        return
    demand(Segment.decode(segment.encode()) == segment, "a segment is not what it was made of")
    demand(packet.body.endswith(segment.payload), "another payload")


def transfers(script: Script) -> None:
    """
    Of whatever a phone sends: packets are whole, nothing is lost without being
    counted, and nothing grows.
    """
    version, size = script.choose((2, 1)), script.choose(SIZES)
    counted = 0

    def dropped(count: int, reason: str) -> None:
        nonlocal counted
        demand(count > 0 and len(reason) < 200, f"{count} bytes dropped: {reason}")
        counted += count

    script.byte()  # Inputs of the corpus have one here.
    assembler = PacketAssembler(dropped)
    given = taken = 0
    while script:
        kind = script.byte()
        isPartial, isFull = kind & 1, kind & 2
        chunk = script.piece()[:size]
        if isFull:
            chunk = chunk.ljust(size, b"\0")
        given += len(chunk)
        packets = assembler.feed(memoryview(chunk), size, bool(isPartial))
        for packet in packets:
            demand(V1_HEADER.unpack_from(packet)[1] == len(packet), "a packet that is not whole")
            demand(V1_HEADER.size <= len(packet) <= DEVICE_MRU, "a packet of no size")
            taken += len(packet)
            takeApart(bytes(packet), version)
        demand(len(assembler) <= DEVICE_MRU, f"{len(assembler)} bytes are held")
        demand(assembler.dropped == counted, "dropped bytes were not told of")
        demand(given == taken + counted + len(assembler), "bytes were lost, or found")
    whole = memoryview(encodePacketV1(MuxProtocol.CONTROL, bytes(10)))
    assembler.feed(memoryview(b"\0" * 3), 512)
    demand(assembler.feed(whole, 512) == [whole], "the place is lost for ever")


def streams(script: Script) -> None:
    """
    Packets that a phone sends as it should arrive as they are, however the bus
    cuts them.
    """
    size = script.choose(SIZES)
    packets: list[bytes] = []
    wire: list[bytes] = []
    assembler = PacketAssembler()
    while script and len(packets) < 16:
        isOwn = script.byte() & 1
        length = script.word() % (DEVICE_MRU - 16)
        packet = encodePacketV1(MuxProtocol.TCP, script.take(20).ljust(length, b"."))
        packets.append(packet)
        if isOwn or not wire:
            wire.append(packet)
        else:
            wire[-1] += packet
    found: list[bytes] = []
    for message in wire:
        pieces = [message[at : at + size] for at in range(0, len(message) + 1, size)]
        for piece in pieces:
            found += map(bytes, assembler.feed(memoryview(piece), size))
    demand(found == packets, "other packets have arrived")
    demand(assembler.drops == 0 and len(assembler) == 0, "something was dropped")


BOUNDS = Bounds(lines=1_000_000, seconds=10.0)
"""
What is one turn here are thousands: sixteen packets of up to 64 KiB, in pieces of 64 bytes, each
of which a bus brings by itself and costs 30 lines.
"""


def run(data: bytes) -> None:
    """
    The first byte says what the others are.
    """
    script = Script(data)
    with watching(), metering(data, BOUNDS) as meter, meter.turn():
        script.choose((transfers, streams))(script)
