# -*- test-case-name: tests.server.test_replies -*-
"""
Replies and events as the bytes that go to a client.

Result replies are the answer to nearly every request, and nearly all are one of
a few numbers: their property lists are made once.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from muxd.wire.messages import (
    BINARY_VERSION,
    HEADER,
    PLIST_VERSION,
    RESULT_BODY,
    MessageType,
    writePlist,
)

EVENT_TAG = 0
"""Of every event, whatever tag the Listen had (protocol 4.9)."""


LARGE = 8192
"""
The length of a body, in bytes, from which on it is not copied to be sent in one piece with
its header: it may be all clients'.
"""


@lru_cache(maxsize=64)
def _resultBody(number: int) -> bytes:
    return writePlist({"MessageType": "Result", "Number": number})


@lru_cache(maxsize=256)
def encodeResult(version: int, tag: int, number: int) -> bytes:
    """
    A whole Result in the format of a connection (protocol 4.3).
    """
    if version == BINARY_VERSION:
        return encode(BINARY_VERSION, MessageType.RESULT, tag, RESULT_BODY.pack(number))
    return encodePlist(tag, _resultBody(int(number)))


def encodePlist(tag: int, body: bytes) -> bytes:
    """
    A whole plist message around a body that is there already.
    """
    return encode(PLIST_VERSION, MessageType.PLIST, tag, body)


def plistParts(tag: int, *body: bytes) -> tuple[bytes, ...]:
    """
    The same in parts, of which those of a large body are some.
    """
    size = sum(map(len, body))
    if size < LARGE:
        return (encodePlist(tag, b"".join(body)),)
    return HEADER.pack(HEADER.size + size, PLIST_VERSION, MessageType.PLIST, tag), *body


_HEAD, _TAIL = writePlist({}).split(b"<dict/>")


def listEntry(values: Mapping[str, Any]) -> bytes:
    """
    A dictionary as plistlib writes it into a list that a dictionary has, with the line end
    before it.  plistlib takes ten times as long.

    @param values: Strings that are L{printable<muxd.wire.text.printable>}, bytes, numbers, and
        dictionaries of them, none of which is empty.
    """
    lines: list[str] = []
    _writeLines(lines, "\n\t\t", values)
    return "".join(lines).encode()


def _writeLines(lines: list[str], indent: str, values: Mapping[str, Any]) -> None:
    lines.append(f"{indent}<dict>")
    for key, value in sorted(values.items()):
        lines.append(f"{indent}\t<key>{key}</key>")
        match value:
            case bool():
                lines.append(f"{indent}\t<{str(value).lower()}/>")
            case int():
                lines.append(f"{indent}\t<integer>{value}</integer>")
            case str():
                lines.append(f"{indent}\t<string>{escape(value)}</string>")
            case bytes():
                size = max(16, 76 - 8 * (indent.count("\t") + 1)) // 4 * 3
                lines.append(f"{indent}\t<data>")
                for start in range(0, len(value), size):
                    text = b2a_base64(value[start : start + size], newline=False).decode()
                    lines.append(f"{indent}\t{text}")
                lines.append(f"{indent}\t</data>")
            case _:
                _writeLines(lines, f"{indent}\t", value)
    lines.append(f"{indent}</dict>")


def listedAlone(entry: bytes) -> bytes:
    """
    A L{listEntry} as a property list of its own.
    """
    return b"".join((_HEAD, entry.replace(b"\n\t\t", b"\n")[1:], _TAIL))


_BEFORE, _AFTER = writePlist({"PairRecordData": b"\0"}).split(b"AA==")
_LINE = 68
"""How much of Base64 plistlib puts into a line there."""


def recordBody(data: bytes) -> bytes:
    """
    The body of the answer to C{ReadPairRecord}.  plistlib, which writes the same, takes ten
    milliseconds for a long record.
    """
    if not data:
        return writePlist({"PairRecordData": data})
    text = b2a_base64(data, newline=False)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    # Between lines is what is before the first one.
    return _BEFORE + b"\n\t".join(lines) + _AFTER


def encode(version: int, kind: int, tag: int, body: bytes) -> bytes:
    """
    A whole message.
    """
    return HEADER.pack(HEADER.size + len(body), version, kind, tag) + body
