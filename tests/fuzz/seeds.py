# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
Inputs to begin with, written by hand: test vectors of the protocol, conversations
that get somewhere, and known attacks.  C{python -m tests.fuzz.seeds} writes them
into the corpus.
"""

from __future__ import annotations

import plistlib
from base64 import encodebytes
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from struct import pack
from typing import Any
from uuid import UUID

from hyperframe.frame import (
    DataFrame,
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from twisted.internet.testing import StringTransport

from muxd.lockdown.pairrecord import KNOWN
from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.phone.services.features import FEATURE
from muxd.phone.services.rsdserver import RSDServer
from muxd.tunnel.rsdclient import RSDClient
from muxd.tunnel.xpc import WANTS_REPLY, Unsigned, writeObject
from muxd.wire.messages import Message, connectMessage, plistMessage
from muxd.wire.mux import encodePacketV1, encodeVersion
from tests.differential.kept import writings
from tests.fuzz import (
    clients,
    etcd,
    fleet,
    hosts,
    lockdown,
    messages,
    packets,
    phones,
    requests,
    sockets,
    status,
    tunnels,
)
from tests.fuzz.apps import ACTIONS
from tests.fuzz.bombs import binaryPlist, bombs
from tests.fuzz.directory import PLANTS
from tests.fuzz.messages import MAXIMUM
from tests.fuzz.script import piece
from tests.fuzz.target import targetNamed

V2_VECTORS = (
    "0000000000000014000000020000000000000000",
    "0000000200000011feedface0000ffff07",
    "0000000600000024feedface0001ffff0001f27e0000000000000000500202000000 0000",
    "0000000600000024faceface00010001f27e00010000000000000001501202000000 0000",
    "0000000600000024feedface000200010001f27e0000000100000001501002000000 0000",
    "0000000600000024feedface000300010001f27e0000000100000001500402000000 0000",
)
"""Protocol 2.5."""

V0_VECTORS = (
    "10000000000000000300000001000000",
    "1400000000000000010000000100000000000000",
    "180000000000000002000000020000000100000000160000",
)
"""Protocol 4.13."""

REQUESTS: tuple[dict[str, Any], ...] = (
    {"MessageType": "ListDevices", "ClientVersionString": "seed", "ProgName": "seed"},
    {"MessageType": "Listen", "kLibUSBMuxVersion": 3, "ConnType": 1, "New": True, "Old": False},
    {"MessageType": "Connect", "DeviceID": 1, "PortNumber": 32498},
    {"MessageType": "ReadPairRecord", "PairRecordID": "00008030-0000000000000001"},
    {"MessageType": "SavePairRecord", "PairRecordID": "x", "PairRecordData": b"<plist>"},
    {"MessageType": "Attached", "DeviceID": 1, "Properties": {"SerialNumber": "x", "DeviceID": 1}},
    {"DeviceList": [{"DeviceID": 1, "Properties": {"SerialNumber": "x", "ConnectionType": "USB"}}]},
)


def hexadecimal(vectors: Sequence[str]) -> list[bytes]:
    """
    Bytes of test vectors.
    """
    return [bytes.fromhex(vector) for vector in vectors]


def ofMessages() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.messages}.
    """

    def kind(function: Callable[..., None]) -> bytes:
        return bytes([messages.KINDS.index(function)])

    vectors = b"".join(hexadecimal(V0_VECTORS))
    yield "vectors", kind(messages.stream) + b"\2" + vectors
    yield "lengths", kind(messages.stream) + b"\x10" + vectors + b"\x0f\0\0\0" + bytes(12)
    for length in (MAXIMUM, MAXIMUM + 1, 0xFFFFFFFF):
        yield f"length-{length}", kind(messages.stream) + b"\7" + pack("<IIII", length, 1, 8, 1)
    for at, values in enumerate(REQUESTS):
        yield f"xml{at}", kind(messages.propertyList) + plistlib.dumps(values)
        binary = plistlib.dumps(values, fmt=plistlib.FMT_BINARY)
        yield f"binary{at}", kind(messages.propertyList) + binary
        yield f"daemon{at}", kind(messages.daemon) + b"\1" + plistMessage(values, 0).encode()
    for name, bomb in bombs().items():
        yield f"bomb-{name}", kind(messages.propertyList) + bomb
    unspeakable = plistlib.dumps({"\ufffe": "\uffff"}, fmt=plistlib.FMT_BINARY)
    for name, body in writings(b"<key>HostID</key><string>x</string>"):
        yield f"loose-{name}", kind(messages.propertyList) + body
    yield "unspeakable", kind(messages.propertyList) + unspeakable
    record = bytes.fromhex("01000000a812") + b"00008030000000000000001".ljust(256, b"\0") + bytes(6)
    yield "record", kind(messages.record) + record
    yield "result", kind(messages.result) + b"\1\0\0\0\1\0\3"


