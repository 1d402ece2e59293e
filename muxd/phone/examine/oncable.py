# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
Checks of what goes over the cable: transfers, the handshake, packets.
"""

from __future__ import annotations

from muxd.phone.bus.descriptors import Speed
from muxd.phone.examine.checks import Checks
from muxd.phone.examine.findings import NotExamined, Violated, require
from muxd.phone.examine.stage import Stage
from muxd.phone.mux.muxer import MuxState
from muxd.wire.mux import TCP_HEADER, V1_HEADER, V2_HEADER

CHECKS = Checks()

HEADERS = V2_HEADER.size + TCP_HEADER.size

PATTERN = bytes(range(251)) * 1300
"""More than a packet can have, and no power of two."""

SECOND_TRY = 20.0
"""Seconds in which a phone that has not answered VERSION should be asked anew."""

RETURN = 40.0
"""Seconds in which a phone on the bus should be used again after a transfer has failed."""


async def upload(stage: Stage, size: int) -> None:
    """
    Send this many bytes to the phone at once, and see them arrive.
    """
    pair = await stage.open()
    data = PATTERN[:size]
    pair.client.send(data)
    got = await pair.peer.exactly(size)
    require(got == data, f"expected the {size} bytes that were sent, got other ones")
    pair.client.hangUp()
    await pair.peer.ended()


async def download(stage: Stage, size: int, more: int = 0) -> None:
    """
    The phone sends this many bytes at once, and then others.
    """
    pair = await stage.open()
    data = PATTERN[: size + more]
    pair.peer.send(data[:size])
    if more:
        await stage.pause(0)
        pair.peer.send(data[size:])
    got = await pair.client.exactly(len(data))
    require(got == data, f"expected the {len(data)} bytes that were sent, got other ones")
    pair.client.hangUp()
    await pair.peer.ended()


@CHECKS.about(3)
async def wholePackets(stage: Stage) -> None:
    """
    A transfer of whole USB packets is ended by an empty one.
    """
    for length in (512, 1024, 4096, 16384, 32768):
        await upload(stage, length - HEADERS)


@CHECKS.about(4)
async def largePackets(stage: Stage) -> None:
    """
    The size of USB packets is the endpoint's: 1024 bytes on a fast bus.
    """
    if stage.speed < Speed.SUPER:
        raise NotExamined("this is not a fast bus: --speed super")
    for length in (512, 1024, 1536, 3072, 16384):
        await upload(stage, length - HEADERS)


@CHECKS.about(5)
async def wholeReads(stage: Stage) -> None:
    """
    Packets of any length are put together, also those that fill a read.
    """
    for length in (16383, 16384, 16385, 32768, 49152, 65535):
        stage.phone.muxer.packetSize = length
        await download(stage, length - HEADERS, 100)


@CHECKS.about(6)
async def shared(stage: Stage) -> None:
    """
    Two packets in one transfer are both taken.
    """
    pair = await stage.open()
    stage.phone.isGluing = True
    pair.peer.send(b"one")
    await stage.pause(0.05)
    stage.phone.isGluing = False
    pair.peer.send(b"two")
    got = await pair.client.exactly(6, 3.0)
    require(got == b"onetwo", f"expected onetwo, got {got!r}")
    pair.client.hangUp()


@CHECKS.about(7)
async def order(stage: Stage) -> None:
    """
    What the phone sends keeps its order, over many small packets and several sessions.
    """
    stage.phone.muxer.packetSize = 700
    pairs = [await stage.open() for _ in range(4)]
    for pair in pairs:
        pair.peer.send(PATTERN[:200000])
    for pair in pairs:
        got = await pair.client.exactly(200000, 60)
        require(got == PATTERN[:200000], "expected what the phone sent, got it in another order")
        pair.client.hangUp()


@CHECKS.about(10)
async def pulledOut(stage: Stage) -> None:
    """
    A phone that is pulled out in the middle of transfers is told of once, its clients are closed,
    and it can come back.
    """
    listener = await stage.client()
    require(await listener.result("Listen") == 0, "expected Result 0 of Listen")
    pair = await stage.open()
    pair.peer.send(PATTERN[:100000])
    pair.client.send(PATTERN[:100000])
    await pair.client.exactly(1)
    number = await stage.number()
    await stage.unplug()
    await pair.client.ended()
    await stage.gone()
    stage.plug()
    await stage.listed()
    events: list[tuple[object, object]] = []
    while not events or events[-1][0] != "Attached" or events[-1][1] == number:
        event = await listener.dictionary()
        events.append((event.get("MessageType"), event.get("DeviceID")))
    detached = events.count(("Detached", number))
    require(detached == 1, f"expected Detached once, got {events}")
    await stage.alive()


@CHECKS.about(14, 15)
async def properties(stage: Stage) -> None:
    """
    The UDID has its dash, the location has 32 bits, and the entry has what clients read.
    """
    entry = await stage.listed()
    known = entry["Properties"]
    require(known.get("ConnectionType") == "USB", f"expected ConnectionType USB, got {known}")
    location = known.get("LocationID", 0)
    require(0 <= location < 1 << 32, f"expected a LocationID of 32 bits, got {location}")
    product = known.get("ProductID", 0)
    require(product == 0x12A8, f"expected ProductID 0x12a8, got {product:#x}")


@CHECKS.about(17)
async def mute(stage: Stage) -> None:
    """
    A phone that does not answer VERSION is asked again, and used when it answers.
    """
    await stage.unplug()
    await stage.gone()
    stage.phone.muxer.faults.silent = True
    before = stage.phone.muxer.packetsReceived
    stage.plug()
    if not await stage.until(lambda: stage.phone.muxer.packetsReceived > before):
        raise Violated("expected VERSION, got nothing")
    stage.phone.muxer.faults.silent = False
    if not await stage.until(lambda: stage.phone.muxer.state is MuxState.ACTIVE, SECOND_TRY):
        raise Violated(f"expected a second VERSION within {SECOND_TRY:g} s, got none")
    await stage.alive()


@CHECKS.about(18)
async def magic(stage: Stage) -> None:
    """
    A phone may write any magic number into its packets, as this one does.
    """
    await stage.alive()


@CHECKS.about(19, 20)
async def oldPhone(stage: Stage) -> None:
    """
    A phone of version 1 is talked to in its framing, and may say something in a CONTROL packet.
    """
    await stage.replace(mux=1)
    try:
        stage.plug()
        await stage.listed()
        stage.phone.muxer.complain(b"a text under version 1")
        stage.phone.muxer.packetSize = 16384
        await upload(stage, 512 - V1_HEADER.size - TCP_HEADER.size)
        await download(stage, 16384 - V1_HEADER.size - TCP_HEADER.size, 10)
    finally:
        await stage.replace()


@CHECKS.about(20)
async def control(stage: Stage) -> None:
    """
    CONTROL packets of every kind, also an empty one, leave the sessions alone.
    """
    pair = await stage.open()
    for kind in (3, 4, 5, 7, 200):
        stage.phone.muxer.sendControl(kind, b"what a phone says")
    stage.phone.muxer.sendPacket(1, b"")
    pair.peer.send(b"after")
    got = await pair.client.exactly(5)
    require(got == b"after", f"expected what the phone sent, got {got!r}")
    pair.client.hangUp()


@CHECKS.about(21)
async def counters(stage: Stage) -> None:
    """
    The counters of packets are kept both ways: rx_seq is the last tx_seq of the phone.
    """
    pair = await stage.open()
    for number in range(20):
        pair.peer.send(b"down")
        await pair.client.exactly(4)
        pair.client.send(bytes([number]))
        await pair.peer.exactly(1)
    pair.client.hangUp()


@CHECKS.about(73)
async def failedTransfer(stage: Stage) -> None:
    """
    A phone that stays on the bus when a transfer has failed is used again.
    """
    handshakes = stage.phone.muxer.handshakes
    attachment = stage.phone.attachment
    assert attachment is not None
    stage.phone.stall()
    attachment.clearHalt(stage.phone.endpoints[0])
    attachment.clearHalt(stage.phone.endpoints[1])
    stage.phone.muxer.complain(b"one more")
    end = stage.deadline(RETURN)
    while True:
        try:
            await stage.alive()
        except Violated:
            if stage.clock.seconds() >= end:
                raise Violated(
                    f"expected the phone to be used again within {RETURN:g} s of a failed"
                    f" transfer; handshakes: {stage.phone.muxer.handshakes - handshakes}"
                ) from None
            await stage.pause(0.2)
        else:
            return
