# -*- test-case-name: tests.integration.test_fleethubs -*-
"""
Two hubs in processes of their own with one etcd, a host, and jobs; of which some are killed or
frozen.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from typing import Any

from bench.daemons import freePort
from muxd.muxctl.errors import FAILED
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT
from tests.integration.etcdserver import EtcdServer
from tests.integration.fleetjobs import FleetCase

TERM = 4
"""Seconds of a host's lease."""


class TwoHubsTests(FleetCase):
    """
    Two hubs, and a host with one phone, which is connected to the first of them that it reaches.
    """

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.etcd = EtcdServer(self.makeDirectory())
        self.addCleanup(self.etcd.kill)
        self.etcd.start()
        self.ports = [freePort(), freePort()]
        self.states = [self.makeDirectory(), self.makeDirectory()]
        self.hubs = [self.makeDaemon(), self.makeDaemon()]
        for number in (0, 1):
            self.startHub(number)
            self.waitFor(self.hubs[number], "listening on unix")
        self.host = self.makeDaemon()
        door = self.host.directory / "door"
        self.host.run(
            *("usbmuxd", "--source", "simulated:1:trust=accept", *self.host.arguments),
            *("--hub", self.hubWords(0, 1)),
            *("--door", f"unix:{door}", "--fleet-name", "rack1"),
        )
        for number in (0, 1):
            self.until(partial(self.sees, number))
        self.waitFor(self.hubs[0], "host rack1 is connected")

    def startHub(self, number: int) -> None:
        """
        Start one, perhaps once more.
        """
        hub = self.hubs[number]
        hub.run(
            *("muxhub", "--fleet", f"tcp:{self.ports[number]}", "--term", str(TERM)),
            *("--registry", f"etcd:127.0.0.1:{self.etcd.port}"),
            *("--state", str(self.states[number]), "-l", f"unix:{hub.socket}"),
        )

    def hubWords(self, *numbers: int) -> str:
        """
        Where hubs are.
        """
        return " ".join(f"tcp:127.0.0.1:{self.ports[number]}" for number in numbers)

    def phones(self, number: int = 1) -> list[dict[str, Any]]:
        """
        What a hub says of phones.
        """
        return self.listed(self.hubWords(number))

    def sees(self, number: int) -> bool:
        """
        Whether a hub knows of the phone.
        """
        return len(self.phones(number)) == 1

    def users(self, number: int = 1) -> list[bool]:
        """
        Whether jobs have the phones, as a hub knows it.
        """
        return [one["user"] != "" for one in self.phones(number)]

    def test_acrossHubs(self) -> None:
        """
        A job has a phone by another hub than that of the phone's host, which lets it in; both
        hubs know of it, and their sockets show the phone.
        """
        list_ = [sys.executable, "-m", "muxd.muxctl", "list", "-l", "--json"]
        done = self.muxctl(self.hubWords(1), "reserve", "--", *list_)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        (phone,) = map(json.loads, done.stdout.splitlines())
        self.assertEqual(phone["host"], "rack1")
        job = self.job(self.hubWords(1))
        self.assertEqual((self.users(0), self.users(1)), ([True], [True]))
        for number in (0, 1):
            taken = self.muxctl(self.hubWords(number), "reserve", "--", "true")
            self.assertEqual(taken.returncode, 1)
            self.assertEqual(len(self.hubs[number].devices()), 1)
        self.assertEqual(self.endJob(job), 7)
        self.until(lambda: self.users(0) == [False])

    def test_queueAcrossHubs(self) -> None:
        """
        A job that waits at one hub has the phone when a job of the other one is done.
        """
        job = self.job(self.hubWords(0))
        words = self.words(self.hubWords(1), "reserve", "--wait", "600", "--", "true")
        waiting = subprocess.Popen(words, cwd=PROJECT)
        self.addCleanup(waiting.wait, PATIENCE)
        status = (self.hubWords(0), "fleet", "status")
        self.until(lambda: "1 job waiting" in self.muxctl(*status).stdout)
        self.assertIsNone(waiting.poll())
        self.assertEqual(self.endJob(job), 7)
        self.assertEqual(waiting.wait(PATIENCE), 0)

    def test_killedHub(self) -> None:
        """
        The hub of the host and of a job is killed: both go on with the other one, the job keeps
        its phone, and no other job gets it.
        """
        job = self.job(self.hubWords(0, 1), "--term", "120")
        self.hubs[0].kill()
        self.waitFor(self.hubs[1], "host rack1 is connected")
        self.assertEqual(self.users(1), [True])
        self.assertEqual(self.muxctl(self.hubWords(1), "reserve", "--", "true").returncode, 1)
        self.assertEqual(self.endJob(job), 7)
        self.until(lambda: self.users(1) == [False])

    def test_frozenEtcd(self) -> None:
        """
        While etcd says nothing, hubs show what they know and reserve nothing; afterwards the job
        still has its phone.
        """
        job = self.job(self.hubWords(0), "--term", "120")
        self.etcd.signal(signal.SIGSTOP)
        try:
            for hub in self.hubs:
                self.waitFor(hub, "the fleet's registry cannot be relied on")
            self.assertEqual(len(self.hubs[1].devices()), 1)
            refused = self.muxctl(self.hubWords(1), "reserve", "--take", "--", "true")
            self.assertEqual(refused.returncode, FAILED, refused.stderr)
            self.assertIn("cannot be relied on", refused.stderr)
        finally:
            self.etcd.signal(signal.SIGCONT)
        self.until(lambda: self.users(1) == [True])
        self.assertEqual(self.endJob(job), 7)
        self.until(lambda: self.users(1) == [False])

    def test_killedEtcd(self) -> None:
        """
        Etcd is killed and started again: what was reserved is so still.
        """
        job = self.job(self.hubWords(0), "--term", "120")
        self.etcd.kill()
        self.etcd.start()
        self.until(lambda: self.users(1) == [True])
        self.assertEqual(self.muxctl(self.hubWords(1), "reserve", "--", "true").returncode, 1)
        self.assertEqual(self.endJob(job), 7)
        self.until(lambda: self.users(1) == [False])

    def test_lostForGood(self) -> None:
        """
        With etcd gone for good, the job is cut by the phone's host when its term is over.
        """
        self.job(self.hubWords(0), "--term", "3")
        self.etcd.kill()
        self.waitFor(self.host, "00008110.*: no longer ")
