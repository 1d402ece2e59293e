# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
Checks of sessions: the pseudo-TCP of the muxer.
"""

from __future__ import annotations

from muxd.phone.examine.checks import Checks
from muxd.phone.examine.findings import NotExamined, Violated, require
from muxd.phone.examine.oncable import PATTERN, download, upload
from muxd.phone.examine.stage import Pair, Stage, swapped
from muxd.phone.mux.session import State
from muxd.wire.messages import Result
from muxd.wire.mux import TCP_HEADER, Flags, MuxProtocol

CHECKS = Checks()

SYN_PATIENCE = 15.0
"""Seconds after which a SYN without answer should be given up."""

QUIET = 0.5
"""Seconds in which nothing should happen."""

PORTS = 65536
ODD_PORT = 1999

LOTS = len(PATTERN)


class Overheard:
    """
    The segments of the host from now on, as tuples of their fields.
    """

    def __init__(self, stage: Stage) -> None:
        self.segments: list[tuple[int, ...]] = []
        self._muxer = stage.phone.muxer
        self._before = self._muxer.observe
        self._muxer.observe = self._observe

    def _observe(self, packet: bytes, isHosts: bool) -> None:
        self._before(packet, isHosts)
        header = 16 if self._muxer.version >= 2 else 8
        isTCP = packet[:4] == MuxProtocol.TCP.to_bytes(4, "big")
        if isHosts and isTCP and len(packet) >= header + TCP_HEADER.size:
            self.segments.append(TCP_HEADER.unpack_from(packet, header))

    def resets(self, hostPort: int, port: int) -> int:
        """
        How many of them were resets of a session.
        """
        return sum(
            each[:2] == (hostPort, port) and bool(each[5] & Flags.RST) for each in self.segments
        )

    def syn(self, port: int) -> tuple[int, ...] | None:
        """
        The SYN for a port of the phone.
        """
        return next(
            (each for each in self.segments if each[1] == port and each[5] == Flags.SYN), None
        )

    def close(self) -> None:
        """
        Listen no more.
        """
        self._muxer.observe = self._before


def inject(stage: Stage, pair: Pair, payload: bytes, flags: int = Flags.ACK) -> None:
    """
    Send a segment that the phone's session knows nothing of.
    """
    session = pair.session
    seq, ack = session._outgoing.sequence, session._inflow.expected
    send = stage.phone.muxer.sendSegment
    send(session.hostPort, session.port, seq, ack, flags, session.window, payload)


@CHECKS.about(22, isLong=True)
async def allPorts(stage: Stage) -> None:
    """
    65,536 connections one after the other are all answered: the source port wraps past 0.
    """
    number = await stage.number()
    client = await stage.client()
    keys = {"DeviceID": number, "PortNumber": swapped(ODD_PORT)}
    for attempt in range(PORTS + 10):
        result = await client.result("Connect", **keys)
        require(
            result == Result.CONNECTION_REFUSED,
            f"expected Result 3 of connection {attempt + 1}, got {result}",
        )


@CHECKS.about(23)
async def smallerWindow(stage: Stage) -> None:
    """
    A phone whose window becomes smaller gets what it has room for, and in the end everything.
    """
    pair = await stage.open()
    pair.peer.pause()
    pair.client.send(PATTERN)
    await stage.pause(0.1)
    pair.session.window = 1024
    pair.peer.resume()
    got = await pair.peer.exactly(LOTS, 60)
    require(got == PATTERN, "expected what was sent, got other bytes")
    pair.client.hangUp()


@CHECKS.about(24)
async def noRoom(stage: Stage) -> None:
    """
    A phone without room keeps its client waiting, and does not lose it.
    """
    pair = await stage.open()
    pair.peer.pause()
    pair.client.send(PATTERN)
    await stage.pause(2.0)
    require(not pair.client.isLost, "expected the client to wait, and it was closed")
    pair.peer.resume()
    got = await pair.peer.exactly(LOTS, 60)
    require(got == PATTERN, "expected what was sent, got other bytes")
    pair.client.hangUp()


@CHECKS.about(25, 26)
async def fields(stage: Stage) -> None:
    """
    SYN has the window that all later segments have, in units of 256; no flags are sent but SYN,
    ACK and RST.
    """
    overheard = Overheard(stage)
    try:
        await upload(stage, 100)
        await download(stage, 100)
    finally:
        overheard.close()
    for segment in overheard.segments:
        flags = segment[5]
        require(
            flags in (Flags.SYN, Flags.ACK, Flags.RST),
            f"expected the flags of SYN, ACK or RST alone, got {flags:#04x}",
        )
    opening, *others = [each[6] for each in overheard.segments if each[5] != Flags.RST]
    require(opening >= 16, f"expected a window of 4096 bytes at least, got {opening << 8}")
    require(
        set(others) <= {opening},
        f"expected the window {opening << 8} of SYN in all segments, got others too",
    )


@CHECKS.about(27)
async def slowClient(stage: Stage) -> None:
    """
    What a client has not taken is held back, within a bound, and none of it is lost.
    """
    pair = await stage.open()
    pair.client.pause()
    pair.peer.send(PATTERN * 40)
    await stage.pause(2.0)
    await stage.alive()
    pair.client.resume()
    got = await pair.client.exactly(40 * LOTS, 120)
    require(got == PATTERN * 40, "expected what the phone sent, got other bytes")
    pair.client.hangUp()


@CHECKS.about(28, 29)
async def acknowledged(stage: Stage) -> None:
    """
    Everything that a client has taken is acknowledged, also the last packet, without another one.
    """
    pair = await stage.open()
    outgoing = pair.session._outgoing
    for size in (1, 5000, 40000):
        pair.peer.send(PATTERN[:size])
        await pair.client.exactly(size)
        if not await stage.until(lambda: outgoing.acknowledged == outgoing.sequence, 2.0):
            raise Violated(
                f"expected an acknowledgement of {outgoing.sequence} within 2 s,"
                f" got {outgoing.acknowledged}"
            )
    pair.client.hangUp()


@CHECKS.about(30)
async def overrun(stage: Stage) -> None:
    """
    A phone that sends more than the window ends that session, and no other.
    """
    other = await stage.open()
    pair = await stage.open()
    pair.client.pause()
    outgoing = pair.session._outgoing
    for _ in range(200):
        inject(stage, pair, PATTERN[:30000])
        outgoing.sequence += 30000
    await stage.pause(QUIET)
    other.peer.send(b"still here")
    await other.client.exactly(10)
    other.client.hangUp()
    pair.client.resume()
    pair.client.hangUp()
    pair.session.reset()
    await stage.alive()


@CHECKS.about(31)
async def phoneEnds(stage: Stage) -> None:
    """
    What the phone has sent before it ends a session reaches a slow client.
    """
    pair = await stage.open()
    pair.client.pause()
    pair.peer.send(PATTERN[:120000])
    pair.peer.hangUp()
    await stage.until(lambda: pair.peer.isLost, 2.0)
    await stage.pause(QUIET)
    pair.client.resume()
    got = await pair.client.exactly(120000)
    require(got == PATTERN[:120000], "expected what the phone sent, got other bytes")
    await pair.client.ended()


@CHECKS.about(32)
async def clientEnds(stage: Stage) -> None:
    """
    What a client has sent before it closes reaches a slow phone.
    """
    pair = await stage.open()
    pair.peer.pause()
    pair.client.send(PATTERN)
    pair.client.hangUp()
    await stage.pause(QUIET)
    pair.peer.resume()
    got = await pair.peer.exactly(LOTS, 60)
    require(got == PATTERN, "expected what was sent, got other bytes")
    await pair.peer.ended()


@CHECKS.about(33)
async def strays(stage: Stage) -> None:
    """
    A segment of a session that there is not is answered by one RST, and a RST by nothing.
    """
    overheard = Overheard(stage)
    muxer = stage.phone.muxer
    # The answer is a reset for a session that the phone does not know either.
    muxer._late[40001, 40002] = None
    try:
        muxer.sendSegment(40001, 40002, 5, 6, Flags.ACK, 65536, b"late")
        if not await stage.until(lambda: overheard.resets(40001, 40002)):
            raise Violated("expected a RST for a segment of an unknown session, got nothing")
        await stage.pause(QUIET)
        count = overheard.resets(40001, 40002)
        require(count == 1, f"expected one RST, got {count}")
        muxer.sendSegment(40001, 40002, 5, 6, Flags.RST, 65536)
        await stage.pause(QUIET)
        count = overheard.resets(40001, 40002)
        require(count == 1, "expected nothing in answer to a RST, got a RST")
    finally:
        overheard.close()


@CHECKS.about(34)
async def firstNumber(stage: Stage) -> None:
    """
    The phone may begin with any sequence number, also one that soon wraps.
    """
    for first in (1, 0x12345678, 0xFFFFFFFF, 0x100000000 - 20000):
        stage.phone.muxer.faults.firstSequence = first
        await download(stage, 50000)
        await upload(stage, 1000)


@CHECKS.about(35)
async def reason(stage: Stage) -> None:
    """
    The text of a refusal can be found in the log.
    """
    if stage.log() is None:
        raise NotExamined("its log is not known")
    stage.phone.refuse(ODD_PORT, b"because of the weather")
    client, result = await stage.attempt(ODD_PORT)
    require(result == Result.CONNECTION_REFUSED, f"expected Result 3, got {result}")
    client.hangUp()
    if not await stage.until(lambda: "because of the weather" in (stage.log() or ""), 3.0):
        raise Violated("expected the phone's reason in the log, it is not there")


@CHECKS.about(36, 44)
async def refused(stage: Stage) -> None:
    """
    A refused port is Result 3, and the connection can be used for another command.
    """
    client, result = await stage.attempt(ODD_PORT)
    require(result == Result.CONNECTION_REFUSED, f"expected Result 3, got {result}")
    answer = await client.ask("ListDevices")
    require("DeviceList" in answer, f"expected a DeviceList, got {answer}")
    client.hangUp()


@CHECKS.about(36)
async def ends(stage: Stage) -> None:
    """
    A RST of the phone ends the client's stream.
    """
    pair = await stage.open()
    pair.session.reset(b"the end")
    await pair.client.ended()


@CHECKS.about(36)
async def oddAnswer(stage: Stage) -> None:
    """
    Only SYN and ACK together open a session.
    """
    stage.phone.ignore(ODD_PORT)
    overheard = Overheard(stage)
    number = await stage.number()
    client = await stage.client()
    try:
        client.request("Connect", DeviceID=number, PortNumber=swapped(ODD_PORT))
        if not await stage.until(lambda: overheard.syn(ODD_PORT)):
            raise Violated("expected a SYN, got none")
        syn = overheard.syn(ODD_PORT)
        assert syn is not None
        muxer = stage.phone.muxer
        muxer._late[syn[0], ODD_PORT] = None
        muxer.sendSegment(syn[0], ODD_PORT, 0, syn[2] + 1, Flags.ACK, 131072)
        await stage.until(lambda: client.received or client.isLost, SYN_PATIENCE)
        if client.received:
            answer = await client.dictionary()
            require(
                answer.get("Number") != 0,
                "expected no session from an ACK that answers a SYN, got Result 0",
            )
    finally:
        overheard.close()
        client.hangUp()


@CHECKS.about(37)
async def noAnswer(stage: Stage) -> None:
    """
    A SYN without an answer is given up: Result 3, and a RST for the phone.
    """
    stage.phone.ignore(ODD_PORT)
    client, result = await stage.attempt(ODD_PORT, SYN_PATIENCE)
    require(result == Result.CONNECTION_REFUSED, f"expected Result 3, got {result}")
    client.hangUp()


@CHECKS.about(38)
async def stalled(stage: Stage) -> None:
    """
    A client that does not read does not hold up the others of its phone.
    """
    pair = await stage.open()
    pair.client.pause()
    pair.peer.send(PATTERN * 20)
    await stage.pause(QUIET)
    for _ in range(5):
        await stage.alive()
    require(pair.session.state is State.OPEN, "expected the session to wait, and it has ended")
    pair.client.resume()
    await pair.client.exactly(20 * LOTS, 120)
    pair.client.hangUp()
