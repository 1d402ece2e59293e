# -*- test-case-name: tests.wire.test_looseplist -*-
"""
Property lists that are nearly XML.

Clients write theirs by hand, with a newline in front, a NUL behind, no C{plist} around, a
byte that is no UTF-8: no XML parser takes them, and the C daemon, whose parser is one in
name only, serves them.  So what a strict parser has refused is read here once more, and
what is clear enough is taken.  C{docs/conformance.md} has what that is.

Whatever is read costs a time and a memory in proportion to its size: nothing is looked at
twice, no entity is defined, and a mistake that leaves room for doubt ends it.
"""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Any

from muxd.wire.measure import DEEPEST, LARGEST_INTEGER, SMALLEST_INTEGER

_SPACE = re.compile(rb"[ \t\r\n]*+")
_OPENING = re.compile(rb"""<([a-z]++)(?:[ \t\r\n\0](?:[^<>"']++|"[^"]*+"|'[^']*+'|["'])*+|/)?>""")
_CLOSING = re.compile(rb"</([a-z]++)(?:[ \t\r\n\0/][^<>]*+)?>")
_DOCTYPE = re.compile(rb"""<!DOCTYPE(?:[^\[>"']++|"[^"]*+"|'[^']*+')*+(?:\[[^\]]*+\][^>]*+)?>""")
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|([^\s;&]{1,32}));")
_INTEGER = re.compile(r"\s*+([+-]?)(?:0[xX]([0-9A-Fa-f]++)|([0-9]++))", re.ASCII)
_REAL = re.compile(r"\s*+([+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3})?)", re.ASCII)
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What could be read from something that is no XML, and not be written as XML again."""

_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]++")

_PASSED = (b"<!", b"<?")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_DIGITS = 20
"""Of the largest integer; more digits are more than that."""

_DATE = "%Y-%m-%dT%H:%M:%SZ"
_FIRST_DATE = datetime(2001, 1, 1)
_NO_DATE = datetime(1970, 1, 1)
"""What the C daemon makes of a date that is empty, and of one that is none."""


class _Reader:
    """
    The way through one document.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def root(self) -> Any:
        """
        Take the first value of the document, in as many C{plist} as it is in.
        """
        self._skip()
        name, isEmpty = self._opening()
        while name == b"plist" and not isEmpty:
            self._skip()
            name, isEmpty = self._opening()
        return self._valueOf(name, isEmpty, DEEPEST)

    def _valueOf(self, name: bytes, isEmpty: bool, levels: int) -> Any:
        """
        What an element says whose first tag has been taken.

        @param levels: How many may be in one another.
        """
        if name in (b"dict", b"array"):
            if not levels:
                raise ValueError(f"expected at most {DEEPEST} levels of arrays and dictionaries")
            read = self._dictionary if name == b"dict" else self._array
            return read(levels - 1, isEmpty)
        text = b"" if isEmpty or name not in _TEXTS else self._text(name)
        if name == b"data":
            return _data(text)
        if name not in _TEXTS:
            raise ValueError(f"expected a value, got {name[:20].decode()}")
        return _TEXTS[name](_decoded(text))

    def _dictionary(self, levels: int, isEmpty: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isEmpty:
            self._skip()
            if self._closes(b"dict"):
                break
            if self._opening() != (b"key", False):
                raise ValueError(f"expected a key in front of byte {self._at}")
            key = _decoded(self._text(b"key"))
            self._skip()
            if self._closes(b"dict"):
                break  # A key without a value says nothing.
            values[key] = self._valueOf(*self._opening(), levels)
        return values

    def _array(self, levels: int, isEmpty: bool) -> list[Any]:
        values: list[Any] = []
        while not isEmpty:
            self._skip()
            if self._closes(b"array"):
                break
            values.append(self._valueOf(*self._opening(), levels))
        return values

    def _skip(self) -> None:
        """
        Pass over space, comments, declarations and processing instructions.
        """
        while True:
            found = _SPACE.match(self._body, self._at)
            assert found is not None  # nothing is space as well
            self._at = at = found.end()
            if self._body[at : at + 2] not in _PASSED:
                return
            if self._startsWith(b"<!--"):
                self._passBy(b"-->")
            elif self._startsWith(b"<?"):
                self._passBy(b"?>")
            elif doctype := _DOCTYPE.match(self._body, self._at):
                self._at = doctype.end()
            else:
                return

    def _opening(self) -> tuple[bytes, bool]:
        """
        Take a tag.

        @return: Its name, and whether it is an element without anything inside.
        @raise ValueError: It is none.
        """
        found = _OPENING.match(self._body, self._at)
        if found is None:
            raise ValueError(f"expected a tag at byte {self._at}")
        self._at = found.end()
        return found[1], found[0].endswith(b"/>")

    def _closes(self, name: bytes) -> bool:
        """
        Take the end of an element, if it is there.

        @raise ValueError: The end of another is.
        """
        found = _CLOSING.match(self._body, self._at)
        if found is None:
            return False
        if found[1] != name:
            raise ValueError(f"expected the end of {name.decode()} at byte {self._at}")
        self._at = found.end()
        return True

    def _text(self, name: bytes) -> bytes:
        """
        Take all that is in an element, and its end.

        @return: As it stands, with what is in CDATA sections written with references.
        @raise ValueError: There is an element in it, or no end.
        """
        pieces: list[bytes] = []
        while True:
            end = self._body.find(b"<", self._at)
            if end < 0:
                raise ValueError(f"{name.decode()} has no end")
            pieces.append(self._body[self._at : end])
            self._at = end
            if self._startsWith(b"<!--"):
                self._passBy(b"-->")
            elif self._startsWith(b"<![CDATA["):
                start = self._at + len(b"<![CDATA[")
                self._passBy(b"]]>")
                inside = self._body[start : self._at - len(b"]]>")]
                pieces.append(inside.replace(b"&", b"&amp;"))
            elif self._closes(name):
                return b"".join(pieces)
            else:
                raise ValueError(f"expected nothing but text in {name.decode()}")

    def _startsWith(self, what: bytes) -> bool:
        return self._body.startswith(what, self._at)

    def _passBy(self, what: bytes) -> None:
        found = self._body.find(what, self._at)
        if found < 0:
            raise ValueError(f"expected {what.decode()} behind byte {self._at}")
        self._at = found + len(what)


def _decoded(text: bytes) -> str:
    """
    The characters of a text: of UTF-8, or of Latin-1, in which any bytes are some.

    @raise ValueError: There is a reference to nothing known.
    """
    try:
        characters = text.decode()
    except UnicodeDecodeError:
        characters = text.decode("latin-1")
    # Programs in C send what is in a buffer behind a text.
    characters = characters.partition("\0")[0]
    if "&" in characters:
        characters = _REFERENCE.sub(_referred, characters)
    return _NO_XML.sub("\ufffd", characters)


def _referred(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name = reference.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal or 0)
    if name in _NAMED:
        return _NAMED[name]
    if name or number > sys.maxunicode:
        raise ValueError(f"expected a character, got {reference[0]!r}")
    return chr(number)


def _integer(text: str) -> int:
    """
    The number that a text begins with; 0 if it begins with none.
    """
    found = _INTEGER.match(text)
    if found is None:
        return 0
    sign, hexadecimal, decimal = found.groups()
    digits = (hexadecimal or decimal).lstrip("0")[: _DIGITS + 1]
    number = int(digits or "0", 16 if hexadecimal else 10)
    return max(SMALLEST_INTEGER, min(LARGEST_INTEGER, -number if sign == "-" else number))


def _real(text: str) -> float:
    found = _REAL.match(text)
    return float(found[1]) if found else 0.0


def _date(text: str) -> datetime:
    """
    A moment as plistlib has it, without a time zone.
    """
    if not text:
        return _FIRST_DATE
    try:
        return datetime.strptime(text, _DATE)
    except ValueError:
        return _NO_DATE


def _data(text: bytes) -> bytes:
    """
    Of base64 all whole groups.
    """
    letters = _NO_BASE64.sub(b"", text)
    return b64decode(letters[: len(letters) // 4 * 4])


_TEXTS: dict[bytes, Callable[[str], Any]] = {
    b"string": str,
    b"integer": _integer,
    b"real": _real,
    b"date": _date,
    b"true": lambda text: True,
    b"false": lambda text: False,
    b"data": str,
}


def parseLoosely(body: bytes) -> Any:
    """
    Read the first value in a document, whatever comes behind it.

    @raise ValueError: There is none.
    """
    return _Reader(body).root()
