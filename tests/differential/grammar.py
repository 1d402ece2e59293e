# -*- test-case-name: tests.differential.test_grammar -*-
"""
Conversations that a client might have with a daemon, and mostly should not.

Each is made of a seed alone, so that a number is enough to have it again.
"""

from __future__ import annotations

import plistlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from struct import pack
from typing import Any

UDID = "00008030-000000001A35E200"
"""Of the phone that both daemons have."""

ECHO = 7
REFUSED = 4711
"""Ports of it: one that answers, and one that does not."""

MOST_REQUESTS = 4

KINDS = (
    *("ListDevices", "ListListeners", "ReadBUID", "Listen", "Connect"),
    *("ReadPairRecord", "SavePairRecord", "DeletePairRecord"),
)
ODD_KINDS = ("listdevices", "", "ListDevices ", "Attached", "Result", "Instances", "\u00e9t\u00e9")
NAMES = ("A-1", "a-1", "B2", UDID, UDID.replace("-", ""), UDID.lower())
ODD_NAMES = ("", "none", "../x", "a b", "a.b", "\u00e9", "x" * 64, "x" * 65, "x" * 240)
NUMBERS = (0, 1, 2, 255, 256, 65535, 65536, 1 << 31, (1 << 32) - 1, (1 << 32) + 1)
MORE_NUMBERS = (-1, -2, -32768, -65535, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63))