def ofPackets() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.packets}.
    """
    for at, vector in enumerate(hexadecimal(V2_VECTORS)):
        yield f"vector{at}", b"\0\0\0\0\0" + piece(vector)
    together = b"".join(hexadecimal(V2_VECTORS))
    yield "together", b"\0\0\2\0\0" + piece(together)
    yield (
        "cut",
        b"\0\0\3\0"
        + b"".join(b"\0" + piece(together[at : at + 64]) for at in range(0, len(together), 64)),
    )
    yield "stream", b"\1\1" + b"\1\x3f\xf0" + bytes(20) + b"\0\x7f\xf8" + bytes(20)
    header = encodePacketV1(6, b"").replace(b"\0\0\0\x08", b"\0\2\0\0")
    yield "endless", b"\0\0\1\0\2" + piece(header) + b"\2\0" * 6
    assert packets.SIZES[3] == 64


def ofConfiguration() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.configuration}.
    """
    udid = "00008110-000A1B2C3D4E5F60"
    for at, text in enumerate(
        (
            f"unix:/a:mode=660:only={udid},port:1-1.4:deny=network:commands=list,connect",
            r"unix:/a\:b:only=port\:3-1.*,label\:rack:ports=22,1000-2000:uid=0:gid=1,2",
            "ssl:1:certificate=ci.example.org:ports=0-65535",
            "unix:/a:view=ci",
            "unix:/a:onyl=rack",
            r"mutualtls:1:interface=\:\::files=/d:names=ci,a:certificate=ci:only=rack:insecure=no",
        )
    ):
        yield f"address{at}", b"\0" + text.encode()
    for at, lines in enumerate(
        (
            f'listen = ["tcp:1", {{endpoint = "unix:/a", only = ["{udid}", "rack"]}}]\n'
            '[labels]\nrack = ["1-1.*", "3-1.4"]\n[limits]\nreceiveWindow = 262144\n',
            '[[listen]]\nendpoint = "unix:/a"\nview = "ci"\n[view.ci]\nonly = "usb"\n'
            'deny = ["2-1"]\ncommands = ["list", "buid"]\nports = [22, "80-90"]\nuid = 0\n',
            'source = ["usb"]\ngrace = 1.5\nno-preflight = true\n[limits]\nturnLength = nan\n',
            '"\\n" = 1\n',
            '["view"."\\u001b[2J"]\nonly = 3.5\n',
            "x = " + "[" * 2000,
        )
    ):
        yield f"file{at}", b"\1" + lines.encode()


