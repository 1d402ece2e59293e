# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
Checks of what the daemon says to its clients.
"""

from __future__ import annotations

import plistlib
import struct
from typing import Any

from muxd.phone.examine.checks import Checks
from muxd.phone.examine.ends import TAG, Client, asDictionary, asResult
from muxd.phone.examine.findings import NotExamined, Violated, require
from muxd.phone.examine.stage import Stage, swapped
from muxd.wire.messages import (
    BINARY_VERSION,
    CONNECT_BODY,
    HEADER,
    PLIST_VERSION,
    RESULT_BODY,
    Message,
    MessageType,
    Result,
)

CHECKS = Checks()

PAIR_RECORD = plistlib.dumps({"HostID": "EXAMINATION", "SystemBUID": "EXAMINATION"})
RECORD_ID = "00008110-00EEEEEEEEEEEEEE"
QUIET = 0.5

POLLS = 300
FEW_LINES = 100
"""That so many questions may leave in a log."""

UNREAD_EVENTS = 4000


def binary(kind: MessageType, body: bytes = b"") -> Message:
    """
    A message of version 0.
    """
    return Message(BINARY_VERSION, kind, TAG, body)


async def binaryResult(client: Client) -> int:
    """
    Take a Result of version 0.

    @raise Violated: It is none.
    """
    answer = await client.answer()
    if (answer.version, answer.type, answer.tag) != (BINARY_VERSION, MessageType.RESULT, TAG):
        raise Violated(f"expected a binary Result with the tag {TAG}, got {answer}")
    return int(RESULT_BODY.unpack_from(answer.body)[0])


async def said(stage: Stage, client: Client, number: int) -> None:
    """
    See that a client has reached the service of a port.
    """
    services: Any = stage.phone.services[number]
    if not await stage.until(lambda: services.ends, 5.0):
        raise Violated(f"expected a session to port {number} of the phone, got none")
    client.send(b"hello")
    await services.ends[-1].exactly(5)
    client.hangUp()


@CHECKS.about(39)
async def ports(stage: Stage) -> None:
    """
    A port is swapped once, in a property list and in a binary message, and may be negative.
    """
    number = await stage.number()
    for wanted in (62 << 8 | 200, 200 << 8 | 62):
        stage.service(wanted)
        value = swapped(wanted)
        client = await stage.client()
        result = await client.result("Connect", DeviceID=number, PortNumber=value)
        require(result == 0, f"expected Result 0 of PortNumber {value}, got {result}")
        await said(stage, client, wanted)
        stage.service(wanted)
        client = await stage.client()
        body = CONNECT_BODY.pack(number, wanted.to_bytes(2, "big"), 0)
        client.message(binary(MessageType.CONNECT, body))
        result = await binaryResult(client)
        require(result == 0, f"expected Result 0 of a binary Connect, got {result}")
        await said(stage, client, wanted)
    stage.service(wanted := 62 << 8 | 200)
    client = await stage.client()
    value = swapped(wanted) - 65536
    result = await client.result("Connect", DeviceID=number, PortNumber=value)
    require(result == 0, f"expected Result 0 of PortNumber {value}, got {result}")
    await said(stage, client, wanted)


@CHECKS.about(40, 42)
async def listen(stage: Stage) -> None:
    """
    Listen is answered by its Result with its tag, and then by events with the tag 0.
    """
    client = await stage.client()
    client.request("Listen", kLibUSBMuxVersion=3)
    first = await client.answer()
    kind = asDictionary(first).get("MessageType")
    require(kind == "Result", f"expected a Result first, got {kind}")
    require(first.tag == TAG, f"expected the tag {TAG} of the request, got {first.tag}")
    event = await client.answer()
    kind = asDictionary(event).get("MessageType")
    require(kind == "Attached", f"expected Attached, got {kind}")
    require(event.tag == 0, f"expected the tag 0 of an event, got {event.tag}")
    client.hangUp()


@CHECKS.about(41)
async def binaryListener(stage: Stage) -> None:
    """
    A binary listener gets binary events.
    """
    client = await stage.client()
    client.message(binary(MessageType.LISTEN))
    result = await binaryResult(client)
    require(result == 0, f"expected Result 0 of Listen, got {result}")
    event = await client.answer()
    require(
        (event.version, event.type) == (BINARY_VERSION, MessageType.DEVICE_ADD),
        f"expected a binary Attached, got version {event.version} message {event.type}",
    )
    require(len(event.body) == 268, f"expected a record of 268 bytes, got {len(event.body)}")
    client.hangUp()


@CHECKS.about(43)
async def speaksFirst(stage: Stage) -> None:
    """
    The Result of Connect is before what a phone's service says at once.
    """
    for _ in range(20):
        pair = await stage.open()
        require(not pair.client.received, "expected nothing behind the Result yet, got something")
        pair.peer.send(b"SSH-2.0-hello")
        got = await pair.client.exactly(13)
        require(got == b"SSH-2.0-hello", f"expected what the service says, got {got!r}")
        pair.client.hangUp()


@CHECKS.about(45)
async def commandWhileListening(stage: Stage) -> None:
    """
    A command while listening is answered by Result 1 before the connection is closed.
    """
    client = await stage.client()
    require(await client.result("Listen") == 0, "expected Result 0 of Listen")
    client.request("ListDevices")
    while True:
        try:
            answer = await client.dictionary()
        except Violated:
            raise Violated("expected Result 1, and the connection was closed without it") from None
        if answer.get("MessageType") == "Result":
            break
    require(asResult(answer) == Result.BAD_COMMAND, f"expected Result 1, got {answer}")


@CHECKS.about(46)
async def malformed(stage: Stage) -> None:
    """
    A property list that cannot be read, or has no MessageType, is answered by Result 1.
    """
    bodies = (b"no property list", plistlib.dumps([1]), plistlib.dumps({"MessageTyp": "Listen"}))
    for body in bodies:
        client = await stage.client()
        client.message(Message(PLIST_VERSION, MessageType.PLIST, TAG, body))
        try:
            result = asResult(await client.dictionary(3.0))
        except Violated as problem:
            raise Violated(f"to {body[:16]!r}: expected Result 1; {problem}") from None
        require(
            result in (Result.BAD_COMMAND, Result.MALFORMED),
            f"expected Result 1 (or 5) to {body[:16]!r}, got {result}",
        )
        client.hangUp()


@CHECKS.about(47)
async def pieces(stage: Stage) -> None:
    """
    A request may come byte by byte, and two may come at once.
    """
    body = plistlib.dumps({"MessageType": "ReadBUID"})
    request = Message(PLIST_VERSION, MessageType.PLIST, TAG, body).encode()
    client = await stage.client()
    for index in range(len(request)):
        client.send(request[index : index + 1])
        await stage.pause(0.002)
    require("BUID" in await client.dictionary(), "expected a BUID")
    client.send(request + request)
    for _ in range(2):
        require("BUID" in await client.dictionary(), "expected a BUID for each request")
    client.hangUp()


@CHECKS.about(48)
async def lengths(stage: Stage) -> None:
    """
    A message that says it is shorter than its header, or enormous, is not waited for.
    """
    for length in (0, 15, 0x7FFFFFFF, 0xFFFFFFFF):
        client = await stage.client()
        client.send(HEADER.pack(length, PLIST_VERSION, MessageType.PLIST, TAG))
        try:
            await client.ended(5.0)
        except Violated:
            if not client.received:
                raise Violated(f"expected an end for a length of {length}, got none") from None
    await stage.alive()


@CHECKS.about(49, 50, 51)
async def notThere(stage: Stage) -> None:
    """
    Result 2 for a device and for a pair record that is not there; ids of devices begin at 1.
    """
    number = await stage.number()
    require(number >= 1, f"expected an id from 1, got {number}")
    client = await stage.client()
    result = await client.result("Connect", DeviceID=number + 1000, PortNumber=swapped(7))
    require(result == Result.BAD_DEVICE, f"expected Result 2 for no device, got {result}")
    client.hangUp()
    client = await stage.client()
    result = await client.result("ReadPairRecord", PairRecordID="00008110-00FFFFFFFFFFFFFF")
    require(result == Result.BAD_DEVICE, f"expected Result 2 for no record, got {result}")
    client.hangUp()


@CHECKS.about(54)
async def xml(stage: Stage) -> None:
    """
    Answers are property lists in XML, also to a request that is a binary one.
    """
    client = await stage.client()
    body = plistlib.dumps({"MessageType": "ReadBUID"}, fmt=plistlib.FMT_BINARY)
    client.message(Message(PLIST_VERSION, MessageType.PLIST, TAG, body))
    if await stage.until(lambda: client.received or client.isLost, 3.0) and client.received:
        answer = await client.answer()
        isXML = answer.body.lstrip().startswith(b"<?xml")
        require(isXML, f"expected XML, got {answer.body[:16]!r}")
    client.hangUp()
    client = await stage.client()
    client.request("ListDevices")
    answer = await client.answer()
    isXML = answer.body.lstrip().startswith(b"<?xml")
    require(isXML, f"expected XML, got {answer.body[:16]!r}")
    client.hangUp()


@CHECKS.about(55)
async def listeners(stage: Stage) -> None:
    """
    ListListeners has an id of its own for each listener.
    """
    clients = [await stage.client() for _ in range(2)]
    for client in clients:
        require(await client.result("Listen") == 0, "expected Result 0 of Listen")
    asking = await stage.client()
    answer = await asking.ask("ListListeners")
    found = answer.get("ListenerList")
    if not isinstance(found, list):
        raise Violated(f"expected a ListenerList, got {answer}")
    names = {each.get("ID String") for each in found}
    require(len(names) >= 2, f"expected two ids, got {sorted(map(str, names))}")
    for client in (*clients, asking):
        client.hangUp()


@CHECKS.about(56, 57)
async def paired(stage: Stage) -> None:
    """
    Saving a record of a phone tells listeners with a library version of it, with the tag 0, and
    the client that saves gets its Result first.
    """
    number = await stage.number()
    old, new = await stage.client(), await stage.client()
    require(await old.result("Listen") == 0, "expected Result 0 of Listen")
    require(await new.result("Listen", kLibUSBMuxVersion=3) == 0, "expected Result 0 of Listen")
    for listener in (old, new):
        await listener.dictionary()
    client = await stage.client()
    client.request(
        "SavePairRecord",
        PairRecordID=stage.phone.udid,
        PairRecordData=PAIR_RECORD,
        DeviceID=number,
    )
    try:
        result = asResult(await client.dictionary())
        require(result == 0, f"expected Result 0 of SavePairRecord, got {result}")
        event = await new.answer()
        kind = asDictionary(event).get("MessageType")
        require(kind == "Paired", f"expected Paired, got {kind}")
        require(event.tag == 0, f"expected the tag 0 of an event, got {event.tag}")
        await stage.pause(QUIET)
        require(
            not old.received,
            "expected no Paired for a listener without a library version, got one",
        )
    finally:
        asking = await stage.client()
        await asking.ask("DeletePairRecord", PairRecordID=stage.phone.udid)
        for each in (old, new, client, asking):
            each.hangUp()


@CHECKS.about(59)
async def neverShown(stage: Stage) -> None:
    """
    A phone that was never told of is not told to have gone.
    """
    await stage.unplug()
    await stage.gone()
    stage.phone.muxer.faults.silent = True
    client = await stage.client()
    require(await client.result("Listen") == 0, "expected Result 0 of Listen")
    stage.plug()
    before = stage.phone.muxer.packetsReceived
    await stage.until(lambda: stage.phone.muxer.packetsReceived > before, 3.0)
    await stage.unplug()
    await stage.pause(QUIET)
    require(not client.received, "expected no event, got one")
    client.hangUp()


@CHECKS.about(60, isLong=True)
async def neverReads(stage: Stage) -> None:
    """
    A listener that does not read is cut off at a bound.
    """
    client = await stage.client()
    require(await client.result("Listen") == 0, "expected Result 0 of Listen")
    client.pause()
    for _ in range(UNREAD_EVENTS):
        await stage.unplug()
        await stage.gone()
        stage.plug()
        await stage.listed()
    client.resume()
    await client.ended()


@CHECKS.about(62)
async def paths(stage: Stage) -> None:
    """
    A record's id is no path.
    """
    for name in ("../escaped", "/tmp/escaped", "SystemConfiguration", "", "a" * 300, "a/b"):
        client = await stage.client()
        result = await client.result(
            "SavePairRecord", PairRecordID=name, PairRecordData=PAIR_RECORD
        )
        require(result != 0, f"expected the id {name[:20]!r} to be refused, got Result 0")
        client.hangUp()
    if stage.records is not None and list(stage.records.parent.glob("escaped*")):
        raise Violated("expected no file outside of the records' directory, got one")


@CHECKS.about(58, 64)
async def stored(stage: Stage) -> None:
    """
    A record is a file whose root is the dictionary, for its owner alone.
    """
    client = await stage.client()
    keys: dict[str, Any] = {"PairRecordID": RECORD_ID}
    result = await client.result("SavePairRecord", PairRecordData=PAIR_RECORD, **keys)
    require(result == 0, f"expected Result 0 of SavePairRecord, got {result}")
    answer = await client.ask("ReadPairRecord", **keys)
    data = answer.get("PairRecordData")
    require(isinstance(data, bytes), f"expected PairRecordData, got {answer}")
    try:
        if stage.records is None:
            raise NotExamined("where it keeps its records is not known")
        path = stage.records / f"{RECORD_ID}.plist"
        if not path.exists():
            raise Violated(f"expected a file {path.name}, there is none")
        root = plistlib.loads(path.read_bytes())
        require(
            isinstance(root, dict) and root.get("HostID") == "EXAMINATION",
            f"expected the record's dictionary in the file, got {type(root).__name__}",
        )
        mode = path.stat().st_mode & 0o777
        require(not mode & 0o077, f"expected a file for its owner alone, got mode {mode:o}")
    finally:
        await client.ask("DeletePairRecord", **keys)
        client.hangUp()


@CHECKS.about(72)
async def polling(stage: Stage) -> None:
    """
    A client that asks again and again for what is not there does not fill the log.
    """
    before = stage.log()
    if before is None:
        raise NotExamined("its log is not known")
    for _ in range(POLLS):
        client = await stage.client()
        await client.ask("ReadPairRecord", PairRecordID="00008110-00FFFFFFFFFFFFFF")
        client.hangUp()
    await stage.pause(QUIET)
    lines = (stage.log() or "")[len(before) :].count("\n")
    require(
        lines <= FEW_LINES,
        f"expected at most {FEW_LINES} lines for {POLLS} questions, got {lines}",
    )


@CHECKS.about(65)
async def sameBUID(stage: Stage) -> None:
    """
    The BUID is the same when the daemon has been started anew.
    """
    client = await stage.client()
    before = (await client.ask("ReadBUID")).get("BUID")
    require(isinstance(before, str) and before, f"expected a BUID, got {before!r}")
    client.hangUp()
    await stage.restart()
    await stage.prepare()
    client = await stage.client()
    after = (await client.ask("ReadBUID")).get("BUID")
    require(after == before, f"expected the BUID {before}, got {after}")
    client.hangUp()


@CHECKS.about(67)
async def fileLimit(stage: Stage) -> None:
    """
    It may open as many files as the system lets it.
    """
    if stage.processID is None:
        raise NotExamined("it has no process of its own")
    with open(f"/proc/{stage.processID}/limits", encoding="ascii") as limits:
        (line,) = [each for each in limits if each.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    require(soft == hard, f"expected a soft limit of {hard} files, got {soft}")


@CHECKS.about()
async def versions(stage: Stage) -> None:
    """
    A header version that there is not is Result 6, a message that there is not Result 1 (protocol
    4.4), and both leave the connection as it is.
    """
    client = await stage.client()
    client.message(Message(2, MessageType.PLIST, TAG, b""))
    result = await binaryResult(client)
    require(result == Result.BAD_VERSION, f"expected Result 6, got {result}")
    client.message(Message(BINARY_VERSION, 77, TAG, struct.pack("<I", 0)))
    result = await binaryResult(client)
    require(result == Result.BAD_COMMAND, f"expected Result 1, got {result}")
    result = await client.result("WashTheDishes")
    require(result == Result.BAD_COMMAND, f"expected Result 1, got {result}")
    client.hangUp()
