# -*- test-case-name: tests.client.test_errors -*-
"""
Tests for L{muxd.client.errors}.
"""

from __future__ import annotations

from twisted.internet import error
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import errors
from muxd.client.errors import Stage

EVERY = [
    errors.NoDaemon("WHERE", "No such file or directory."),
    errors.DaemonLost("WHERE", "events"),
    errors.DaemonNonsense("WHERE", "Listen", "REASON"),
    errors.DaemonRefused("WHERE", "Listen", 5),
    errors.NotSupported("WHERE", "ReadBUID"),
    errors.NoPhone("WHERE"),
    errors.UnknownUDID("WHERE", "UDID", "phone", []),
    errors.SeveralPhones("WHERE", []),
    errors.PortRefused("UDID", 22),
    errors.PhoneGone("UDID", 22, "REASON"),
    errors.TimedOut(Stage.CONNECT, 3.0, "Connect"),
]


class ErrorTests(SynchronousTestCase):
    """
    What code and people can make of the errors.
    """

    def test_connectErrors(self) -> None:
        """
        Whatever keeps a connection from being made is a C{ConnectError}, as the
        endpoints' interface promises.
        """
        for each in EVERY:
            self.assertIsInstance(each, error.ConnectError)
            self.assertIsInstance(each, errors.UsbmuxError)

    def test_kinds(self) -> None:
        """
        Those that Twisted has a name for are of that kind.
        """
        self.assertTrue(issubclass(errors.PortRefused, error.ConnectionRefusedError))
        self.assertTrue(issubclass(errors.TimedOut, error.TimeoutError))
        self.assertTrue(issubclass(errors.PhoneGone, error.ConnectionLost))
        self.assertTrue(issubclass(errors.DaemonLost, error.ConnectionLost))

    def test_oneLine(self) -> None:
        """
        The text is one line of our own, not Twisted's about connecting.
        """
        for each in EVERY:
            self.assertNotIn("\n", str(each))
            self.assertNotIn("An error occurred", str(each))
            self.assertEqual(str(each), each.args[0])

    def test_noDaemon(self) -> None:
        """
        Without a daemon, people are told where we looked and what to do.
        """
        text = str(EVERY[0])
        self.assertIn("WHERE (No such file or directory):", text)
        self.assertIn("USBMUXD_SOCKET_ADDRESS", text)

    def test_timedOut(self) -> None:
        """
        A time-out says what was going on, and for how long.
        """
        self.assertEqual(
            "time-out after 3 s while waiting for the phone to accept the connection (Connect)",
            str(EVERY[-1]),
        )