def ofCalls() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.calls}.
    """
    events, reading, gone = b"\x0f\0\0", b"\x0f\0\2", b"\x0f\0\3"
    receive, send = b"\0\1\0\x1d\x15", b"\1\2\0\x1d\x15"
    submit, ends = b"\x0e\1\x21", b"\5\1\0\x23"
    arrives = b"\x08\0" + piece(b"hello")
    write = b"\3\1\2\6" + bytes(range(10, 18))
    yield "upload", arrives + receive + write + submit + ends + events + gone + receive
    parse = b"\2\2\2\2\1"
    yield "download", b"\x0e\2\x30\5\2\0\x32" + events + parse + send + reading
    yield "inflight", submit + receive + write + submit + b"\2\1\6" + b"\2\1\4" + ends + events
    yield "freed", b"\2\1\6" + receive + write + submit + b"\2\1\6" + b"\2\1\5\1" + piece(b"")
    yield "closed", b"\x09\0\3" + receive + send + b"\x0a\0\0\1" + arrives
    watch = b"".join(bytes([10, at, 0, at]) for at in range(3))
    yield "watched", watch + arrives + b"\x0f\0\1" + b"\x0c\1\1" + b"\x0a\2\0\1"
    edges = b"".join(bytes([2, 0, at % 7, 200 + at, 200 + at, 240 + at % 16]) for at in range(40))
    yield "edges", edges + b"".join(bytes([0, 1, 0, 200 + at, 255 - at]) for at in range(40))


def ofClients() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.clients}.
    """
    world = clients.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([clients.STEPS.index(function), *arguments]) + more

    begin = b"\0" + step(world.connect, 0)
    yield (
        "vectors",
        begin
        + step(world.raw, 0, more=piece(b"".join(hexadecimal(V0_VECTORS))))
        + step(world.carry, 0, 9),
    )
    impatient = step(world.raw, 0, more=piece(connectMessage(1, 7, 3).encode()))
    yield "gone", begin + impatient + step(world.lose, 0) + step(world.carry, 0, 9) * 2
    deaf = b"\0" + step(world.connect, 1)
    yield "deaf", deaf + step(world.request, 0, requests.REQUESTS.index("ListDevices"), 0) * 300
    asking = piece(plistMessage(REQUESTS[3], 1).encode() * 12)
    yield "asking", begin + step(world.raw, 0, more=asking) * 4
    endless = pack("<IIII", 0xFFFFFFFF, 1, 8, 1) + bytes(4000)
    yield "endless", begin + step(world.raw, 0, more=piece(endless)) * 4
    for at, _ in enumerate(requests.NAMES):
        asked = (
            step(world.request, 0, requests.REQUESTS.index(name), 0, at, 0, 1, 65, 1)
            for name in ("ReadPairRecord", "SavePairRecord", "ReadPairRecord", "DeletePairRecord")
        )
        yield f"name{at}", begin + b"".join(asked)
    for at, values in enumerate(REQUESTS):
        yield (
            f"request{at}",
            begin
            + step(world.raw, 0, more=piece(plistMessage(values, 7).encode()))
            + step(world.carry, 0, 9),
        )
    for at, name in enumerate(requests.REQUESTS):
        yield f"template-{name.lower()}", begin + step(world.request, 0, at, 0, 0, 0, 0, 0, 0)
    for name, bomb in bombs().items():
        save = {"MessageType": "SavePairRecord", "PairRecordID": "x", "PairRecordData": bomb}
        yield (
            f"save-{name}",
            begin
            + step(world.raw, 0, more=piece(plistMessage(save, 1).encode()))
            + step(world.request, 0, 3, 0, 1),
        )
        yield (
            f"bomb-{name}",
            begin + step(world.raw, 0, more=piece(Message(1, 8, 1, bomb).encode())),
        )
    stream = connectMessage(1, 7, 3).encode() + b"hello"
    yield (
        "stream",
        begin
        + step(world.raw, 0, more=piece(stream))
        + step(world.carry, 0, 9)
        + step(world.raw, 0, more=piece(b"more"))
        + step(world.carry, 0, 9)
        + step(world.finish, 0)
        + step(world.carry, 0, 9)
        + step(world.time, 3),
    )
    for at in range(len(PLANTS)):
        read = requests.REQUESTS.index("ReadPairRecord")
        saving = requests.REQUESTS.index("SavePairRecord")
        identity = requests.REQUESTS.index("ReadBUID")
        yield (
            f"plant{at}",
            begin
            + b"".join(step(world.plant, name, at) for name in range(len(clients.FILES)))
            + step(world.request, 0, read, 0, 0)
            + step(world.request, 0, saving, 0, 0, 0, 1, 65, 1)
            + step(world.request, 0, read, 0, 0)
            + step(world.request, 0, identity, 0),
        )
    yield (
        "plant-text",
        begin
        + step(world.plant, 3, len(PLANTS), more=piece(b"\x1b[2J"))
        + step(world.request, 0, requests.REQUESTS.index("ReadBUID"), 0),
    )
    yield (
        "plant-buid",
        begin
        + step(
            world.plant,
            2,
            len(PLANTS),
            more=piece(binaryPlist(b"\xd1\1\2", b"\x5aSystemBUID", b"\x52\x1bx")),
        )
        + step(world.request, 0, requests.REQUESTS.index("ReadBUID"), 0),
    )


