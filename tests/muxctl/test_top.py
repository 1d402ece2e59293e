# -*- test-case-name: tests.muxctl.test_top -*-
"""
Tests of L{muxd.muxctl.top}.
"""

from __future__ import annotations

import io
import json
import os
import pty
import termios

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.statusclient import StatusClient
from muxd.muxctl.top import Top, keysOf
from tests.muxctl.console import muxctl
from tests.muxctl.fakestatus import FakeStatus, event, state, tick

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PATIENCE = 2000
"""Turns that something is waited for, each of them ten milliseconds."""


class TopTests(SynchronousTestCase):
    """
    The screen and its keys.
    """

    def shown(self, answer: bytes, until: str, *keys: str) -> str:
        """
        What is on the screen when C{top} has shown a text and then been told these keys.
        """
        output = io.StringIO()
        pressed = list(keys)
        turns = iter(range(PATIENCE))

        def key(seconds: float) -> str:
            next(turns)
            if until not in output.getvalue():
                # Real time goes on meanwhile: the events come in a thread.
                os.sched_yield()
                thread.wait(0.01)
                return ""
            return pressed.pop(0) if pressed else "q"

        fake = FakeStatus(self, answer)
        top = Top(StatusClient(fake.address), output, key, lambda: os.terminal_size((100, 30)))
        thread = top._ended
        top.run()
        return output.getvalue()

    def test_phones(self) -> None:
        """
        Phones are shown as soon as they are told, and a key ends it.
        """
        text = self.shown(HEAD + event("state", state()), "Ann's 1")
        self.assertIn("2 phones, 1 sessions", text)
        self.assertNotIn("xctest", text)

    def test_sessions(self) -> None:
        """
        A key shows sessions.
        """
        text = self.shown(HEAD + event("state", state()), "Ann's 1", "x", "s", "")
        self.assertIn("xctest (77)", text)

    def test_lost(self) -> None:
        """
        A daemon that has gone is said to have, and is waited for.
        """
        text = self.shown(HEAD + event("tick", tick(1.0)), "trying again")
        self.assertIn("trying again", text)

    def test_time(self) -> None:
        """
        When the time is over it ends, also where a daemon says nothing any more, or has gone.
        """
        output = io.StringIO()
        times = iter((4.0, 4.9, 5.0))
        fake = FakeStatus(self, HEAD)
        client = StatusClient(fake.address)
        top = Top(
            *(client, output, lambda seconds: "", lambda: os.terminal_size((100, 30))),
            end=5.0,
            clock=lambda: next(times),
        )
        top.run()
        self.assertEqual(list(times), [])

    def test_nonsense(self) -> None:
        """
        Events that make no sense are told, and got over.
        """
        data = HEAD + event("state", {}) + event("state", state())
        self.assertIn("Ann's 1", self.shown(data, "Ann's 1"))

    def test_keys(self) -> None:
        """
        Keys come without being shown, and the terminal is left as it was.
        """
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with os.fdopen(theirs, "r") as stdin:
            before = termios.tcgetattr(stdin)
            with keysOf(stdin) as key:
                self.assertEqual(key(0), "")
                os.write(ours, b"s")
                self.assertEqual(key(5), "s")
                self.assertNotEqual(termios.tcgetattr(stdin), before)
            self.assertEqual(termios.tcgetattr(stdin), before)


class CommandTests(SynchronousTestCase):
    """
    The command line.
    """

    def test_noTerminal(self) -> None:
        """
        Without a terminal it is said what to do.
        """
        outcome = muxctl("top")
        self.assertEqual(outcome.status, 5)
        self.assertIn("muxctl status", outcome.err)

    def test_json(self) -> None:
        """
        With C{--json} each event is a line, until the daemon ends.
        """
        fake = FakeStatus(self, HEAD + event("tick", {"time": 1}))
        outcome = muxctl("top", "--json", address=fake.daemon)
        self.assertEqual(json.loads(outcome.out), {"event": "tick", "values": {"time": 1}})
        self.assertEqual(outcome.status, 5)

    def test_timeout(self) -> None:
        """
        When C{--timeout} is over, that is the end and no error.
        """
        fake = FakeStatus(self, HEAD + event("tick", {"time": 1}))
        self.patch(StatusClient, "isOver", True)
        outcome = muxctl("top", "--json", "--timeout", "60", address=fake.daemon)
        self.assertEqual((outcome.status, outcome.err), (0, ""))
