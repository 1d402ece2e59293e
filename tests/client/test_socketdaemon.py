"""
Tests for L{muxd.client.socketdaemon}.
"""

from __future__ import annotations

import os
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import VARIABLE, InvalidAddress, TCPAddress, UnixAddress
from muxd.client.socketdaemon import LOSSES, Outage, checkPort, meantAddress
from muxd.client.socketerrors import DaemonLost, NoDaemon, UsbmuxError
from muxd.client.socketio import Deadline

LOSS = NoDaemon("/x", "it does not exist", "start it")
OTHER = DaemonLost("/x", "listen")


class MeantTests(SynchronousTestCase):
    """
    Tests of what a program means.
    """

    def test_address(self) -> None:
        """
        An address is taken as it is, and a text is understood.
        """
        given = TCPAddress("h", 1)
        self.assertIs(meantAddress(given), given)
        self.assertEqual(meantAddress("/run/x"), UnixAddress("/run/x"))
        self.assertRaises(InvalidAddress, meantAddress, "nonsense")

    def test_environment(self) -> None:
        """
        Without one it is where the environment says, each time anew.
        """
        for path in ("/run/x", "/run/y"):
            with patch.dict(os.environ, {VARIABLE: path}):
                self.assertEqual(meantAddress(None), UnixAddress(path))

    def test_checkPort(self) -> None:
        """
        Ports are from 1 to 65535.
        """
        for port in (1, 22, 65535):
            checkPort(port)
        for port in (-1, 0, 65536):
            error = self.assertRaises(ValueError, checkPort, port)
            self.assertEqual(str(error), f"expected a port from 1 to 65535, got {port}")


class OutageTests(SynchronousTestCase):
    """
    Tests of L{Outage}.
    """

    def setUp(self) -> None:
        """
        A program that watches for ten seconds.
        """
        self.clock = Clock()
        self.end = Deadline(10, self.clock.seconds)
        self.told: list[UsbmuxError] = []

    def test_once(self) -> None:
        """
        A loss is told once, however often the daemon is not found again.
        """
        outage = Outage(self.told.append)
        for error in (LOSS, LOSS, OTHER):
            self.assertIn(type(error), LOSSES)
            self.assertTrue(outage.outlived(error, self.end))
        self.assertEqual(self.told, [LOSS])

    def test_again(self) -> None:
        """
        The next loss of a daemon that has come back is told again.
        """
        outage = Outage(self.told.append)
        outage.outlived(LOSS, self.end)
        outage.over()
        outage.outlived(OTHER, self.end)
        self.assertEqual(self.told, [LOSS, OTHER])

    def test_raised(self) -> None:
        """
        A loss is raised for a program that does not ask to be told.
        """
        error = self.assertRaises(NoDaemon, Outage(None).outlived, LOSS, self.end)
        self.assertIs(error, LOSS)

    def test_end(self) -> None:
        """
        What fails because the time is over is no loss: it is neither told nor raised.
        """
        self.clock.advance(10)
        self.assertFalse(Outage(self.told.append).outlived(LOSS, self.end))
        self.assertFalse(Outage(None).outlived(LOSS, self.end))
        self.assertEqual(self.told, [])