def ofPhones() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.phones}.
    """
    world = phones.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([phones.STEPS.index(function), *arguments]) + more

    opened = step(world.connect, 0, 1) + step(world.accept, 0, 3)
    for version in (0, 1):
        begin = bytes([version]) + opened
        data = step(world.anySegment, 0, 0, 0, 0, 3, more=piece(b"hello"))
        yield f"data{version}", begin + data + data
        yield (
            f"write{version}",
            begin
            + step(world.write, 0, 8, 0)
            + step(world.anySegment, 0, 0, 0, 0, 3, more=piece(b""))
            + step(world.act, 0, 2),
        )
        yield (
            f"reset{version}",
            begin + data + step(world.anySegment, 0, 2, 0, 0, 3, more=piece(b"why\x1b\n")),
        )
        much = step(world.anySegment, 0, 0, 0, 0, 3, more=piece(bytes(700)))
        yield f"overrun{version}", begin + step(world.act, 0, 0) + much * 3
        gap = step(world.anySegment, 0, 0, 9, 0, 3, more=piece(b"hello"))
        yield f"gap{version}", begin + gap + data
        for action in range(len(ACTIONS)):
            yield (
                f"act{action}-{version}",
                begin
                + step(world.act, 0, action)
                + data
                + step(world.time, 3)
                + step(world.act, 0, 1),
            )
    yield "version", b"\2" + step(world.rawPacket, 0, more=piece(encodeVersion(2)[8:])) + opened
    yield "strange", b"\2" + step(world.version_, 9)
    yield "control", b"\0" + step(world.control, 3, more=piece(b"\x1b[31mred\nline"))
    yield "strays", b"\0" + step(world.room, 1) + step(world.stray, 0, 1, 0, 2, 0, 0, 0) * 12


def strangeKey() -> bytes:
    """
    A public key of an algorithm that nobody has heard of.
    """
    info = bytes.fromhex("304b300506032a030403420004") + bytes(64)
    return b"-----BEGIN PUBLIC KEY-----\n%b-----END PUBLIC KEY-----\n" % encodebytes(info)


def ofLockdown() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.lockdown}.
    """
    world = lockdown.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([lockdown.STEPS.index(function), *arguments]) + more

    def say(**values: Any) -> bytes:
        return step(world.framed, more=piece(plistlib.dumps(values)))

    begin = b"\0" + step(world.accept)
    kind = say(Request="QueryType", Type="com.apple.mobile.lockdown")
    asked = (
        say(Request="GetValue", Value="17.5")
        + say(Request="GetValue", Value="iPhone")
        + say(Request="SetValue")
        + say(Request="GetValue", Value="02:00:00:00:00:03")
        + say(Request="GetValue", Value=PUBLIC_KEY)
    )
    unheard = say(Request="GetValue") * 2 + say(Request="SetValue") + say(Request="GetValue")
    yield "key", begin + kind + unheard + say(Request="GetValue", Value=strangeKey())
    yield "pair", begin + kind + asked + say(Request="Pair", EscrowBag=b"bag")
    pending = say(Request="Pair", Error="PairingDialogResponsePending")
    proxy = say(Request="StartService", Port=49152) + step(world.accept)
    news = say(Command="RelayNotification", Name="com.apple.mobile.lockdown.request_pair")
    yield "dialog", begin + kind + asked + pending + proxy + news
    for error in ("UserDeniedPairing", "PasswordProtected", "\x85\x1b"):
        said = say(Request="Pair", Error=error.replace("\x1b", "?"))
        yield f"error-{len(error)}", begin + kind + asked + said
    yield (
        "session",
        b"\1"
        + step(world.accept)
        + kind
        + say(Request="StartSession", SessionID="S", EnableSessionSSL=True)
        + step(world.raw, more=piece(b"\x16\3\3\0\2\2\x28")),
    )
    yield (
        "unknown",
        b"\1" + step(world.accept) + kind + say(Request="StartSession", Error="InvalidHostID"),
    )
    for at, name in enumerate(KNOWN):
        strange = b"\3" + bytes([at, KNOWN[name] is bytes]) + piece(b"\x1b[2J")
        yield f"record{at}", strange + step(world.accept) + kind
    yield "restore", begin + say(Request="QueryType", Type="com.apple.mobile.restored")
    for key in ("Error", "Value"):
        for name, bomb in bombs(key).items():
            yield f"bomb-{key}-{name}", begin + kind + step(world.framed, more=piece(bomb))


