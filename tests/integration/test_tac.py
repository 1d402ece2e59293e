# -*- test-case-name: tests.integration.test_tac -*-
"""
The examples of F{tac/} and F{docs/embedding.md} run.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, Daemon, TwistdCase

FIRST = "00008110-000A1B2C3D4E5F60"
DAYTIME = 13


class ExampleCase(TwistdCase):
    """
    What tests of the examples need.
    """

    def example(self, name: str, daemon: Daemon | None = None, **settings: str) -> Daemon:
        """
        Run an example under C{twistd} until the test ends.

        @param daemon: The one that it is to use.
        @param settings: Its environment.
        """
        process = self.makeDaemon()
        if daemon is not None:
            process.socket = daemon.socket
        self.patch(os, "environ", {**os.environ, **settings})
        process.run("-y", str(PROJECT / "tac" / name))
        return process


class TacTests(ExampleCase):
    """
    Tests of F{tac/}.
    """

    def test_usbmuxd(self) -> None:
        """
        The daemon is one.
        """
        directory = self.makeDirectory()
        process = self.example(
            "usbmuxd.tac",
            MUXD_LISTEN=f"unix:{directory}/s",
            MUXD_SOURCES="simulated:2",
            MUXD_RECORDS=str(directory / "records"),
        )
        process.socket = str(directory / "s")
        self.assertEqual(len(process.devices(2)), 2)
        self.stop(process)

    def test_tcprelay(self) -> None:
        """
        The relay leads to the phone.
        """
        daemon = self.startDaemon()
        process = self.example(
            "tcprelay.tac",
            daemon,
            MUXD_ROUTES="tcp:0:interface=127.0.0.1=>usbmux:port=7",
        )
        port = int(self.waitFor(process, r"listening on 127\.0\.0\.1:(\d+)")[1])

        with socket.create_connection(("127.0.0.1", port), PATIENCE) as stream:
            stream.sendall(b"hello")
            self.assertEqual(stream.recv(5), b"hello")

    def test_webToPhone(self) -> None:
        """
        The web application fetches a page from the phone, and says so if it
        cannot.
        """
        process = self.example("web_to_phone.tac", MUXD_WEB="tcp:0:interface=127.0.0.1")
        port = int(self.waitFor(process, r"Site starting on (\d+)")[1])
        self.waitFor(process, "attached as device")
        self.assertEqual(self.get(port, "/phone/status"), (200, b"hello from the phone\n"))
        self.assertEqual(self.get(port, "/phone/nothing")[0], 404)
        self.assertEqual(self.get(port, "/elsewhere")[0], 404)

    def test_webToNobody(self) -> None:
        """
        A phone that does not listen there is a bad gateway.
        """
        process = self.example(
            "web_to_phone.tac", MUXD_WEB="tcp:0:interface=127.0.0.1", MUXD_UDID="nobody"
        )
        port = int(self.waitFor(process, r"Site starting on (\d+)")[1])
        status, body = self.get(port, "/phone/status")
        self.assertEqual(status, 502)
        self.assertIn(b"no phone nobody is attached", body)

    def test_watchAndRun(self) -> None:
        """
        The program is started for the phone that is there, and ends with it.
        """
        daemon = self.startDaemon()
        run = 'echo "this is $UDID"; exec sleep 1000'
        process = self.example("watch_and_run.tac", daemon, MUXD_RUN=run)
        self.waitFor(process, f"this is {FIRST}")
        self.stop(daemon)
        self.waitFor(process, "signal 15")

    def get(self, port: int, path: str) -> tuple[int, bytes]:
        """
        Fetch a page.
        """
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class DocumentTests(ExampleCase):
    """
    Tests of F{docs/embedding.md}.
    """

    def test_programs(self) -> None:
        """
        Each program in it runs, and prints what the phone says.
        """
        daemon = self.startDaemon()
        text = Path(PROJECT, "docs", "embedding.md").read_text()
        programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        self.assertEqual(len(programs), 2)
        for program in programs:
            done = subprocess.run(
                [sys.executable, "-c", program],
                env=daemon.environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), program)
            self.assertRegex(done.stdout, r"the phone says \w+ \w+ +\d+ \d+:\d+:\d+ \d+")
