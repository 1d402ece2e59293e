"""
A daemon, or a phone by its serial number, whose names are escape sequences for the terminal
of the person that uses our tools.
"""

from __future__ import annotations

import io
import plistlib
import unicodedata
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import problems
from muxd.client.problems import Stage, UsbmuxError
from muxd.muxctl.commandline import main
from muxd.wire.messages import PLIST_VERSION, Message, MessageType
from tests.client.fakedaemon import (
    FakeDaemon,
    Peer,
    Script,
    deviceEntry,
    listOf,
    result,
)
from tests.muxctl.console import muxctl, written

HOSTILE = "AAAA\x1b]0;pwn\x07\r\n\x1b[31m\u202eX\x9b\u2028"
"""A title, a colour, lines of its own, and letters from right to left."""


RECORD = plistlib.dumps({"HostID": "AAAA\u202eX"})


def saying(values: Mapping[str, Any]) -> Script:
    """
    A daemon's answer, with letters in it that XML does not have.
    """

    def script(peer: Peer) -> None:
        peer.request()
        body = plistlib.dumps(dict(values), fmt=plistlib.FMT_BINARY)
        peer.send(Message(PLIST_VERSION, MessageType.PLIST, 1, body))
        peer.rest()

    return script


class Screen(io.TextIOWrapper):
    """
    A terminal.
    """

    def isatty(self) -> bool:
        """
        It is one.
        """
        return True


class TerminalTests(SynchronousTestCase):
    """
    What gets to the terminal.
    """

    def assertHarmless(self, text: str) -> None:
        """
        It is lines of letters.
        """
        bad = [
            unicodedata.name(letter, hex(ord(letter)))
            for letter in text
            if not letter.isprintable() and letter not in "\n\t"
        ]
        self.assertEqual(bad, [], text)
        self.assertNotIn("\u2028", text)

    def run_(self, *words: str, scripts: tuple[Script, ...]) -> str:
        """
        What a command writes to a terminal.
        """
        fake = FakeDaemon(self, *scripts)
        out, err = Screen(io.BytesIO(), "utf-8"), Screen(io.BytesIO(), "utf-8")
        main([*words], None, out, err, {"USBMUXD_SOCKET_ADDRESS": str(fake.address)})
        text = written(out).decode() + written(err).decode()
        self.assertIn("AAAA", text)
        return text

    def test_commands(self) -> None:
        """
        Whatever a command says, in its lines and in its errors, it commands nothing.
        """
        phones = saying(listOf(deviceEntry(udid=HOSTILE)))
        two = saying(listOf(deviceEntry(udid=HOSTILE), deviceEntry(2, HOSTILE + "2")))
        record = saying({"PairRecordData": RECORD})
        for words, scripts in (
            (["list"], (phones,)),
            (["buid"], (saying({"BUID": HOSTILE}),)),
            (["connect", "7"], (phones, result(3))),
            (["connect", "7"], (two,)),
            (["connect", "7", "-u", "B"], (two,)),
            (["listeners"], (saying({"ListenerList": [{"ProgName": HOSTILE}]}),)),
            (["record", "show", "B"], (record,)),
            (["record", "show", "--plist", "B"], (record,)),
        ):
            self.assertHarmless(self.run_(*words, scripts=scripts))

    def test_pipe(self) -> None:
        """
        A program that reads a record as XML gets what is in it, letter by letter.
        """
        record = saying({"PairRecordData": RECORD})
        outcome = muxctl("record", "show", "--plist", "B", address=FakeDaemon(self, record).address)
        self.assertIn("AAAA\u202eX", outcome.out)

    def test_errors(self) -> None:
        """
        Each error of the client's has a text that can be shown, and the name as it was said.
        """
        where = "UNIX:/x"
        errors: list[UsbmuxError] = [
            problems.NoDaemon(where, HOSTILE),
            problems.DaemonLost(where, HOSTILE),
            problems.DaemonNonsense(where, "x", HOSTILE),
            problems.DaemonRefused(where, HOSTILE, 1),
            problems.NotSupported(where, HOSTILE),
            problems.UnknownUDID(where, HOSTILE, "phone", ()),
            problems.PortRefused(HOSTILE, 7),
            problems.PhoneGone(HOSTILE, 7, HOSTILE),
            problems.TimedOut(Stage.CONNECT, 1, HOSTILE),
            problems.PairRecordError(where, "x", HOSTILE, 1),
        ]
        for error in errors:
            self.assertTrue(str(error).isprintable(), str(error))
            self.assertIn("AAAA?]0;pwn????[31m?X??", str(error))
        self.assertEqual(problems.PortRefused(HOSTILE, 7).udid, HOSTILE)
