# -*- test-case-name: tests.integration.test_hubpage -*-
"""
The page of a hub in Chromium: a fleet of processes, of which it shows what there is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

from bench.daemons import freePort
from tests.integration.browser import Browser
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, DaemonTestCase


class HubPageTests(DaemonTestCase):
    """
    A hub with a page, and a host with two phones.
    """

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.tool("chromium"), self.tool("chromedriver")
        self.port, self.page = freePort(), freePort()
        self.hub, self.host = self.makeDaemon(), self.makeDaemon()
        self.hub.run(
            *("muxhub", "--fleet", f"tcp:{self.port}", "--state", str(self.makeDirectory())),
            *("-l", f"unix:{self.hub.socket}", "--status", f"tcp:{self.page}"),
        )
        door = self.host.directory / "door"
        self.host.run(
            *("usbmuxd", "--source", "simulated:2:trust=accept", *self.host.arguments),
            *("--hub", f"tcp:127.0.0.1:{self.port}"),
            *("--door", f"unix:{door}", "--fleet-name", "rack1"),
        )
        self.udids = sorted(self.hub.devices(2))
        self.browser = Browser(self.makeDirectory(), False, (1280, 900))
        self.addCleanup(self.browser.close)
        self.browser.open(f"http://127.0.0.1:{self.page}/")

    def waitFor(self, where: str, text: str) -> None:  # type: ignore[override]
        """
        Wait until a part of the page says something.
        """
        script = "return document.querySelector(arguments[0]).innerText.includes(arguments[1])"
        self.browser.waitFor(script, where, text)

    def job(self, *words: str) -> subprocess.Popen[bytes]:
        """
        A job that has a phone until its standard input ends.
        """
        hub = f"tcp:127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "muxd.muxctl", "reserve", "--hub", hub, *words]
        job = subprocess.Popen(
            [*command, "--", "sh", "-c", "read line"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(self.end, job)
        return job

    def end(self, job: subprocess.Popen[bytes]) -> None:
        """
        Let a job end.
        """
        assert job.stdin is not None
        job.stdin.close()
        job.wait(PATIENCE)

    def test_live(self) -> None:
        """
        Hosts, phones, reservations and the queue are shown as they come and go, and nothing of a
        daemon's page is.
        """
        self.waitFor("#hosts", "rack1")
        for udid in self.udids:
            self.waitFor("#fleet-phones", udid)
        self.waitFor("h1", "muxhub")
        hidden = "return document.querySelector('#phones-section').hidden"
        self.assertTrue(self.browser.run(hidden))
        first = self.job("--name", "ann", "--phone", self.udids[0], "--reason", "nightly")
        self.waitFor("#reservations", "nightly")
        self.waitFor("#summary", "1 reserved")
        waiting = self.job("--name", "bob", "--phone", self.udids[0], "--wait", "10m")
        self.waitFor("#waiting", "bob")
        self.end(first)
        self.waitFor("#reservations", "bob")
        self.waitFor("#waiting-count", "(none)")
        self.browser.press("#fleet-filter", "bob")
        self.assertEqual(
            self.browser.run("return document.querySelector('#fleet-phones').rows.length"), 1
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/api/status") as answer:
            values = json.load(answer)
        self.assertEqual([one["user"] for one in values["fleet"]["reservations"]], ["bob"])
        self.assertEqual(sorted(one[0] for one in values["fleetPhones"]), self.udids)
        self.end(waiting)
        self.waitFor("#reservations-count", "(none)")
        self.stop(self.host)
        self.waitFor("#hosts-count", "(none)")
        self.waitFor("#fleet-phones-more", "No host")
        self.checkHostile()
        # It has asked for nothing that its policy forbids, and made no mistake.
        self.assertEqual(self.browser.complaints(), [])

    def checkHostile(self) -> None:
        """
        What phones, hosts and jobs call themselves is shown as it is, and is no part of the page.
        """
        name = "<img src=x onerror=alert(1)><b>bold</b>"
        fleet = {
            "fresh": False,
            "phones": 1,
            "reserved": 1,
            "hosts": [{"name": name, "door": name, "phones": 1, "reserved": 1, "draining": True}],
            "reservations": [{"user": name, "udid": name, "host": name, "reason": name}],
            "waiting": [{"user": name, "wants": name, "reason": name, "until": 0}],
        }
        rows = [[name, name, name, name, name, [name]]]
        shown = self.browser.run(
            "state.fleetFilter = ''; fleetCame(arguments[0]); fleetPhonesCame(arguments[1]);"
            "return ['#hosts', '#reservations', '#waiting', '#fleet-phones']"
            ".map(each => document.querySelector(each).innerText)",
            fleet,
            rows,
        )
        for text in shown:
            self.assertIn(name, text)
        self.assertEqual(self.browser.run("return document.querySelectorAll('img, b').length"), 0)
