# -*- test-case-name: tests.bench.test_soakclients -*-
"""
Jobs: what a client does between its connecting and its end.
"""

from __future__ import annotations

import plistlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from bench.soak.connection import (
    BINARY_CONNECT,
    BINARY_VERSION,
    HEADER,
    Connection,
    Gone,
    Wrong,
    request,
)
from bench.soak.exchange import ECHO, EXCHANGE, ORDER
from bench.soak.presence import Presence
from bench.soak.transfer import Transfer

ENDLESS = 1 << 40
"""Bytes of a download whose end is never waited for."""

LATE = 8.0
"""Seconds that a half-closed stream is kept although the phone has nothing to say."""

REFUSED_PORT = 4242
BAD_COMMAND, BAD_DEVICE, CONNECTION_REFUSED = 1, 2, 3


class Refused(Exception):
    """
    A Connect did not succeed though there was no reason.
    """


@dataclass(slots=True)
class Visit:
    """
    A visit: one client with one job.

    @ivar connection: To the daemon.
    @ivar deviceID: The phone to use.
    @ivar number: Unique among those that are here at the same time.
    @ivar up: Bytes sent on streams.
    @ivar down: Bytes received on streams, every one compared.
    """

    connection: Connection
    random: Random
    deviceID: int
    number: int
    up: int = 0
    down: int = 0

    def size(self, most: int = 1 << 22) -> int:
        """
        A number of bytes, of any order of magnitude, rather a large one.
        """
        return int(most ** self.random.random() ** 0.6)

    async def connected(self, port: int) -> None:
        """
        Become a stream.

        @raise Refused: It did not.
        """
        number = await self.connection.connect(self.deviceID, port)
        if number:
            raise Refused(f"Connect to port {port} of device {self.deviceID}: result {number}")

    async def transfer(self, up: int, down: int, **options: Any) -> None:
        """
        Bytes, each of them compared.
        """
        phase = options.pop("phase", None)
        if phase is None:
            phase = self.random.randrange(1 << 16)
        one = Transfer(self.connection, self.random, phase=phase, up=up, down=down, **options)
        try:
            await one.run()
        finally:
            self.up += one.sent
            self.down += one.received

    async def exchange(self, up: int, down: int, **options: Any) -> None:
        """
        The same with the service that knows beforehand.
        """
        await self.connected(EXCHANGE)
        phase = self.random.randrange(1 << 16)
        order = ORDER.pack(phase, up, down)
        await self.transfer(up, down, phase=phase, order=order, **options)

    def expect(self, reply: dict[str, Any], key: str, value: object) -> None:
        """
        @raise Wrong: A reply says something else.
        """
        if reply.get(key) != value:
            raise Wrong(f"expected {key} {value!r} in the reply, got {reply!r:.200}")

    def rest(self, seconds: float) -> Deferred[None]:
        """
        Do nothing for a while.
        """
        return deferLater(self.connection.reactor, seconds)


async def download(visit: Visit) -> None:
    """
    Download some bytes.
    """
    await visit.exchange(0, visit.size(1 << 23))


async def upload(visit: Visit) -> None:
    """
    Upload some bytes, and wait for the receipt.
    """
    await visit.exchange(visit.size(1 << 23), 1)


async def upAndDown(visit: Visit) -> None:
    """
    Upload some bytes, then download some.
    """
    await visit.exchange(visit.size(), visit.size())


async def echo(visit: Visit) -> None:
    """
    Echo some bytes: they come down while more go up.
    """
    size = visit.size(1 << 25 if visit.random.random() < 0.05 else 1 << 22)
    await visit.connected(ECHO)
    await visit.transfer(size, size)


async def brief(visit: Visit) -> None:
    """
    Open a connection for a few bytes.
    """
    size = visit.random.randint(1, 64)
    await visit.connected(ECHO)
    await visit.transfer(size, size)


async def pipelined(visit: Visit) -> None:
    """
    Send bytes for the phone right behind the Connect, before its answer.
    """
    size = visit.size(1 << 15)
    phase = visit.random.randrange(1 << 16)
    connect = request("Connect", DeviceID=visit.deviceID, PortNumber=socket.htons(EXCHANGE))
    visit.connection.write(connect + ORDER.pack(phase, 0, size))
    number = (await visit.connection.receive()).get("Number")
    if number:
        raise Refused(f"Connect with bytes behind it: result {number}")
    await visit.transfer(0, size, phase=phase)


async def slowly(visit: Visit) -> None:
    """
    Download with rests, in which the client does not read.
    """
    await visit.exchange(0, visit.size(1 << 21), pause=0.05)


async def halfClosed(visit: Visit) -> None:
    """
    Finish sending: everything must come back nevertheless.
    """
    size = visit.size(1 << 20)
    await visit.connected(ECHO)
    await visit.transfer(size, size, halfClose=True)
    if visit.random.random() < 0.2:
        # An answer may come however late: the stream is there as long as its client is.
        await visit.rest(LATE)
        if visit.connection.isLost:
            raise Gone


async def neverReading(visit: Visit) -> None:
    """
    Read nothing of a download that has no end.
    """
    await visit.connected(EXCHANGE)
    visit.connection.write(ORDER.pack(0, 0, ENDLESS))
    transport: Any = visit.connection.transport
    transport.pauseProducing()
    await visit.rest(visit.random.expovariate(1))
    visit.connection.kill()
    await visit.connection.lost


async def refused(visit: Visit) -> None:
    """
    Connect to a port without a listener; then download on the same connection.
    """
    number = await visit.connection.connect(visit.deviceID, REFUSED_PORT)
    if number != CONNECTION_REFUSED:
        raise Refused(f"Connect to a port without a listener: result {number}")
    await visit.exchange(0, visit.size(1 << 12))