def ofHosts() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.hosts}.
    """
    world = hosts.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([hosts.STEPS.index(function), *arguments]) + more

    names = hosts.services()
    for at, name in enumerate(names):
        begin = b"\1" + step(world.connect, at, 0)
        for number in range(15 if at < len(hosts.FIRST) else 0):
            if at == 0 or (at == 3 and 11 <= number <= 13) or number == 14:
                yield f"{name.split('.')[-1]}-{number}", begin + step(world.ask, 0, number, 0, 1, 0)
    # Each of the other services is asked everything that any of them is, in one conversation.
    asked = b"".join(
        step(world.ask, 0, number, 0, 0, 0) for number in range(15, len(hosts.REQUESTS))
    )
    linked = b"".join(step(world.link, 0, 1, number, 0, 0, 0, 0) for number in range(7))
    for at in range(len(hosts.FIRST), len(names)):
        begin = b"\1" + step(world.connect, at, 0)
        yield f"asked-{names[at].removeprefix('com.apple.')}", begin + asked
        if names[at].endswith(("mobilebackup2", "screenshotr")):
            begin += step(world.link, 0, 0, 0, 0, 0, 0, 0)
            yield f"linked-{names[at].removeprefix('com.apple.')}", begin + linked
    pair = step(world.ask, 0, 5, 0, 1, 0)
    session = step(world.ask, 0, 3, 2, 3, 7, 4, 8, 0, 0)
    start = step(world.ask, 0, 8, 1, 6, 9, 0, 0)
    yield (
        "paired",
        b"\1" + step(world.connect, 0, 0) + pair + step(world.time, 1) + pair + start + session,
    )
    files = b"\1" + step(world.connect, 1, 0)
    for at in range(len(hosts.OPERATIONS)):
        yield f"file{at}", files + step(world.file, 0, at, 1, 1, 1, 7, 0, 0, 1)
    for at, key in ((0, "Request"), (2, "Command"), (3, "Name")):
        for name, bomb in bombs(key).items():
            yield (
                f"bomb-{key}-{name}",
                b"\1" + step(world.connect, at, 0) + step(world.framed, 0, more=piece(bomb)),
            )


def ofSockets() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.sockets}.
    """
    world = sockets.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([sockets.STEPS.index(function), *arguments]) + more

    opened = step(world.connect, 0, 0, 1, 7, 0) + step(world.answer, 0, 0, 0, 3, more=piece(b""))
    for version in (0, 1):
        begin = bytes([version]) + opened
        data = step(world.answer, 1, 0, 0, 3, more=piece(b"hello"))
        said = step(world.raw, 0, more=piece(b"question")) + step(world.turn)
        yield f"stream{version}", begin + said + data + step(world.read, 0, 1, 0)
        for how in range(3):
            yield f"finish{how}-{version}", begin + said + step(world.finish, 0, how) + data
            yield (
                f"early{how}-{version}",
                bytes([version]) + opened[:6] + step(world.finish, 0, how) + step(world.turn),
            )
        held = step(world.much, 0, 63) * 2
        yield f"held{version}", begin + held + step(world.read, 0, 255, 255) * 3
        yield f"draining{version}", begin + held + step(world.answer, 4, 0, 0, 3, more=piece(b""))
        yield f"gone{version}", bytes([version | 2]) + opened + held + step(world.finish, 0, 0)
        yield (
            f"refused{version}",
            bytes([version])
            + opened[:6]
            + step(world.answer, 4, 0, 0, 3, more=piece(b"why\x1b\n")),
        )
    for cut in (0x81, 0xF0, 0xFF, 1, 100):
        yield f"cut{cut}", b"\0" + step(world.connect, 0, 0, 1, 7, cut) + step(world.turn)
    for at in range(4):
        yield f"request{at}", b"\0" + step(world.request, 0, at, at, at, 1)
    for version in range(3):
        yield f"framed{version}", b"\0" + step(world.framed, 0, version, 0, more=piece(b"<plist>"))
    yield "silent", b"\0" + step(world.raw, 0, 0) + step(world.turn) + step(world.finish, 0, 0)
    yield "timeout", b"\0" + opened[:6] + step(world.time, 4) * 2


