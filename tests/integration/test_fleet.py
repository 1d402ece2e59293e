# -*- test-case-name: tests.integration.test_fleet -*-
"""
A fleet of processes: a hub, a host and jobs, of which some are killed or frozen.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from bench.daemons import freePort
from tests.integration.fleetjobs import FleetCase

TERM = 2
"""Seconds of a host's lease."""


class FleetTests(FleetCase):
    """
    A hub, and a host with one phone.
    """

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.port = freePort()
        self.state = self.makeDirectory()
        self.hub = self.makeDaemon()
        self.startHub()
        self.host = self.makeDaemon()
        door = self.host.directory / "door"
        self.host.run(
            *("usbmuxd", "--source", "simulated:1:trust=accept", *self.host.arguments),
            *("--hub", f"tcp:127.0.0.1:{self.port}"),
            *("--door", f"unix:{door}", "--fleet-name", "rack1"),
        )
        self.until(lambda: len(self.phones()) == 1)

    def startHub(self) -> None:
        """
        Start it, perhaps once more.
        """
        self.hub.run(
            *("muxhub", "--fleet", f"tcp:{self.port}", "--term", str(TERM)),
            *("--state", str(self.state), "-l", f"unix:{self.hub.socket}"),
        )

    @property
    def hubWords(self) -> str:
        """
        Where the hub is.
        """
        return f"tcp:127.0.0.1:{self.port}"

    def phones(self) -> list[dict[str, Any]]:
        """
        What the hub says of phones.
        """
        return self.listed(self.hubWords)

    def test_reserve(self) -> None:
        """
        A command sees its phone alone, paired as its host is, and has it for itself; its exit
        status is ours.
        """
        list_ = [sys.executable, "-m", "muxd.muxctl", "list", "-l", "--json"]
        done = self.muxctl(self.hubWords, "reserve", "--phone", "host=rack1", "--", *list_)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (phone,) = map(json.loads, done.stdout.splitlines())
        self.assertEqual(phone["host"], "rack1")
        job = self.job(self.hubWords, "--reason", "tests")
        self.assertEqual([one["reason"] for one in self.phones()], ["tests"])
        self.assertEqual(self.muxctl(self.hubWords, "reserve", "--", "true").returncode, 1)
        self.assertEqual(
            self.muxctl(self.hubWords, "reserve", "--wait", "0.2", "--", "true").returncode, 4
        )
        self.assertEqual(self.endJob(job), 7)
        self.assertEqual([one["user"] for one in self.phones()], [""])

    def test_killedHub(self) -> None:
        """
        A hub that is killed and started again still has the job's reservation, and no other job
        gets the phone.
        """
        job = self.job(self.hubWords, "--term", "120")
        self.hub.kill()
        self.startHub()
        self.until(lambda: len(self.phones()) == 1)
        self.assertNotEqual([one["user"] for one in self.phones()], [""])
        self.assertEqual(self.muxctl(self.hubWords, "reserve", "--", "true").returncode, 1)
        self.assertEqual(self.endJob(job), 7)
        self.until(lambda: [one["user"] for one in self.phones()] == [""])

    def test_killedJob(self) -> None:
        """
        A job that is killed keeps its phone for its term, and no longer.
        """
        job = self.job(self.hubWords, "--term", "2")
        job.kill()
        self.assertEqual(
            self.muxctl(self.hubWords, "reserve", "--wait", "30", "--", "true").returncode, 0
        )

    def test_frozenHost(self) -> None:
        """
        A host that is frozen for longer than its lease is off the list; when it is awake again
        it has cut the job whose reservation is over, and is back.
        """
        job = self.job(self.hubWords, "--term", "2")
        process = self.host.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        try:
            self.until(lambda: self.phones() == [])
            job.kill()
            time.sleep(TERM)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        self.until(lambda: len(self.phones()) == 1)
        self.waitFor(self.host, "00008110.*: no longer ")
        self.assertEqual(
            self.muxctl(self.hubWords, "reserve", "--wait", "30", "--", "true").returncode, 0
        )

    def test_killedHost(self) -> None:
        """
        A host that is killed is off the list when its lease is over, and is there again when it
        is started again.
        """
        self.host.kill()
        self.until(lambda: self.phones() == [])
        self.assertEqual(self.muxctl(self.hubWords, "reserve", "--", "true").returncode, 1)
