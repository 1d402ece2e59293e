# -*- test-case-name: tests.tap.test_phonecontrol -*-
"""
Tests of L{muxd.tap.phonecontrol}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.service import MuxService
from muxd.status.actions import Values
from muxd.status.answers import RequestError
from muxd.tap.phonecontrol import phoneControl


class PhoneControlTests(SynchronousTestCase):
    """
    Tests of L{phoneControl}.
    """

    def perform(self, command: str, *sources: str) -> Any:
        """
        Have a daemon with these sources carry out a command.
        """
        action = phoneControl(MuxService(Clock(), sources=sources))
        return action.perform(Values({"command": command}))

    def test_command(self) -> None:
        """
        A command is for the phones of all sources, which are numbered on.
        """
        sources = ("simulated:2", "simulated:udid=00008030-0011223344556677")
        answer = self.perform("stats", *sources)["answer"]
        self.assertEqual(len(answer), 3)
        answer = self.perform("stats 3", *sources)["answer"]
        self.assertEqual(answer["udid"], "00008030-0011223344556677")
        self.assertEqual(self.perform("lock 1", *sources), {"answer": "ok"})

    def test_refusals(self) -> None:
        """
        What cannot be done is an error, and so is that there are none.
        """
        for command, sources, status in (
            ("dance", ("simulated",), 409),
            ("quit", ("simulated",), 409),
            ("stats 9", ("simulated",), 409),
            ("stats", (), 404),
        ):
            error = self.assertRaises(RequestError, self.perform, command, *sources)
            self.assertEqual(error.status, status)