def ofStatus() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.status}.
    """
    world = status.World

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([status.STEPS.index(function), *arguments]) + more

    def ask(path: bytes, *headers: int, method: int = 0, body: int = 0, times: int = 0) -> bytes:
        where = status.PATHS.index(path)
        return step(
            world.request,
            *(0, method, where, 0, 1),
            *(len(headers), *headers, body, times),
        )

    begin = step(world.connect, 0)
    for at, path in enumerate(status.PATHS):
        yield f"ask{at}", begin + ask(path, 0) + step(world.time, 1)
        yield f"head{at}", begin + ask(path, 0, method=2)
    json = status.HEADERS.index(b"Content-Type: application/json")
    for at in range(len(status.HEADERS)):
        yield f"header{at}", begin + ask(b"/health", 0, at)
        for body in (1, 4):
            yield f"act{at}-{body}", begin + ask(b"/api/act", 0, json, at, method=1, body=body)
    yield "pipelined", begin + ask(b"/api/status", 0, times=7) * 4
    unread = step(world.connect, 1)
    yield "unread", unread + ask(b"/api/status", 0, times=7) * 4 + step(world.time, 4) * 3
    watch = begin + ask(b"/api/events", 0)
    yield "events", watch + step(world.plug) + step(world.time, 1) * 3 + step(world.lose, 0)
    slow = unread + ask(b"/api/events", 0) + step(world.time, 1) * 40
    yield "behind", slow + step(world.allow, 0, 2) + step(world.time, 1)
    yield "many", watch * 9
    said = step(world.say, more=piece(b"hello"))
    yield "log", said + begin + ask(b"/api/log?follow=1", 0) + said * 9 + step(world.time, 1)
    slowly = step(world.raw, 0, more=piece(b"G")) + step(world.time, 2)
    yield "slowly", begin + slowly * 9
    long = step(world.raw, 0, more=piece(b"GET / HTTP/1.1\r\nX: " + b"y" * 9000))
    yield "long", begin + long
    yield (
        "headers",
        begin + step(world.raw, 0, more=piece(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 99)),
    )


def ofFleet() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.fleet}.
    """
    world = fleet.Fleet

    def step(function: Callable[..., None], *arguments: int, more: bytes = b"") -> bytes:
        return bytes([fleet.STEPS.index(function), *arguments]) + more

    def say(at: int, connection: int = 0, times: int = 0) -> bytes:
        return step(world.say, at, 0, times, connection)

    hub, door = step(world.connect, 0, 0), step(world.connect, 1, 0)
    job = hub + hub + say(0) + say(5) + say(2, 1)
    for at in range(len(fleet.MESSAGES)):
        yield f"host{at}", hub + say(0) + say(at)
        yield f"job{at}", job + say(at, 1)
        yield f"door{at}", door + say(at)
    yield "reserved", job + say(11, 1) + say(9) + say(14, 1) + say(15, 1)
    yield "silent", job + say(11, 1) + step(world.time, 1) * 2 + step(world.time, 3)
    yield "denied", job + say(12, 1) + say(10) + step(world.lose, 1)
    yield "unread", step(world.connect, 0, 2) + say(2) + say(18, 0, 3) * 90 + say(4, 0, 3) * 90
    yield "long", hub + step(world.raw, 0, more=bytes([4, 0x7F, 255, 255, 255, 0]))


