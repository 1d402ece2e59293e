# -*- test-case-name: tests.integration.test_statuspage -*-
"""
The status socket with programs that were not written here: Chromium, curl's own parser of
HTTP (by C{http.client}), and Prometheus' C{promtool}.
"""

from __future__ import annotations

import http.client
import json
import socket
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.daemons import freePort
from tests.integration.browser import Browser
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import TWISTD, Daemon, DaemonTestCase

ECHO = 7

ROWS = "document.querySelector('#sessions').rows.length"


class StatusTestCase(DaemonTestCase):
    """
    Daemons with a status socket on TCP, as browsers know no other.
    """

    def setUp(self) -> None:
        """
        Choose a port.
        """
        super().setUp()
        self.port = freePort()

    def get(self, path: str) -> tuple[int, bytes]:
        """
        Ask a question.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def start(
        self, phones: int = 2, daemon: Daemon | None = None, runner: Sequence[str] = TWISTD
    ) -> Daemon:
        """
        Start a daemon with simulated phones, which can be told what to do.

        @param daemon: One that has run before.
        """
        daemon = daemon or self.makeDaemon()
        self.control = str(daemon.directory / "control")
        source = f"simulated:{phones}:control=unix\\:{self.control}"
        words = ("usbmuxd", *daemon.arguments, "-s", source, "--status", f"tcp:{self.port}")
        daemon.run(*words, runner=runner)
        daemon.devices(phones)
        return daemon

    def tell(self, command: str) -> None:
        """
        Have something done to the phones.
        """
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(self.control)
            control.sendall(command.encode() + b"\n")
            control.shutdown(socket.SHUT_WR)
            answer = b""
            while data := control.recv(4096):
                answer += data
        self.assertNotIn(b"error", answer)


class PageTests(StatusTestCase):
    """
    The page in a browser.
    """

    def browser(self, dark: bool = False, size: tuple[int, int] = (1280, 900)) -> Browser:
        """
        A browser that looks at the page.
        """
        self.tool("chromium"), self.tool("chromedriver")
        browser = Browser(self.makeDirectory(), dark, size)
        self.addCleanup(browser.close)
        browser.open(f"http://127.0.0.1:{self.port}/")
        browser.waitFor("return document.querySelector('#connection').textContent == 'Live'")
        return browser

    def phones(self, browser: Browser, count: int) -> None:
        """
        Wait until the page shows so many phones.
        """
        browser.waitFor(
            "return document.querySelectorAll('#phones li').length == arguments[0]", count
        )

    def test_live(self) -> None:
        """
        Phones and sessions come and go on the page as they do.
        """
        daemon = self.start(phones=2)
        browser = self.browser()
        self.phones(browser, 2)
        browser.waitFor("return document.querySelector('#phones').innerText.includes('iPhone14,5')")
        self.tell("unplug 2")
        self.phones(browser, 1)
        self.tell("plug 2")
        self.phones(browser, 2)
        with daemon.connect(ECHO) as stream:
            browser.waitFor(f"return {ROWS} == 1")
            stream.socket.sendall(b"x" * 5000)
            stream.socket.recv(5000, socket.MSG_WAITALL)
            browser.waitFor(
                "return document.querySelector('#sessions').innerText.includes('5.0 kB')"
            )
        browser.waitFor(f"return {ROWS} == 0")
        # It has asked for nothing that its policy forbids, and made no mistake.
        self.assertEqual(browser.complaints(), [])

    def test_keyboard(self) -> None:
        """
        A phone can be chosen with the keyboard, and sessions narrowed down.
        """
        daemon = self.start(phones=2)
        browser = self.browser()
        self.phones(browser, 2)
        with daemon.connect(ECHO):
            browser.waitFor(f"return {ROWS} == 1")
            browser.press("#filter", "no such program")
            self.assertIn("None of the sessions", browser.text("#sessions-more"))
            browser.press("#filter", "\ue003" * 20)
            self.assertEqual(browser.run(f"return {ROWS}"), 1)
            browser.press("#phones li:nth-child(1) button", "\ue007")
            browser.waitFor("return document.querySelector('[aria-pressed=true]') != null")
            browser.press("#phones li:nth-child(2) button", " ")
            pressed = browser.run(
                "return [...document.querySelectorAll('#phones button')]"
                ".map(each => each.getAttribute('aria-pressed'))"
            )
            self.assertEqual(pressed, ["false", "true"])
            self.assertFalse(browser.run("return document.querySelector('#all').hidden"))

    def test_readable(self) -> None:
        """
        It fits on a phone's screen, is dark for those that like it, every control has a
        name, and what is wrong comes first.
        """
        self.start(phones=1)
        for dark in (False, True):
            browser = self.browser(dark, (390, 844))
            self.phones(browser, 1)
            width = browser.run("return document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390)
            ground = browser.run("return getComputedStyle(document.body).backgroundColor")
            brightness = sum(int(part) for part in ground[4:-1].split(","))
            self.assertEqual(brightness < 3 * 128, dark, ground)
            self.assertEqual(browser.run("return document.documentElement.lang"), "en")
            self.assertEqual(
                browser.run("return document.querySelector('main h2').id"), "problems-title"
            )
            nameless = browser.run(
                "return [...document.querySelectorAll('button, input')].filter(each =>"
                " !each.innerText && !(each.labels && each.labels.length) && !each.hidden).length"
            )
            self.assertEqual(nameless, 0)

    def test_hostile(self) -> None:
        """
        What a phone calls itself is shown as it is, and is no part of the page.
        """
        self.start(phones=1)
        browser = self.browser()
        self.phones(browser, 1)
        name = "<img src=x onerror=alert(1)><b>bold</b>"
        phone = {
            "id": 99,
            "udid": name,
            "name": name,
            "trust": name,
            "portPath": name,
            "model": name,
            "version": name,
            "connection": name,
            "listed": True,
        }
        problem = {"severity": "error", "text": name, "remedy": name}
        browser.run("phonesCame([arguments[0]]); problemsCame([arguments[1]])", phone, problem)
        self.assertIn(name, browser.text("#phones"))
        self.assertIn(name, browser.text("#problems"))
        self.assertEqual(browser.run("return document.querySelectorAll('img, b').length"), 0)

    def test_lost(self) -> None:
        """
        The page says that the daemon has gone, and finds it again.
        """
        daemon = self.start(phones=1)
        browser = self.browser()
        self.phones(browser, 1)
        self.stop(daemon)
        browser.waitFor("return document.querySelector('#connection').className == 'lost'")
        self.start(phones=3, daemon=daemon)
        self.phones(browser, 3)


class SocketTests(StatusTestCase):
    """
    The status socket itself.
    """

    def test_default(self) -> None:
        """
        It is beside the daemon's socket, its owner's alone, and gone with the daemon.
        """
        daemon = self.startDaemon()
        path = Path(f"{daemon.socket}.status")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.stop(daemon)
        self.assertFalse(path.exists())

    def test_sessions(self) -> None:
        """
        A session's program is told, whichever way its client has come.
        """
        for options in ((), ("--reactor=poll",)):
            self.port = freePort()
            daemon = self.start(phones=1, runner=(*TWISTD, *options))
            with daemon.connect(ECHO) as stream:
                stream.socket.sendall(b"hello")
                stream.socket.recv(5, socket.MSG_WAITALL)
                values = json.loads(self.get("/api/status")[1])
                sessions: list[dict[str, Any]] = [
                    one for one in values["sessions"] if one["port"] == ECHO
                ]
            (session,) = sessions
            self.assertEqual((session["toPhone"], session["fromPhone"]), (5, 5))
            self.assertIn("python", session["peer"]["program"])
            self.stop(daemon)

    def test_promtool(self) -> None:
        """
        What Prometheus is told is as Prometheus likes it.
        """
        promtool = self.tool("promtool")
        daemon = self.start(phones=2)
        with daemon.connect(ECHO):
            status, metrics = self.get("/metrics")
        self.assertEqual(status, 200, metrics)
        done = subprocess.run(
            [promtool, "check", "metrics"], input=metrics, capture_output=True, check=False
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_exhaustion(self) -> None:
        """
        A thousand streams of which none reads cost the others nothing: those that the limit
        admits are let go in time, and phones are served meanwhile.
        """
        daemon = self.start(phones=1)
        readers = []
        for _ in range(1000):
            reader = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.addCleanup(reader.close)
            reader.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            readers.append(reader)
        with daemon.connect(ECHO) as stream:
            stream.socket.sendall(b"hello")
            self.assertEqual(stream.socket.recv(5, socket.MSG_WAITALL), b"hello")
        answers = [reader.recv(12) for reader in readers]
        self.assertLessEqual(answers.count(b"HTTP/1.1 200"), 64)
        for reader in readers:
            reader.close()
        end = 100
        while self.get("/health")[0] != 200 and end:
            end -= 1
        self.assertTrue(end)