async def unknownDevice(visit: Visit) -> None:
    """
    Connect to a phone that is not there.
    """
    number = await visit.connection.connect(1 << 30, ECHO)
    visit.expect({"Number": number}, "Number", BAD_DEVICE)


async def listing(visit: Visit) -> None:
    """
    List the devices a few times, the requests all at once.
    """
    count = visit.random.randint(1, 20)
    visit.connection.write(request("ListDevices") * count)
    for _ in range(count):
        devices = (await visit.connection.receive())["DeviceList"]
        numbers = [one["DeviceID"] for one in devices]
        if len(set(numbers)) != len(numbers):
            raise Wrong(f"a list with the same device twice: {numbers}")


async def identity(visit: Visit) -> None:
    """
    Read the host's identity twice: it is always the same.
    """
    first = await visit.connection.ask("ReadBUID")
    second = await visit.connection.ask("ReadBUID")
    visit.expect(second, "BUID", first.get("BUID"))


async def records(visit: Visit) -> None:
    """
    Save a pair record, read it and delete it.
    """
    name = f"SOAK-{visit.number}"
    blob = visit.random.randbytes(visit.size(1 << 14))
    data = plistlib.dumps({"HostID": name, "Blob": blob})
    ask = visit.connection.ask
    visit.expect(await ask("SavePairRecord", PairRecordID=name, PairRecordData=data), "Number", 0)
    stored = (await ask("ReadPairRecord", PairRecordID=name)).get("PairRecordData", b"")
    if plistlib.loads(stored) != plistlib.loads(data):
        raise Wrong("a pair record is not what was saved")
    visit.expect(await ask("DeletePairRecord", PairRecordID=name), "Number", 0)
    visit.expect(await ask("ReadPairRecord", PairRecordID=name), "Number", BAD_DEVICE)


async def listen(visit: Visit) -> None:
    """
    Listen for a while.
    """
    presence = Presence()
    visit.expect(await visit.connection.ask("Listen", kLibUSBMuxVersion=3), "Number", 0)
    connection = visit.connection
    timer = connection.reactor.callLater(visit.random.uniform(0, 8), connection.kill)
    try:
        while True:
            presence.told(await connection.receive(None))
    finally:
        if timer.active():
            timer.cancel()


async def deafListener(visit: Visit) -> None:
    """
    Listen, and do not read.
    """
    visit.connection.write(request("Listen"))
    transport: Any = visit.connection.transport
    transport.pauseProducing()
    await visit.rest(visit.random.expovariate(1 / 2))
    visit.connection.kill()
    await visit.connection.lost


async def binary(visit: Visit) -> None:
    """
    Open a stream by the binary protocol.
    """
    body = struct.pack("<IHH", visit.deviceID, socket.htons(EXCHANGE), 0)
    head = HEADER.pack(HEADER.size + len(body), BINARY_VERSION, BINARY_CONNECT, 1)
    visit.connection.write(head + body)
    number = (await visit.connection.receive()).get("Number")
    if number:
        raise Refused(f"binary Connect: result {number}")
    size = visit.size(1 << 18)
    phase = visit.random.randrange(1 << 16)
    await visit.transfer(0, size, phase=phase, order=ORDER.pack(phase, 0, size))


async def inPieces(visit: Visit) -> None:
    """
    Send a request byte by byte, or never to its end.
    """
    message = request("ReadBUID")
    end = len(message) if visit.random.random() < 0.5 else visit.random.randrange(len(message))
    at = 0
    while at < end:
        size = visit.random.randint(1, 60)
        visit.connection.write(message[at : min(at + size, end)])
        at += size
        await visit.rest(0.01)
    if end == len(message):
        reply = await visit.connection.receive()
        if "BUID" not in reply:
            raise Wrong(f"expected a BUID, got {reply!r:.200}")


async def garbage(visit: Visit) -> None:
    """
    Send what is no message: the daemon answers or hangs up.
    """
    length = visit.random.choice((0, 15, 16, 40, 65536, 65537, 1 << 31))
    noise = visit.random.randbytes(visit.random.randint(0, 300))
    visit.connection.write(HEADER.pack(length, 1, 8, 1) + noise)
    await visit.rest(visit.random.random())


Work = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job that clients do.

    @ivar name: For the report.
    @ivar weight: How often it is chosen, compared with others.
    @ivar perform: What is done.
    @ivar ofPhone: Whether it needs a phone.
    """

    name: str
    weight: float
    perform: Work
    ofPhone: bool = True


JOBS = (
    Job("download", 5, download),
    Job("upload, with receipt", 5, upload),
    Job("upload and download", 4, upAndDown),
    Job("echo", 6, echo),
    Job("connect, a few bytes, close", 30, brief),
    Job("data behind the Connect", 4, pipelined),
    Job("slow reader", 3, slowly),
    Job("half-close", 4, halfClosed),
    Job("reader that never reads", 3, neverReading),
    Job("refused port, then a download", 4, refused),
    Job("stream of the binary protocol", 3, binary),
    Job("unknown device", 2, unknownDevice, ofPhone=False),
    Job("ListDevices", 4, listing, ofPhone=False),
    Job("ReadBUID", 2, identity, ofPhone=False),
    Job("pair record", 1, records, ofPhone=False),
    Job("listener", 4, listen, ofPhone=False),
    Job("listener that does not read", 2, deafListener, ofPhone=False),
    Job("request in pieces", 2, inPieces, ofPhone=False),
    Job("garbage", 2, garbage, ofPhone=False),
)