def ofEtcd() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.etcd}.
    """
    world = etcd.World

    def step(function: Callable[..., None], *arguments: int) -> bytes:
        return bytes([etcd.STEPS.index(function), *arguments])

    fleetOfTwo = step(world.act, 0) + step(world.act, 1)
    held = fleetOfTwo + step(world.act, 3) + step(world.act, 3) + step(world.act, 4)
    yield "served", held + step(world.act, 8) + step(world.act, 9) + step(world.act, 10)
    yield "late", held + step(world.time, 2) + step(world.act, 2) + step(world.time, 2) * 3
    for said in range(len(etcd.SAID)):
        keys = (step(world.write, at, said, 0, 1) for at in range(len(etcd.NAMES)))
        yield f"keys{said}", held + b"".join(keys) + held
    for at in range(len(etcd.PATHS)):
        said = at % len(etcd.ANSWERS)
        wrong = step(world.answer, at, at % 4, said, 1, 1)
        yield f"answer{at}", held + wrong + step(world.end, 0) + step(world.time, 2) + held
    for at in range(len(etcd.ANSWERS)):
        yield f"line{at}", held + step(world.say, 1, at) + step(world.time, 1) + held
    frozen = step(world.answer, 0, 0, 0, 1, 0, 0)
    yield "frozen", held + frozen + step(world.end, 0) + step(world.time, 2) * 2 + held
    yield "leases", held + b"".join(step(world.end, 1, at) for at in range(6)) + held


def ofTunnels() -> Iterator[tuple[str, bytes]]:
    """
    Of L{tests.fuzz.tunnels}.
    """

    def step(function: Callable[..., None], *numbers: int, more: bytes = b"") -> bytes:
        return bytes([tunnels.KINDS.index(function), *numbers]) + more

    world = tunnels.World
    begin = bytes([tunnels.PARTS.index(tunnels.tunnel), 1, 0])

    def segment(flags: int, ahead: int = 0, data: bytes = b"") -> bytes:
        return step(world.segment, 0, flags, ahead, 0, 0x40, 0, more=piece(data))

    opened = step(world.connect, 0, 0) + segment(0x12 | 0xC0) + b"\4\xc4\5" + segment(0x10)
    yield "opened", begin + opened + segment(0x18, data=b"hello") + step(world.act, 0, 0)
    yield "closed", begin + opened + step(world.act, 3, 0) + segment(0x11) + step(world.time, 4)
    yield "gap", begin + opened + segment(0x18, 5, b"later") + segment(0x18, 0, b"first")
    yield "reset", begin + opened + segment(4)
    yield "paused", begin + opened + step(world.act, 1, 0) + segment(0x18, data=b"x" * 999) * 9
    service = step(world.connect, 2, 0) + segment(0x12)
    yield "service", begin + service + segment(0x18, data=bytes(9))
    letters = [plistlib.dumps({"Request": each}) for each in ("RSDCheckin", "StartService")]
    said = b"".join(pack(">I", len(each)) + each for each in letters)
    admitted = service + segment(0x18, data=said[:700]) + segment(0x18, data=said[700:] + b"hi")
    yield "admitted", begin + admitted + step(world.act, 0, 0) + segment(0x11)
    writing = opened + step(world.act, 0, 0) * 3
    yield "again", begin + writing + step(world.time, 2) * 2 + segment(0x10) * 4
    yield "acknowledged", begin + writing + segment(0x10) + step(world.act, 4, 0) + segment(0x11)
    yield (
        "resumed",
        begin
        + opened
        + step(world.act, 1, 0)
        + segment(0x18, data=b"x" * 200) * 3
        + (step(world.act, 2, 0)),
    )
    yield "four", begin + step(world.connect, 0, 0) * 5 + segment(0x12) * 4
    yield "refused", begin + step(world.connect, 1, 1) + segment(0x14)
    yield "silent", begin + step(world.connect, 0, 0) + step(world.time, 4) * 3
    full = step(world.room, 1) + segment(0x18, data=b"x") + step(world.room, 0)
    yield "full", begin + opened + full
    text = b'CDTunnel\0\x10{"type": "other"}'
    yield "other", bytes([0, 0]) + step(world.raw, more=piece(text))
    yield "garbage", begin + step(world.raw, more=piece(bytes(200)))
    server = StringTransport()
    told = {"MessageType": "Handshake", "Properties": {}, "Services": {"a": {"Port": "1"}}}
    phone = RSDServer(lambda: told)
    client = StringTransport()
    RSDClient(UUID(int=1)).makeConnection(client)
    phone.makeConnection(server)
    phone.dataReceived(client.value())
    rsd = bytes([tunnels.PARTS.index(tunnels.rsd)])
    yield "rsd", rsd + piece(server.value())
    yield (
        "rsd-pieces",
        rsd + b"".join(piece(server.value()[at : at + 9]) for at in range(0, 900, 9)),
    )
    frames = {
        "ping": PingFrame(0, opaque_data=bytes(8)),
        "window": WindowUpdateFrame(1, window_increment=9),
        "settings": SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 9}),
        "padded": DataFrame(1, b"x", pad_length=3, flags=["PADDED"]),
    }
    for name, frame in frames.items():
        yield f"rsd-{name}", rsd + piece(frame.serialize()) + piece(server.value())
    objects: dict[str, Any] = {
        "all": {"a": [None, True, -1, Unsigned(1), 0.5, "x", b"x", UUID(int=1)], "b": {"c": []}},
        "date": datetime(2026, 11, 30, tzinfo=UTC),
        "many": {str(each): [each] for each in range(40)},
    }
    for name, value in objects.items():
        yield f"xpc-{name}", bytes([tunnels.PARTS.index(tunnels.xpc)]) + writeObject(value)
    short = bytearray(writeObject({"a": [1, 2]}))
    short[4] -= 4
    short[20] -= 4
    announced = pack("<IQ", 0x1A000, 1) + writeObject({"s": Unsigned(9)})
    for name, data in (("short", bytes(short)), ("file", announced)):
        yield f"xpc-{name}", bytes([tunnels.PARTS.index(tunnels.xpc)]) + data
    yield from ofFeatures(bytes([tunnels.PARTS.index(tunnels.features)]))
    yield from ofPrograms(bytes([tunnels.PARTS.index(tunnels.program)]))


def ofFeatures(part: bytes) -> Iterator[tuple[str, bytes]]:
    """
    Of hosts that ask for features of CoreDevice.
    """
    inputs: dict[str, Any] = {
        "launchapplication": {"applicationSpecifier": {"bundleIdentifier": {"_0": "a"}}},
        "sendsignaltoprocess": {"process": {"processIdentifier": 30}, "signal": 9},
        "uninstallapp": {"bundleIdentifier": "a"},
    }
    for name, asked in inputs.items():
        wire = StringTransport()
        host = RSDClient(UUID(int=1))
        host.makeConnection(wire)
        request = {
            "CoreDevice.featureIdentifier": FEATURE + name,
            "CoreDevice.input": asked,
            "CoreDevice.invocationIdentifier": "1",
        }
        host.send(request, WANTS_REPLY)
        yield f"feature-{name}", part + piece(wire.value())


def ofPrograms(part: bytes) -> Iterator[tuple[str, bytes]]:
    """
    Of those at the port of the list.
    """

    def asked(target: str, more: str = "") -> bytes:
        return piece(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n".encode()
        )

    def said(kind: int, data: bytes) -> bytes:
        assert len(data) < 126
        return piece(bytes([kind, 0x80 | len(data)]) + bytes(4) + data)

    opened = part + asked("/connect?udid=0&port=7")
    yield "program", opened + said(0x82, b"hello") + said(0x88, b"\3\xe8")
    yield "program-parts", opened + said(2, b"one") + said(0x89, b"ping") + said(0x80, b"two")
    yield "program-text", opened + said(0x81, b"text")
    yield "program-long", opened + piece(b"\x82\xff" + bytes(7) + b"\xff" + bytes(4)) + piece(b"x")
    yield "program-page", part + asked("/connect?udid=0", "Origin: http://example.org\r\n")
    yield "program-junk", part + piece(b"GET /connect\r\n\r\n")


SEEDS: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "calls": ofCalls,
    "configuration": ofConfiguration,
    "messages": ofMessages,
    "packets": ofPackets,
    "clients": ofClients,
    "phones": ofPhones,
    "sockets": ofSockets,
    "status": ofStatus,
    "lockdown": ofLockdown,
    "hosts": ofHosts,
    "fleet": ofFleet,
    "etcd": ofEtcd,
    "tunnels": ofTunnels,
}


def main() -> None:
    """
    Write them, instead of those that were there.
    """
    for name, make in SEEDS.items():
        corpus = targetNamed(name).corpus
        corpus.mkdir(parents=True, exist_ok=True)
        for old in corpus.glob("seed-*"):
            old.unlink()
        for title, data in make():
            (corpus / f"seed-{title}").write_bytes(data)


if __name__ == "__main__":
    main()