RECORD = {"HostID": "12345678-AAAA", "HostCertificate": b"-----BEGIN", "Flag": True, "Number": 7}


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Bytes that are sent at one go.

    @ivar waits: Whether what is answered is waited for before anything else is sent.
    """

    data: bytes
    waits: bool


@dataclass(frozen=True, slots=True)
class Case:
    """
    One conversation.

    @ivar name: What makes it again.
    """

    name: str
    pieces: tuple[Piece, ...]

    @property
    def data(self) -> bytes:
        """
        All that is sent.
        """
        return b"".join(piece.data for piece in self.pieces)


def swapped(port: int) -> int:
    """
    As a property list has it (protocol 4.8).
    """
    return (port & 0xFF) << 8 | port >> 8


def case(seed: int, number: int) -> Case:
    """
    The conversation with this number.
    """
    random = Random(f"{seed}:{number}")
    count = 1 if random.random() < 0.6 else random.randint(2, MOST_REQUESTS)
    pieces: list[Piece] = []
    pipelined = random.random() < 0.3
    for index in range(count):
        data = request(random, index + 1)
        cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.randint(1, 3)))
        parts = [data] if random.random() < 0.7 else cutAt(data, cuts)
        pieces += [Piece(part, False) for part in parts[:-1]]
        pieces.append(Piece(parts[-1], not pipelined))
    return Case(f"{seed}:{number}", tuple(pieces))


def cutAt(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """
    Take data apart.
    """
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def request(random: Random, tag: int) -> bytes:
    """
    A message, more or less well.
    """
    if random.random() < 0.12:
        version, kind, body = binaryRequest(random)
    else:
        version, kind, body = 1, 8, document(random, values(random))
    if random.random() < 0.08:
        version = random.choice((0, 1, 2, 0x100, 0xFFFFFFFF))
    if random.random() < 0.04:
        kind = random.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 0xFFFFFFFF))
    length = 16 + len(body)
    if random.random() < 0.04:
        length = random.choice(
            (0, 4, 15, 16, 17, length - 1, length + 1, 65535, 65536, 65537, 0xFFFFFFFF)
        )
    if random.random() < 0.1:
        # One for each, or it could not be told what is answered.
        odd = (0, 0xFFFFFFFF) if tag == 1 else (random.getrandbits(32),)
        tag = random.choice(odd)
    return pack("<IIII", length, version, kind, tag) + body


def binaryRequest(random: Random) -> tuple[int, int, bytes]:
    """
    Version, message and body of a request as old clients make it.
    """
    if random.random() < 0.4:
        return 0, 3, random.choice((b"", b"", b"\0", b"abcd"))
    number = random.choice((1, 1, 1, 0, 2, 0xFFFFFFFF))
    port = random.choice((ECHO, REFUSED, 0, 65535))
    body = pack("<I", number) + pack(">H", port) + b"\0\0"
    return 0, 2, body + random.choice((b"", b"", b"\0\0"))


# Dictionaries.


def values(random: Random) -> dict[str, Any]:
    """
    What a request says.
    """
    kind: Any = random.choice(KINDS)
    made: dict[str, Any] = {"MessageType": kind, **ARGUMENTS.get(kind, nothing)(random)}
    if random.random() < 0.06:
        made["MessageType"] = random.choice(ODD_KINDS) if random.random() < 0.7 else odd(random)
    if random.random() < 0.03:
        del made["MessageType"]
    for key in ("ProgName", "ClientVersionString", "BundleID"):
        if random.random() < 0.3:
            made[key] = "tests" if random.random() < 0.8 else text(random)
    if random.random() < 0.3:
        made["kLibUSBMuxVersion"] = 3 if random.random() < 0.7 else odd(random)
    if random.random() < 0.1:
        made["Further"] = odd(random)
    if random.random() < 0.2:
        keys = list(made)
        random.shuffle(keys)
        made = {key: made[key] for key in keys}
    return made


def nothing(random: Random) -> dict[str, Any]:
    """
    No arguments.
    """
    return {}


def ofConnect(random: Random) -> dict[str, Any]:
    """
    A device and a port.
    """
    made: dict[str, Any] = {
        "DeviceID": 1,
        "PortNumber": swapped(random.choice((ECHO, ECHO, REFUSED))),
    }
    for key in made:
        if random.random() < 0.1:
            made[key] = random.choice(NUMBERS + MORE_NUMBERS)
        elif random.random() < 0.06:
            made[key] = odd(random)
    return omitted(random, made)


def ofRecord(random: Random) -> dict[str, Any]:
    """
    A record's name.
    """
    name: Any = random.choice(NAMES)
    if random.random() < 0.15:
        name = random.choice(ODD_NAMES)
    elif random.random() < 0.05:
        name = odd(random)
    return omitted(random, {"PairRecordID": name})


def ofSaving(random: Random) -> dict[str, Any]:
    """
    A record's name, and what is in it.
    """
    made = ofRecord(random)
    content: Any = dict(RECORD)
    if random.random() < 0.15:
        content = odd(random)
    data: Any = document(random, content)
    if random.random() < 0.06:
        data = random.choice((b"", b"short", b"longer than eight", "text", 5, b"bplist00"))
    made["PairRecordData"] = data
    if random.random() < 0.5:
        made["DeviceID"] = random.choice((1, 1, 2, 0, -1))
    return omitted(random, made)


ARGUMENTS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "Connect": ofConnect,
    "ReadPairRecord": ofRecord,
    "SavePairRecord": ofSaving,
    "DeletePairRecord": ofRecord,
}


def omitted(random: Random, made: dict[str, Any]) -> dict[str, Any]:
    """
    The same, rarely without one of it.
    """
    if made and random.random() < 0.05:
        del made[random.choice(list(made))]
    return made


def odd(random: Random) -> Any:
    """
    A value of any type.
    """
    return random.choice(
        (
            *(True, False, 1.0, 0.5, b"", b"\1\0\0\0", "1", "", [], {}, [1], {"a": 1}),
            *(random.choice(NUMBERS), random.choice(MORE_NUMBERS), text(random)),
        )
    )


def text(random: Random) -> str:
    """
    What may be in a string.
    """
    return random.choice(
        ("", " ", "a & b", "<>\"'", "\u00e9", "\u20ac\U0001f600", "a\nb", "x" * 300, "\ttab ", "1")
    )


# Documents.


def document(random: Random, content: Any) -> bytes:
    """
    A property list, as it is written by one program or another, or damaged.
    """
    chance = random.random()
    if chance < 0.15:
        return plain(content)
    if chance < 0.25:
        return mutated(random, plain(content)) if random.random() < 0.3 else plain(content).strip()
    if chance < 0.29:
        data = plistlib.dumps(content, fmt=plistlib.FMT_BINARY)
        return mutated(random, data) if random.random() < 0.3 else data
    style = Style(random)
    body = style.written(content)
    if random.random() < 0.8:
        openings = ODD_OPENINGS if random.random() < ODDLY else OPENINGS
        body = random.choice(openings) + body + random.choice(CLOSINGS)
    prologues = ODD_PROLOGUES if random.random() < ODDLY else PROLOGUES
    body = random.choice(prologues) + body + random.choice(EPILOGUES)
    return mutated(random, body) if random.random() < ODDLY else body


def plain(content: Any) -> bytes:
    """
    As Python's C{plistlib} writes it.
    """
    return plistlib.dumps(content, sort_keys=False)


_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_DOCTYPE = (
    b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"'
    b' "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
)
PROLOGUES = (
    *(_DECLARATION + b"\n" + _DOCTYPE + b"\n", _DECLARATION + _DOCTYPE, _DECLARATION, _DOCTYPE),
    *(b"", b"\n", b" \t\r\n", b"\n" + _DECLARATION + b"\n", b"<!DOCTYPE plist>", b"<!-- x -->"),
    *(b"<?xml?>", b"<?other x?>", b"<?xml version='1.0' encoding='ISO-8859-1'?>"),
    b'<?xml version="1.0" encoding="UTF-16"?>',
    b'<?xml version="1.1" standalone="yes"?>',
    b'<!DOCTYPE plist [<!ENTITY a "b">]>',
    b"<!DOCTYPE html>",
)
ODD_PROLOGUES = (
    *(b"\xef\xbb\xbf", b"\xef\xbb\xbf" + _DECLARATION, b"\0", b"x", b"<!ELEMENT x>"),
    *(b"<!DOCTYPE plist [", b"<!-- ", b"<?xml", b"\n" * 300, b"<!-- <dict> -->\n<!---->", b"\x0c"),
    *(b"<!DOCTYPE", b"<!doctype plist>", b'<!DOCTYPE plist "[>">', b"<![CDATA[ ]]>", b"</plist>"),
)
OPENINGS = (
    *(b'<plist version="1.0">', b"<plist version='1.0'>\n", b"<plist>", b"<plist >", b"<plist\n>"),
    *(b'<plist version="0.9">', b"<plist version=1.0>", b"<plist><plist>"),
)
ODD_OPENINGS = (b"<PLIST>", b"<plist/>", b"<plist", b"<array>", b"<plist>x", b"<plist a='>'>")
CLOSINGS = (b"</plist>", b"\n</plist>\n", b"</plist >", b"", b"</pli", b"</plist></plist>")
EPILOGUES = (b"", b"", b"", b"\n", b"\0", b"\n\0", b"\0\0\0", b" ", b"x", b"<!-- x -->", b"<dict/>")
ODDLY = 0.08
"""How often something is chosen that hardly any daemon can read."""
SPACES = (b"", b"", b"\n", b"\n\t", b" ", b"\r\n", b"<!-- x -->", b"\x0b", b"x")


class Style:
    """
    One program's way of writing.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._space = random.choice(SPACES[:6]) if random.random() < 0.93 else random.choice(SPACES)
        self._isOdd = random.random() < 0.5

    def written(self, value: Any) -> bytes:
        """
        A value as an element.
        """
        if value is True or value is False:
            return self._flag(b"true" if value else b"false")
        if isinstance(value, dict):
            inside = self._space
            for key, below in value.items():
                inside += self._element(b"key", self._text(key)) + self._space
                inside += self.written(below) + self._space
            return self._element(b"dict", inside)
        if isinstance(value, list):
            inside = self._space.join([b"", *map(self.written, value), b""])
            return self._element(b"array", inside)
        if isinstance(value, int):
            return self._element(b"integer", self._integer(value))
        if isinstance(value, float):
            return self._element(b"real", b"%r" % value)
        if isinstance(value, bytes):
            return self._element(b"data", self._data(value))
        return self._element(b"string", self._text(value))

    def _rarely(self) -> bool:
        return self._isOdd and self._random.random() < 0.06

    def _flag(self, name: bytes) -> bytes:
        if not self._rarely():
            return b"<%s/>" % name
        return self._random.choice((b"<%s />", b"<%s></%s>", b"<%s>x</%s>", b"<%s\n/>")).replace(
            b"%s", name
        )

    def _element(self, name: bytes, inside: bytes) -> bytes:
        opening, closing = b"<%s>" % name, b"</%s>" % name
        if not inside and self._random.random() < 0.5:
            return b"<%s/>" % name
        if self._rarely():
            opening = self._random.choice(
                (b"<%s >", b"<%s\n>", b"<%s a='b'>", b'<%s a=">">', b"<%s a>", b"< %s>", b"<%sx>")
            ).replace(b"%s", name)
        if self._rarely():
            closing = self._random.choice(
                (b"</%s >", b"</%s\n>", b"</%s x>", b"</ %s>", b"", b"</other>", b"<%s/>")
            ).replace(b"%s", name)
        return opening + inside + closing

    def _integer(self, value: int) -> bytes:
        plainly = b"%d" % value
        if not self._rarely():
            return plainly
        random = self._random
        return random.choice(
            (
                *(b" " + plainly, plainly + b"\n", b"+" + plainly, b"0" + plainly, b"-" + plainly),
                *(b"0x%x" % abs(value), b"0X%X" % abs(value), b"-0x%x" % abs(value), b""),
                *(plainly + b"x", plainly + b".5", b"x", b"9" * 30, b"-" + b"9" * 30, b"1_0"),
                *(b"<!-- -->" + plainly, b"&#49;", "\u0661".encode(), plainly + b"\0"),
            )
        )

    def _data(self, value: bytes) -> bytes:
        plainly = b64encode(value)
        if not self._rarely():
            return plainly
        random = self._random
        return random.choice(
            (
                *(b"\n\t" + plainly + b"\n", plainly.rstrip(b"="), plainly + b"=", b" "),
                *(plainly[:-1], b"*" + plainly, plainly[: len(plainly) // 2] + b"\n" + b" "),
            )
        )

    def _text(self, value: str) -> bytes:
        random = self._random
        data = value.encode()
        data = data.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
        if not self._rarely():
            return data
        return random.choice(
            (
                *(data + b"\xe9", b"\xff" + data, data + b"&#233;", data + b"&#xe9;", data + b"&"),
                *(data + b"&amp;", data + b"&quot;&apos;", data + b"&nbsp;", data + b"&a;"),
                *(b"<![CDATA[" + data + b"]]>", data + b"<![CDATA[x]]>", b"<!-- x -->" + data),
                *(data + b"\0", data + b"\0x", data + b"\1", data + b"&#0;", data + b"&#1;"),
                *(data + b"&#x110000;", data + b"&#xd800;", data + b"\xed\xa0\x80", data + b"]]>"),
                *(b" " + data, data + b"\n", data + b"\r\n", data.replace(b"e", b"&#x65;")),
                *(data + b"&amp", data + b"&#65", data + b"&lt;x", data + b"\xef\xbf\xbf"),
            )
        )


def mutated(random: Random, data: bytes) -> bytes:
    """
    The same with a few bytes wrong.
    """
    body = bytearray(data)
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(body) + 1)
        end = min(len(body), start + random.choice((0, 1, 1, 2, 8)))
        body[start:end] = random.choice(
            (b"", b"<", b">", b"/", b"&", b"\0", b"\xff", b'"', b" ", b"1", random.randbytes(1))
        )
    if random.random() < 0.1:
        del body[random.randrange(len(body) + 1) :]
    return bytes(body)
