# -*- test-case-name: tests.differential.test_exchange -*-
"""
Conversations that once told the two daemons apart, or would have: they are had first,
each time.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from struct import pack

from tests.differential.grammar import ECHO, REFUSED, Case, Piece, swapped

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_LIST = b"<key>MessageType</key><string>ListDevices</string>"
_SAVE = (
    b"<key>MessageType</key><string>SavePairRecord</string>"
    b"<key>PairRecordID</key><string>A-1</string><key>PairRecordData</key><data>%s</data>"
)
_READ = (
    b"<key>MessageType</key><string>ReadPairRecord</string>"
    b"<key>PairRecordID</key><string>A-1</string>"
)


def framed(body: bytes, tag: int = 1, version: int = 1, kind: int = 8) -> bytes:
    """
    A message.
    """
    return pack("<IIII", 16 + len(body), version, kind, tag) + body


def plist(content: bytes) -> bytes:
    """
    A property list of a dictionary's content.
    """
    return b'<plist version="1.0"><dict>' + content + b"</dict></plist>"


def connect(device: bytes, port: bytes) -> bytes:
    """
    A Connect with these elements.
    """
    return plist(
        b"<key>MessageType</key><string>Connect</string>"
        b"<key>DeviceID</key>%s<key>PortNumber</key>%s" % (device, port)
    )


def writings(content: bytes) -> Iterator[tuple[str, bytes]]:
    """
    The ways to write a dictionary.
    """
    yield "plain", _DECLARATION + plist(content)
    yield "newline", b"\n" + _DECLARATION + plist(content)
    yield "nul", plist(content) + b"\0"
    yield "doctype", b"<!DOCTYPE plist>" + plist(content)
    yield "quotes", b'<!DOCTYPE plist PUBLIC "a>" "[">' + plist(content)
    yield "dict", b"<dict>" + content + b"</dict>"
    yield "behind", plist(content) + b"<dict/>x"
    yield "end", b"<plist><dict>" + content + b"</dict x>"
    yield "attribute", b"<plist a='>'><dict b=\">\">" + content + b"</dict>"
    yield "latin", plist(b"<key>ProgName</key><string>caf\xe9</string>" + content)
    yield "key", plist(b"<key>Further&#xd800;</key><true>x</true>" + content)
    yield "integer", plist(b"<key>kLibUSBMuxVersion</key><integer/>" + content)
    yield "encoding", b"<?xml version='1.0' encoding='UTF-16'?>" + plist(content)
    yield "novalue", plist(content + b"<key>Further</key>")
    yield "nulkey", plist(b"<key>Further\0x</key><true/>" + content)


def kept() -> Iterator[Case]:
    """
    All of them.
    """
    for name, body in writings(_LIST):
        yield Case(f"list-{name}", (Piece(framed(body), True),))
        cut = len(body) // 2
        pieces = Piece(framed(body)[:cut], False), Piece(framed(body)[cut:], True)
        yield Case(f"cut-{name}", pieces)
    for name, body in writings(b"<key>HostID</key><string>x</string>"):
        saving = plist(_SAVE % b64encode(body))
        reading = framed(plist(_READ), 2)
        yield Case(f"record-{name}", (Piece(framed(saving), True), Piece(reading, True)))
    echo = b"<integer>%d</integer>"
    port = swapped(ECHO)
    hello = Piece(b"hello", True)
    for name, device, number in (
        ("echo", echo % 1, echo % port),
        ("signed", echo % 1, echo % (port - 0x10000)),
        ("wide", echo % 1, echo % (port + 0x10000)),
        ("device", echo % ((1 << 32) + 1), echo % port),
        ("empty", b"<integer/>", echo % port),
        ("hexadecimal", b"<integer>0x1</integer>", echo % port),
        ("digits", b"<integer>1x</integer>", echo % port),
        ("true", b"<true/>", echo % port),
    ):
        yield Case(f"connect-{name}", (Piece(framed(connect(device, number)), True), hello))
    short = framed(b"\1\0\0\0" + ECHO.to_bytes(2, "big"), 1, 0, 2)
    yield Case("connect-short", (Piece(short, True), hello))
    for name, content in (
        ("both", b""),
        ("port", b"<key>DeviceID</key><string/>"),
        ("device", b"<key>PortNumber</key><true/>"),
    ):
        asked = plist(b"<key>MessageType</key><string>Connect</string>" + content)
        yield Case(f"connect-without-{name}", (Piece(framed(asked), True),))
    for name, behind in (
        ("version", framed(plist(_LIST), 2, 2)),
        ("binary", framed(b"", 2, 0, 9)),
        ("listen", framed(b"", 2, 0, 3)),
    ):
        refused = framed(connect(echo % 1, echo % swapped(REFUSED)))
        yield Case(f"refused-then-{name}", (Piece(refused, True), Piece(behind, True)))
    for length in (0, 15, 65537, 0xFFFFFFFF):
        yield Case(f"length-{length}", (Piece(pack("<IIII", length, 1, 8, 1), True),))
    for version in (0, 1, 2, 0xFFFFFFFF):
        for kind in (1, 3, 8, 9):
            body = plist(_LIST) if kind == 8 else b""
            case = Piece(framed(body, 1, version, kind), True)
            yield Case(f"header-{version}-{kind}", (case,))
    several = b"".join(framed(body, tag) for tag, (_, body) in enumerate(writings(_LIST), 1))
    yield Case("pipelined", (Piece(several, False),))
