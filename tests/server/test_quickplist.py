# -*- test-case-name: tests.server.test_quickplist -*-
"""
Tests of L{muxd.server.quickplist}.
"""

from __future__ import annotations

import plistlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.quickplist import LONGEST_KEPT, parseRequest, quickPlist
from muxd.wire.messages import MalformedMessage
from tests.running.properties import examples

CONNECT = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>ClientVersionString</key>
\t<string>libusbmuxd 2.1.0</string>
\t<key>MessageType</key>
\t<string>Connect</string>
\t<key>ProgName</key>
\t<string></string>
\t<key>DeviceID</key>
\t<integer>1</integer>
\t<key>PortNumber</key>
\t<integer>-23521</integer>
\t<key>Modern</key>
\t<true/>
</dict>
</plist>
"""  # as it is on the wire

texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
plainTexts = st.text(alphabet="abcXYZ 019._-;:/=!~", max_size=20)
values = st.dictionaries(
    st.one_of(plainTexts, texts),
    st.one_of(
        plainTexts, texts, st.integers(-(1 << 63), (1 << 64) - 1), st.booleans(), st.binary()
    ),
    max_size=6,
)


class QuickPlistTests(SynchronousTestCase):
    """
    L{quickPlist} answers as plistlib does, or not at all.
    """

    def assertAgrees(self, body: bytes) -> dict[str, Any] | None:
        """
        Fail if there is an answer and it is not plistlib's.
        """
        quick = quickPlist(body)
        if quick is not None:
            slow = plistlib.loads(body)
            self.assertEqual(quick, slow)
            self.assertEqual(
                [type(value) for value in quick.values()],
                [type(value) for value in slow.values()],
            )
        return quick

    def test_usualRequest(self) -> None:
        """
        A request as libusbmuxd writes it is answered.
        """
        self.assertEqual(
            self.assertAgrees(CONNECT),
            {
                "ClientVersionString": "libusbmuxd 2.1.0",
                "MessageType": "Connect",
                "ProgName": "",
                "DeviceID": 1,
                "PortNumber": -23521,
                "Modern": True,
            },
        )

    def test_plistlibsRequest(self) -> None:
        """
        A request as plistlib writes it is answered, and so is one without any
        space between its elements.
        """
        body = plistlib.dumps({"MessageType": "Listen", "kLibUSBMuxVersion": 3, "A": False})
        self.assertIsNotNone(self.assertAgrees(body))
        self.assertIsNotNone(self.assertAgrees(body.replace(b"\n\t", b"")))
        self.assertIsNotNone(self.assertAgrees(plistlib.dumps({"a": 1, "b": ""})))

    def test_duplicateKeys(self) -> None:
        """
        Of two values of one key the last one counts, as it does for plistlib.
        """
        body = CONNECT.replace(b"ProgName", b"MessageType")
        quick = self.assertAgrees(body)
        assert quick is not None
        self.assertEqual(quick["MessageType"], "")

    def test_unusual(self) -> None:
        """
        Whatever is unusual is left to plistlib.
        """
        for old, new in (
            (b"UTF-8", b"UTF-16"),
            (b"Connect", b"Con&amp;nect"),
            (b"Connect", b"Con<!-- -->nect"),
            (b"Connect", b"Conn\xc3\xa9ct"),
            (b"<integer>1<", b"<integer>0x1<"),
            (b"<integer>1<", b"<integer> 1<"),
            (b"<integer>1<", b"<integer>" + b"9" * 30 + b"<"),
            (b"<true/>", b"<true></true>"),
            (b"<true/>", b"<real>1.5</real>"),
            (b"<true/>", b"<array/>"),
            (b"<key>Modern</key>", b"<key></key>"),
            (b"</plist>\n", b"</plist>\0"),
            (b"</plist>", b""),
            (b"\n</dict>", b"<key>a</key></dict>"),
        ):
            body = CONNECT.replace(old, new)
            self.assertNotEqual(body, CONNECT)
            self.assertIsNone(quickPlist(body), new)

    def test_fallsBack(self) -> None:
        """
        A request that plistlib alone can read is read, binary ones included.
        """
        expected = {"MessageType": "a & b", "List": [1]}
        for format in (plistlib.FMT_XML, plistlib.FMT_BINARY):
            self.assertEqual(parseRequest(plistlib.dumps(expected, fmt=format)), expected)

    def test_malformed(self) -> None:
        """
        What nobody can read is refused.
        """
        for body in (b"", b"garbage", CONNECT[:-20], CONNECT.replace(b"</dict>", b"")):
            with self.assertRaises(MalformedMessage):
                parseRequest(body)

    def test_lines(self) -> None:
        """
        A long request has as many lines as there may be, whatever they end with.
        """
        body = plistlib.dumps({"MessageType": "SavePairRecord"})
        for ends, isRefused in (
            (b"\n" * 2000 + b"\r" * 2000, False),
            (b"\n" * 2100 + b"\r" * 2100, True),
            (b"\n" * 4200, True),
            (b"\r" * 4200, True),
        ):
            long = body.replace(b"</dict>", ends + b" " * 5000 + b"</dict>")
            if isRefused:
                self.assertRaises(MalformedMessage, parseRequest, long)
            else:
                self.assertEqual(parseRequest(long), {"MessageType": "SavePairRecord"})

    def test_noBacktracking(self) -> None:
        """
        The longest message of nearly the right shape is refused at once: there
        is one way only to match anything.
        """
        item = b"<key>a</key><integer>1</integer>"
        body = CONNECT.replace(b"<true/>", b"<true/>" + item * 1800 + b"<key>b</key>")
        self.assertIsNone(quickPlist(body))
        self.assertIsNone(quickPlist(CONNECT.replace(b"<true/>", b"<true/>" + b" " * 60000)[:-9]))

    @settings(deadline=None, max_examples=examples(200))
    @given(values)
    def test_agreesOnDictionaries(self, written: dict[str, Any]) -> None:
        """
        For any flat dictionary that plistlib writes.
        """
        self.assertAgrees(plistlib.dumps(written))

    @settings(deadline=None, max_examples=examples(300))
    @given(st.data())
    def test_agreesOnDamage(self, data: st.DataObject) -> None:
        """
        For a usual request with any few bytes replaced.
        """
        body = bytearray(CONNECT)
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(body)))
            end = data.draw(st.integers(start, min(len(body), start + 8)))
            pieces = st.sampled_from(
                [b"", b" ", b"<", b"/>", b"&", b"\0", b"1", b"-", b"<key>", b"</string>", b"\xff"]
            )
            body[start:end] = data.draw(st.one_of(pieces, st.binary(max_size=4)))
        self.assertAgrees(bytes(body))

    def test_repeated(self) -> None:
        """
        What is said again is read once, and nobody can change what others are
        given; what is longer than usual is not kept.
        """
        first = parseRequest(CONNECT)
        self.assertIs(parseRequest(bytes(bytearray(CONNECT))), first)
        with self.assertRaises(TypeError):
            first["PortNumber"] = 1  # type: ignore[index]
        long = CONNECT.replace(b"<dict>", b"<dict>" + b" " * LONGEST_KEPT)
        again = parseRequest(long)
        self.assertEqual(again, first)
        self.assertIsNot(parseRequest(long), again)
