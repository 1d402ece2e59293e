# -*- test-case-name: tests.vulnerabilities.test_bombs -*-
"""
Property lists that are more than they seem.
"""

from __future__ import annotations

from struct import pack


def binaryPlist(*objects: bytes, count: int | None = None) -> bytes:
    """
    A property list in binary, of objects that are encoded already; the first is its
    root.
    """
    body, offsets = b"bplist00", []
    for each in objects:
        offsets.append(len(body))
        body += each
    table = b"".join(pack(">H", offset) for offset in offsets)
    declared = len(objects) if count is None else count
    return body + table + pack(">6xBBQQQ", 2, 1, declared, 0, len(body))


def laughs(*head: bytes, levels: int, width: int = 10) -> bytes:
    """
    Of few bytes, and width ** levels values when it is written down.

    @param head: A dictionary of one item, and its key.
    """
    arrays = [bytes([0xA0 | width]) + bytes([at + 3] * width) for at in range(levels)]
    return binaryPlist(*head, *arrays, b"\x53lol")


def bombs(key: str = "a") -> dict[str, bytes]:
    """
    Property lists that are more than they seem.

    @param key: Under which the surprise is.
    """
    name = bytes([0x50 | len(key)]) + key.encode()
    head = b"\xd1\1\2", name

    def xml(value: bytes, doctype: bytes = b"") -> bytes:
        opening = b'<?xml version="1.0"?>' + doctype + b"<plist><dict><key>" + key.encode()
        return opening + b"</key>" + value + b"</dict></plist>"

    return {
        "laughs": laughs(*head, levels=8),
        "text": binaryPlist(*head, b"\xa8" + b"\3" * 8, b"\x5f\x11\1\0" + b"x" * 256),
        "loop": binaryPlist(*head, b"\xa2\2\2"),
        "integer": binaryPlist(*head, b"\x14" + b"\x7f" * 16),
        "count": binaryPlist(b"\xd0", count=1 << 40),
        "array": binaryPlist(b"\xaf\x13" + b"\x7f" * 8),
        "uid": binaryPlist(*head, b"\x80\1"),
        "date": binaryPlist(*head, b"\x33\x7f\xf8" + bytes(6)),
        "control": binaryPlist(*head, b"\x54\x1b[2J"),
        "key": binaryPlist(b"\xd1\1\2", b"\xa0", name),
        "entities": xml(
            b"<string>&b;</string>", b'<!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        ),
        "external": xml(
            b"<string>&a;</string>", b'<!DOCTYPE plist [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        ),
        "deep": xml(b"<array>" * 70 + b"</array>" * 70),
        "hex": xml(b"<integer>0x" + b"f" * 40 + b"</integer>"),
        "real": xml(b"<real>" + b"9" * 400 + b"x</real>"),
    }
