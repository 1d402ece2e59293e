"""
Tests of L{muxd.description}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from muxd.description import (
    Description,
    DescriptionError,
    choiceFrom,
    expectKnown,
    secondsFrom,
    udidsFrom,
)
from tests.running.properties import examples


class DescriptionTests(SynchronousTestCase):
    """
    Tests of L{Description}.
    """

    def test_name(self) -> None:
        """
        A description may be a name alone.
        """
        self.assertEqual(Description.fromString("usb"), Description("usb"))

    def test_arguments(self) -> None:
        """
        Arguments are separated by colons, and those with an equals sign have a
        name; only the first equals sign counts.
        """
        self.assertEqual(
            Description.fromString("usb:2:poll=1:x=a=b:"),
            Description("usb", ("2", ""), {"poll": "1", "x": "a=b"}),
        )

    def test_escapes(self) -> None:
        """
        A backslash takes the meaning from a colon, an equals sign and a
        backslash.
        """
        self.assertEqual(
            Description.fromString(r"a\:b:c\=d:e=\\\:"),
            Description("a:b", ("c=d",), {"e": "\\:"}),
        )

    def test_backslashAtTheEnd(self) -> None:
        """
        A backslash with nothing behind it is refused, rather than lost.
        """
        error = self.assertRaises(DescriptionError, Description.fromString, "usb:a\\")
        self.assertIn("backslash", str(error))

    def test_twice(self) -> None:
        """
        An argument that is given twice is refused: no choice would be right.
        """
        error = self.assertRaises(DescriptionError, Description.fromString, "usb:poll=1:poll=2")
        self.assertIn("'poll' is given twice", str(error))

    def test_noName(self) -> None:
        """
        A description without a name is refused.
        """
        for text in ("", ":2", "poll=2"):
            error = self.assertRaises(DescriptionError, Description.fromString, text)
            self.assertIn("no name", str(error))

    @settings(deadline=None, max_examples=examples(200))
    @given(st.text(), st.text())
    def test_quoted(self, positional: str, value: str) -> None:
        """
        What C{quoteStringArgument} has quoted comes back as it was, whatever it
        is: as a value, and as a positional argument but for an equals sign.
        """
        positional = positional.replace("=", "")
        text = f"x:{quoteStringArgument(positional)}:key={quoteStringArgument(value)}"
        self.assertEqual(
            Description.fromString(text), Description("x", (positional,), {"key": value})
        )

    @settings(deadline=None, max_examples=examples(200))
    @given(st.text(alphabet="ab:=\\"))
    def test_anything(self, text: str) -> None:
        """
        Any text is either a description or refused in one line.
        """
        try:
            self.assertTrue(Description.fromString(text).name)
        except DescriptionError as error:
            self.assertNotIn("\n", str(error))

    @given(
        st.text(min_size=1),
        st.lists(st.text()),
        st.dictionaries(st.text(), st.text()),
    )
    def test_written(self, name: str, positional: list[str], keywords: dict[str, str]) -> None:
        """
        What is written is read back, whatever characters are in it.
        """
        description = Description(name, tuple(positional), keywords)
        self.assertEqual(Description.fromString(str(description)), description)


class ArgumentTests(SynchronousTestCase):
    """
    What arguments of several descriptions have in common.
    """

    def wrong(self, make: Callable[..., object], *arguments: object) -> str:
        """
        What is said of an argument.
        """
        return str(self.assertRaises(ValueError, make, *arguments))

    def test_known(self) -> None:
        """
        An argument that there is not is named, with those that there are.
        """
        expectKnown({"a": "1"}, ("a", "b"))
        self.assertEqual(
            self.wrong(expectKnown, {"c": "1", "a": "2"}, ("a", "b")),
            "no such argument: 'c'; expected a, b",
        )

    def test_choice(self) -> None:
        """
        A word is one of those that there are.
        """
        self.assertEqual(choiceFrom("as", "usb", ("usb", "network")), "usb")
        self.assertEqual(
            self.wrong(choiceFrom, "as", "x", ("usb", "network")),
            "as: expected usb, network, got 'x'",
        )

    def test_seconds(self) -> None:
        """
        A time is within its bounds, and a number.
        """
        self.assertEqual(secondsFrom("poll", "0.5", 0, 3600), 0.5)
        for text in ("-1", "3601", "nan", "inf", "x", ""):
            self.assertIn(
                "poll: expected seconds from 0 to 3600, got",
                self.wrong(secondsFrom, "poll", text, 0, 3600),
            )

    def test_udids(self) -> None:
        """
        UDIDs are compared however they were typed; to name none is a mistake.
        """
        self.assertEqual(udidsFrom("only", {"only": "A-B, c,"}), {"ab", "c"})
        self.assertEqual(udidsFrom("only", {}), frozenset())
        self.assertIn(
            "leave only= out for all phones", self.wrong(udidsFrom, "only", {"only": ","})
        )
        self.assertIn("leave deny= out for none", self.wrong(udidsFrom, "deny", {"deny": " "}))
