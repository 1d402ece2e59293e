# -*- test-case-name: tests.server.test_quickplist -*-
"""
A short cut past plistlib for the requests that nearly all clients send.

plistlib needs 50 microseconds and more for a Connect, most of it for setting up
an XML parser.  What libusbmuxd, Apple's library and plistlib itself write is
always of the same plain shape: their fixed prologue and one flat dictionary of
strings, integers and booleans without a single entity.  That shape is a regular
language; two regular expressions read it.

Programs repeat themselves: the Connects of one program to one port are the same to
the byte.  So the last few answers are kept.

Whatever is in the least unusual, another encoding, an entity, a comment, a
nested value, is not answered here: None means "ask plistlib".  An answer is
always the one that plistlib would have given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from muxd.wire.messages import MalformedMessage, parsePlist

KEPT = 64
"""How many answers are kept."""

LONGEST_KEPT = 1024
"""Of the requests whose answers are kept, in bytes."""

LONGEST_REQUEST = 4096
"""
Of all requests but SavePairRecord, in bytes: the others say a name or two, and those of all
known clients have less than one thousand.  Half a millisecond is what it takes to understand
the worst of this length.
"""

MOST_MARKS = 256
"""
Elements, comments and entities of a longer request: its length is that of one value.
"""

MOST_LINES = 4096
"""The same of line ends, each of which is a step of the parser's: of Base64, mostly."""

_SPACE = rb"[ \t\r\n]*+"
_KEY = rb"<key>([A-Za-z0-9 _.-]++)</key>"
# Printable ASCII without &, < and >: text that stands for itself.
_STRING = rb"<string>([ !-%'-;=?-~]*+)</string>"
_INTEGER = rb"<integer>(-?[0-9]{1,18}+)</integer>"
_BOOLEAN = rb"<(true|false) ?/>"
_ITEM = _KEY + _SPACE + rb"(?:" + rb"|".join([_STRING, _INTEGER, _BOOLEAN]) + rb")" + _SPACE

_DOCUMENT = re.compile(
    rb'<\?xml version="1\.0" encoding="UTF-8"\?>'
    + _SPACE
    + rb'<!DOCTYPE plist PUBLIC "-//Apple(?: Computer)?//DTD PLIST 1\.0//EN"'
    + rb' "http://www\.apple\.com/DTDs/PropertyList-1\.0\.dtd">'
    + _SPACE
    + rb'<plist version="1\.0">'
    + _SPACE
    + rb"<dict>"
    + _SPACE
    + rb"((?:"
    + _ITEM
    + rb")*+)"
    + rb"</dict>"
    + _SPACE
    + rb"</plist>"
    + _SPACE
)
_ITEMS = re.compile(_ITEM)


def quickPlist(body: bytes) -> dict[str, Any] | None:
    """
    The dictionary in a property list of the usual shape, or None.
    """
    document = _DOCUMENT.fullmatch(body)
    if document is None:
        return None
    values: dict[str, Any] = {}
    # The group that is not empty tells the type; an empty string leaves all
    # three empty, as the other two cannot be.
    for key, string, integer, boolean in _ITEMS.findall(document[1]):
        if integer:
            values[key.decode("ascii")] = int(integer)
        elif boolean:
            values[key.decode("ascii")] = boolean == b"true"
        else:
            values[key.decode("ascii")] = string.decode("ascii")
    return values


def _quickly(body: bytes) -> Mapping[str, Any] | None:
    """
    The same, for several to look at.
    """
    values = quickPlist(body)
    return None if values is None else MappingProxyType(values)


_repeated = lru_cache(maxsize=KEPT)(_quickly)


def _mayBeRecord(body: bytes) -> bool:
    """
    Whether a long request may be a SavePairRecord, and costs no more than one to parse:
    what it says is said without its being parsed.

    The C daemon takes requests in XML only, and so that is what all clients send.
    """
    return (
        b"SavePairRecord" in body
        and not body.startswith(b"bplist")
        and body.count(b"<") + body.count(b"&") <= MOST_MARKS
        and body.count(b"\n") + body.count(b"\r") <= MOST_LINES
    )


def parseRequest(body: bytes) -> Mapping[str, Any]:
    """
    Read the body of a plist message, quickly where that is possible.

    @raise MalformedMessage: It is no property list, or no dictionary; or it is long, and no
        SavePairRecord.
    """
    if len(body) > LONGEST_REQUEST and not _mayBeRecord(body):
        raise MalformedMessage(
            f"expected at most {LONGEST_REQUEST} bytes of all that is no plain SavePairRecord,"
            f" got {len(body)}"
        )
    values = _repeated(body) if len(body) <= LONGEST_KEPT else _quickly(body)
    return parsePlist(body) if values is None else values
