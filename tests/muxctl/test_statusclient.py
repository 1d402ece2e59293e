# -*- test-case-name: tests.muxctl.test_statusclient -*-
"""
Tests of L{muxd.muxctl.statusclient}.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import TCPAddress, UnixAddress
from muxd.client.socketerrors import TimedOut, UsbmuxError
from muxd.muxctl.errors import NoStatus, StatusNonsense, StatusRefused
from muxd.muxctl.statusclient import StatusClient, statusAddress
from tests.muxctl.console import muxctl
from tests.muxctl.fakestatus import FakeStatus, answered


class ClientTests(SynchronousTestCase):
    """
    Questions and their answers.
    """

    def serve(self, answer: bytes) -> FakeStatus:
        """
        A status socket with this answer.
        """
        return FakeStatus(self, answer)

    def failure(self, kind: type[UsbmuxError], work: Callable[[], object]) -> str:
        """
        What an error says: one line.
        """
        text = str(self.assertRaises(kind, work))
        self.assertNotIn("\n", text)
        return text

    def test_get(self) -> None:
        """
        A question has an answer, and is for a name that no web page could have.
        """
        fake = self.serve(answered({"a": 1}))
        self.assertEqual(StatusClient(fake.address).get("/api/status"), {"a": 1})
        self.assertIn(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n", fake.asked)

    def test_post(self) -> None:
        """
        An action is given JSON.
        """
        fake = self.serve(answered({}))
        self.assertEqual(StatusClient(fake.address).post("/api/act", {"udid": "x"}), {})
        self.assertIn(b"Content-Type: application/json", fake.asked)
        self.assertTrue(fake.asked.endswith(b'{"udid": "x"}'))

    def test_stream(self) -> None:
        """
        What has no length is read until it ends.
        """
        fake = self.serve(b"HTTP/1.1 200 OK\r\n\r\none\ntwo\n")
        with StatusClient(fake.address).stream("/api/log") as response:
            self.assertEqual(list(response), [b"one\n", b"two\n"])

    def test_refused(self) -> None:
        """
        An error is its line and what to do, without what a terminal would obey.
        """
        values = {"error": "no such\x1b phone", "remedy": "plug it in"}
        fake = self.serve(answered(values, "404 Not Found"))
        text = self.failure(StatusRefused, lambda: StatusClient(fake.address).get("/api/x"))
        self.assertEqual(text, "no such? phone; plug it in")

    def test_over(self) -> None:
        """
        An answer without an end comes to its end when the time is over; that a line is cut then
        is no error.
        """
        alarms: list[Callable[[], None]] = []
        cancelled: list[None] = []

        class FakeAlarm:
            def cancel(self) -> None:
                cancelled.append(None)

        def after(seconds: float, function: Callable[[], None]) -> FakeAlarm:
            self.assertTrue(0 <= seconds <= 60)
            alarms.append(function)
            return FakeAlarm()

        fake = FakeStatus(self, b"HTTP/1.1 200 OK\r\n\r\n{}\n")
        client = StatusClient(fake.address, 60, after)
        with client.stream("/api/log") as response:
            self.assertEqual(response.readline(), b"{}\n")
            self.assertFalse(client.isOver)
            alarms[0]()
            self.assertEqual(response.readline(), b"")
            raise ValueError("a line is cut")
        self.assertTrue(client.isOver)
        self.assertEqual(len(cancelled), 1)

    def test_nonsense(self) -> None:
        """
        What is no answer of a status socket is said to be none.
        """
        for answer in (answered(b"<html>"), answered([1]), answered(b"[" * 100000)):
            client = StatusClient(self.serve(answer).address)
            text = self.failure(StatusNonsense, partial(client.get, "/"))
            self.assertIn("is it really", text)

    def test_noHTTP(self) -> None:
        """
        What does not speak HTTP, or closes, is an error.
        """
        for answer in (
            b"nothing of the kind\r\n",
            b"",
            answered({})[:-1],
        ):
            client = StatusClient(self.serve(answer).address)
            self.failure(UsbmuxError, partial(client.get, "/"))

    def test_silent(self) -> None:
        """
        One that does not answer is not waited for forever.
        """
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            listening.bind(path)
            listening.listen()
            client = StatusClient(UnixAddress(path), 0.05)
            self.failure(TimedOut, lambda: client.get("/"))

    def test_noSocket(self) -> None:
        """
        Where there is none, it is said what to do.
        """
        client = StatusClient(UnixAddress("/nonexistent/x.status"))
        text = self.failure(NoStatus, lambda: client.get("/"))
        self.assertIn("start usbmuxd, or say with --status", text)

    def test_address(self) -> None:
        """
        It is beside the daemon's socket, or where it is said to be.
        """
        self.assertEqual(statusAddress(None, UnixAddress("/x")), UnixAddress("/x.status"))
        tcp = TCPAddress("localhost", 1)
        self.assertEqual(statusAddress(tcp, UnixAddress("/x")), tcp)
        text = self.failure(NoStatus, lambda: statusAddress(None, tcp))
        self.assertIn("name its UNIX socket with -s, or the status socket with --status", text)


class CommandTests(SynchronousTestCase):
    """
    The command line.
    """

    def test_json(self) -> None:
        """
        C{muxctl status --json} prints what the daemon says.
        """
        fake = FakeStatus(self, answered({"phones": []}))
        outcome = muxctl("status", "--json", address=fake.daemon)
        self.assertEqual((outcome.status, json.loads(outcome.out)), (0, {"phones": []}))

    def test_noDaemon(self) -> None:
        """
        Without a daemon the exit status is 3.
        """
        outcome = muxctl("status")
        self.assertEqual(outcome.status, 3)
        self.assertEqual(outcome.err.count("\n"), 1)

    def test_given(self) -> None:
        """
        C{--status} says where to look.
        """
        fake = FakeStatus(self, answered({"phones": []}))
        outcome = muxctl("--status", fake.address.path, "status", "--json")
        self.assertEqual(outcome.status, 0)

    def test_refused(self) -> None:
        """
        An error of the daemon's is exit status 1.
        """
        fake = FakeStatus(self, answered({"error": "busy"}, "503 Busy"))
        outcome = muxctl("status", address=fake.daemon)
        self.assertEqual((outcome.status, outcome.err), (1, "muxctl: busy\n"))
