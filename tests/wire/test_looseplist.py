"""
Tests of L{muxd.wire.looseplist}.
"""

from __future__ import annotations

import plistlib
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.looseplist import parseLoosely
from muxd.wire.measure import DEEPEST
from tests.running.properties import examples

PLAIN = b"<dict><key>a</key><string>x</string></dict>"
VALUES = {"a": "x"}

values = st.recursive(
    st.one_of(
        st.integers(-(1 << 63), (1 << 64) - 1),
        st.booleans(),
        st.binary(max_size=20),
        st.text(alphabet="abc \u00e9\u20ac&<>\"'\n", max_size=20),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(
            lambda moment: moment.replace(microsecond=0)
        ),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc&", max_size=5), inner),
)


def ofString(text: bytes) -> Any:
    """
    What a string element with this text says.
    """
    return parseLoosely(b"<string>%s</string>" % text)


class DocumentTests(SynchronousTestCase):
    """
    What may be around a value.
    """

    def test_served(self) -> None:
        """
        Whatever the C daemon passes over in front of it, around it and behind it.
        """
        for body in (
            PLAIN,
            b"<plist>%s</plist>" % PLAIN,
            b"\n<plist>%s</plist>" % PLAIN,
            b" \t\r\n%s" % PLAIN,
            b"%s\0" % PLAIN,
            b"<plist>%s</plist>\0\0\0" % PLAIN,
            b"%sgarbage" % PLAIN,
            b"<plist>%s" % PLAIN,
            b"<plist>%s</pli" % PLAIN,
            b"<plist version=1.0>%s</plist>" % PLAIN,
            b"<plist version=1.0'>%s</plist>" % PLAIN,
            b"<plist><plist>%s</plist></plist>" % PLAIN,
            b"<plist>%s</plist><plist/>" % PLAIN,
            b"<dict><key>a</key><string>x</string></dict\0-->",
            PLAIN + PLAIN,
            b"<!DOCTYPE plist>%s" % PLAIN,
            b'<!DOCTYPE plist PUBLIC "a>b" "c[d">%s' % PLAIN,
            b"<!DOCTYPE plist [<!ENTITY a 'b'>]>%s" % PLAIN,
            b"\n<?xml version='1.0'?>%s" % PLAIN,
            b"<?xml?><?other?><!-- < > -->%s" % PLAIN,
            b"<?xml version='1.0' encoding='UTF-16'?>%s" % PLAIN,
            b"<dict ><key >a</key ><string >x</string\n></dict >",
            b"<dict a='>'><key b=\"/>\">a</key/><string c>x</string></dict x>",
            b"<dict>\r\n <key>a</key><!-- x -->\t<string>x</string>\n</dict>",
        ):
            with self.subTest(body):
                self.assertEqual(parseLoosely(body), VALUES)

    def test_doubtful(self) -> None:
        """
        What may be something else, or nothing whole, is not read.
        """
        for body in (
            b"",
            b" ",
            b"<",
            b"x%s" % PLAIN,
            b"\0%s" % PLAIN,
            b"\xef\xbb\xbf%s" % PLAIN,
            b"<plist/>",
            b"<plist></plist>",
            b"<plist",
            b"<!-- %s" % PLAIN,
            b"<?xml %s" % PLAIN,
            b"<!ELEMENT x>%s" % PLAIN,
            b"<DICT></DICT>",
            b"< dict></dict>",
            b"<dict>",
            b"<dict><key>a</key><string>x</string>",
            b"<dict><key>a</key><string>x",
            b"<dict><key>a</key><string>x</dict>",
            b"<dict><key>a</key><string>x</string></array>",
            b"<dict><string>x</string></dict>",
            b"<dict><key/><string>x</string></dict>",
            b"<dict><key>a</key><key>b</key><string>x</string></dict>",
            b"<dict>x<key>a</key><string>x</string></dict>",
            b"<dict><key>a</key><other/></dict>",
            b"<dict><key>a</key><string>x<b>y</b></string></dict>",
            b"<dict><key>a</key><string><!-- </string></dict>",
            b"<dict><key>a</key><string><![CDATA[ </string></dict>",
            b"<array><string>x</string>",
            b"<array><key>x</key></array>",
        ):
            with self.subTest(body):
                self.assertRaises(ValueError, parseLoosely, body)


class ValueTests(SynchronousTestCase):
    """
    What is in elements.
    """

    def test_texts(self) -> None:
        """
        References, CDATA and comments are what they are in XML.
        """
        for text, said in (
            (b"", ""),
            (b" x ", " x "),
            (b"&amp;&lt;&gt;&quot;&apos;", "&<>\"'"),
            (b"&#65;&#x42;&#xe9;&#233;", "AB\u00e9\u00e9"),
            (b"a & b", "a & b"),
            (b"a&b&", "a&b&"),
            (b"x<![CDATA[y<&amp;]]>z", "xy<&amp;z"),
            (b"x<!-- y -->z", "xz"),
            (b"&#xd800;&#0;&#1;\x1b\xef\xbf\xbe", "\ufffd" * 5),
        ):
            with self.subTest(text):
                self.assertEqual(ofString(text), said)
        for text in (b"&nbsp;", b"&a;", b"&#x110000;", b"&#9999999;"):
            with self.subTest(text):
                self.assertRaises(ValueError, ofString, text)

    def test_encodings(self) -> None:
        """
        A text that is no UTF-8 is Latin-1; another one beside it is not concerned.
        """
        body = b"<array><string>caf\xe9</string><string>caf\xc3\xa9</string></array>"
        self.assertEqual(parseLoosely(body), ["caf\u00e9", "caf\u00e9"])

    def test_endOfText(self) -> None:
        """
        A text ends at a NUL.
        """
        self.assertEqual(ofString(b"x\0y"), "x")
        self.assertEqual(parseLoosely(b"<dict><key>a\0b</key><true/></dict>"), {"a": True})

    def test_integers(self) -> None:
        """
        An integer is what a text begins with, at most as large as there are any.
        """
        for text, number in (
            (b"", 0),
            (b"abc", 0),
            (b"12", 12),
            (b" 12 ", 12),
            (b"12abc", 12),
            (b"1.5", 1),
            (b"+5", 5),
            (b"-5", -5),
            (b"0x1F", 31),
            (b"-0X5", -5),
            (b"0012", 12),
            (b"18446744073709551615", (1 << 64) - 1),
            (b"9" * 60000, (1 << 64) - 1),
            (b"-" + b"9" * 60000, -(1 << 63)),
            (b"0x" + b"f" * 60000, (1 << 64) - 1),
            (b"0" * 60000 + b"7", 7),
            (b"1" + b"0" * 20, (1 << 64) - 1),
            (b"-1" + b"0" * 20, -(1 << 63)),
        ):
            with self.subTest(text[:30]):
                self.assertEqual(parseLoosely(b"<integer>%s</integer>" % text), number)
        self.assertEqual(parseLoosely(b"<integer/>"), 0)

    def test_others(self) -> None:
        """
        All other kinds, empty and nearly right.
        """
        for body, value in (
            (b"<true/>", True),
            (b"<true>x</true>", True),
            (b"<false></false>", False),
            (b"<real/>", 0.0),
            (b"<real> -1.5e3x</real>", -1500.0),
            (b"<real>x</real>", 0.0),
            (b"<date>2020-02-03T04:05:06Z</date>", datetime(2020, 2, 3, 4, 5, 6)),
            (b"<date/>", datetime(2001, 1, 1)),
            (b"<date>yesterday</date>", datetime(1970, 1, 1)),
            (b"<data>QU JD\n</data>", b"ABC"),
            (b"<data>*QUJD</data>", b"ABC"),
            (b"<data>QUJDQ</data>", b"ABC"),
            (b"<data>QQ==</data>", b"A"),
            (b"<data/>", b""),
            (b"<array/>", []),
            (b"<array> <true/>\n<!-- x --><false/>\t</array>", [True, False]),
            (b"<dict></dict>", {}),
            (b"<dict><key>a</key></dict>", {}),
            (b"<dict><key>a</key><true/><key>a</key><false/></dict>", {"a": False}),
        ):
            with self.subTest(body):
                read = parseLoosely(body)
                self.assertEqual((read, type(read)), (value, type(value)))

    @settings(deadline=None, max_examples=examples(200))
    @given(values)
    def test_agreesWithPlistlib(self, value: Any) -> None:
        """
        What is XML is read as plistlib reads it.
        """
        body = plistlib.dumps(value)
        self.assertEqual(parseLoosely(body), plistlib.loads(body))


class CostTests(SynchronousTestCase):
    """
    Hostile documents.
    """

    @settings(deadline=None, max_examples=examples(500))
    @given(
        st.lists(
            st.sampled_from(
                (
                    *(b"<dict>", b"</dict>", b"<array>", b"</array>", b"<key>a</key>", b"<key>"),
                    *(b"<string>", b"</string>", b"<integer>", b"</integer>", b"<true/>", b"x"),
                    *(
                        b"<!--",
                        b"-->",
                        b"<![CDATA[",
                        b"]]>",
                        b"<?",
                        b"?>",
                        b"<!DOCTYPE",
                        b"[",
                        b"]",
                    ),
                    *(b">", b"<", b"&", b"&#", b";", b"\0", b"\xff", b"'", b'"', b"/>", b"<data>"),
                )
            ),
            max_size=30,
        ).map(b"".join)
    )
    def test_anything(self, body: bytes) -> None:
        """
        Anything is a value, which can be written as XML, or a C{ValueError}.
        """
        try:
            value = parseLoosely(body)
        except ValueError:
            return
        self.assertTrue(plistlib.dumps(value))

    def test_depth(self) -> None:
        """
        Depth is bounded as everywhere.
        """
        for opening, closing in ((b"<array>", b"</array>"), (b"<dict><key>a</key>", b"</dict>")):
            parseLoosely(opening * DEEPEST + closing * DEEPEST)
            for body in (opening * (DEEPEST + 1), opening * 10000):
                self.assertRaisesRegex(ValueError, "64 levels", parseLoosely, body)

    def test_looksOnce(self) -> None:
        """
        However long the documents are that end where they began to be looked at,
        nothing in them is looked at again: a part of a second for all of them, where a
        square of their length would take minutes.
        """
        size = 1 << 20
        for piece in (
            *(b"<", b"<a ", b"<!--", b"<!DOCTYPE", b"<!DOCTYPE [", b"<?", b" ", b"<plist>"),
            *(b"<string a='", b'<string "', b"<array><!-- -->", b"<dict><key>", b"<string>&#"),
            *(b"<string><![CDATA[", b"<string>&", b"<integer>-", b"<data>=", b"<plist a=''"),
        ):
            with self.subTest(piece):
                self.assertRaises(ValueError, parseLoosely, piece * (size // len(piece)))
