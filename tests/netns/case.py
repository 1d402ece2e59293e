# -*- test-case-name: tests.netns.test_embedded,tests.netns.test_etcd -*-
"""
What the tests of faults have in common: one fleet for all tests of a class, and what has to be
true after each of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from twisted.python.reflect import qual
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.terms import BOUND
from tests.integration.daemon import PROJECT
from tests.netns.clocks import FakeClock
from tests.netns.fleet import Fleet
from tests.netns.members import Job, Member
from tests.running.batches import SHARED
from tests.running.processes import startsProcesses

REPORT = PROJECT / "build" / "fleet-faults.jsonl"
"""What has been measured, a line each."""

MEASURE = "MUXD_FLEET_FAULTS"
"""Where this is in the environment, it is taken down."""

DAY = 86400.0

TOLD = frozenset({0, 1, 3, 4, 5})
"""The exit statuses of C{muxctl reserve} that say what has become of a job."""


@startsProcesses
class FaultCase(SynchronousTestCase):
    """
    Tests of a fleet to which something happens.
    """

    hubs = 1
    nodes = 0
    term = 2
    isSecure = False

    def setUp(self) -> None:
        """
        Have a fleet that is well.
        """
        self.shared: list[Fleet] = SHARED.get(f"{qual(type(self))}: its fleet", self._make)
        if not self.shared:
            self.shared.append(Fleet(self.hubs, 2, self.nodes, self.term, self.isSecure))
        self.fleet: Fleet = self.shared[0]
        self.addCleanup(self._check)

    def _make(self) -> tuple[list[Fleet], Callable[[], None]]:
        fleets: list[Fleet] = []

        def end() -> None:
            for fleet in fleets:
                fleet.close()

        return fleets, end

    def _check(self) -> None:
        """
        Each job was served or told, and the hosts' own logs have nothing that must not be; the
        fleet comes to rest.  One that does not is no fleet for the next test.
        """
        fleet = self.fleet
        jobs = list(fleet.jobs)
        isWell = False
        try:
            fleet.rest()
            statuses = {job.name: job.status() for job in jobs}
            killed = {job.name for job in jobs if job.isKilled}
            told = {name: one for name, one in statuses.items() if name not in killed}
            self.assertLessEqual(set(told.values()), TOLD, fleet.logs())
            self.assertEqual(fleet.problems(), [])
            isWell = True
        finally:
            if not isWell:
                self.shared.clear()
                fleet.close()

    def measure(self, what: str, condition: Callable[[], bool]) -> float:
        """
        Wait until something is so, and take down how long that takes.
        """
        seconds: float = self.fleet.until(condition, f"not so: {what}")
        self.note(what, seconds=round(seconds, 1), term=self.term)
        return seconds

    def assertConverges(self, what: str, condition: Callable[[], bool], began: float) -> None:
        """
        Something is so again within as many terms after its beginning as are promised, by the
        term that a host was told; where it is not measured, a machine may be busy for as long.
        """
        self.fleet.until(condition, f"not so: {what}")
        seconds = time.monotonic() - began
        said = [line.get("fields", {}) for line in self.fleet.hosts[0].lines()]
        (term,) = {fields["term"] for fields in said if "term" in fields}
        self.note(what, seconds=round(seconds, 1), term=term)
        most = BOUND * term * (1 if MEASURE in os.environ else 2)
        self.assertLessEqual(seconds, most, f"{what}: {self.fleet.logs()}")

    def note(self, what: str, **more: Any) -> None:
        """
        Take something down, if that is wanted.
        """
        if MEASURE not in os.environ:
            return
        line = {"engine": "etcd" if self.nodes else "embedded", "test": self._testMethodName}
        REPORT.parent.mkdir(exist_ok=True)
        with REPORT.open("a") as file:
            file.write(json.dumps({**line, "what": what, **more}) + "\n")

    # What all faults of hosts have in common, whatever the registry is.

    def others(self, host: Member) -> set[str]:
        """
        All hosts but this one.
        """
        return {str(each) for each in self.fleet.hosts} - {str(host)}

    def isListed(self, hosts: set[str]) -> bool:
        """
        Whether every hub that answers lists these hosts' phones and no others.
        """
        hubs = range(len(self.fleet.hubs))
        return all(self.fleet.listed(hub) == hosts for hub in hubs)

    def everything(self) -> bool:
        """
        Whether every hub lists everything.
        """
        return self.isListed({str(each) for each in self.fleet.hosts})

    def assertGoesOn(self, job: Job) -> None:
        """
        A job still has its phone, and its bytes still reach it.
        """
        before = self.bytesOf(job)
        self.fleet.until(lambda: self.bytesOf(job) > before + 5, f"{job.name} does not go on")
        self.assertNotIn("cut", job.text())
        self.assertFalse(job.hasEnded, job.text())

    def bytesOf(self, job: Job) -> int:
        """
        How many lines of a job's have reached phones.
        """
        return sum(self.fleet.history(host).bytesOf(job.name) for host in self.fleet.hosts)

    def assertServed(self, job: Job) -> None:
        """
        A job that waits gets its phone.
        """
        self.measure("the job that waited has it", lambda: job.hasBegun or job.hasEnded)
        self.assertTrue(job.hasBegun, job.text() + self.fleet.logs())

    def killHost(self) -> None:
        """
        A host is killed, whose phone a job has and another one waits for.
        """
        fleet = self.fleet
        host = fleet.hosts[0]
        holder, waiter = fleet.holder(0, "--term", "8"), fleet.waiter()
        host.kill()
        self.measure("off the list", lambda: self.isListed(self.others(host)))
        self.assertEqual(holder.status(), 0)
        self.assertIn("cut", holder.text())
        self.assertFalse(waiter.hasEnded)
        host.start()
        self.measure("listed again", self.everything)
        self.assertServed(waiter)

    def freezeHost(self) -> None:
        """
        A host is frozen for longer than its lease, and than the term of a job that has its
        phone; when it wakes, that job is cut, and the one that waits has the phone.
        """
        fleet = self.fleet
        host = fleet.hosts[0]
        holder, waiter = fleet.holder(0, "--term", "8"), fleet.waiter()
        host.freeze()
        self.measure("off the list", lambda: self.isListed(self.others(host)))
        fleet.until(lambda: holder.hasEnded, "a job is not told that its phone is lost")
        host.thaw()
        self.measure("listed again", self.everything)
        self.assertServed(waiter)
        self.assertIn("the phone is lost", holder.text())

    def splitHostFromHubs(self) -> None:
        """
        A host reaches no hub, and a job reaches both: the job is cut by the host when its term
        is over, and has been told by then; the host is back when the network is.
        """
        fleet = self.fleet
        host = fleet.hosts[0]
        holder, waiter = fleet.holder(0, "--term", "6"), fleet.waiter()
        fleet.network.split(*((str(host), str(hub)) for hub in fleet.hubs))
        self.measure("off the list", lambda: self.isListed(self.others(host)))
        self.measure(
            "the host has cut the job",
            lambda: host.says(f"no longer {holder.name}'s", "it was not renewed in time"),
        )
        holder.status()
        fleet.network.heal()
        self.measure("listed again", self.everything)
        self.assertServed(waiter)

    def setClocks(self) -> None:
        """
        The clocks of hubs, hosts and jobs are set on by a day, and then back by two: nothing is
        over for that, and what is to be over is so in its time.  Those of etcd's nodes are not:
        its programs ask the kernel, and not the library that is deceived here.
        """
        fleet = self.fleet
        clock = FakeClock(fleet.directory / "clock")
        self.addCleanup(clock.tidy)
        self.addCleanup(self._usual)
        fleet.more = clock.environment
        for member in (*fleet.hubs, *fleet.hosts):
            member.kill()
            member.more = clock.environment
            member.start()
        self.fleet.until(fleet.isAtRest, "the fleet does not come to rest")
        holder = fleet.holder(0, "--term", "10")
        for days in (1, -1):
            clock.set(days * DAY)
            fleet.until(partial(self.isSet, days * DAY), "no clock is set")
            # The first may have been on its way before; and hosts renew their leases as well.
            isRenewed = partial(self.isRenewed, holder, self.terms(holder) + 2)
            fleet.until(partial(isRenewed, time.monotonic() + fleet.term), "it is not renewed")
            self.assertGoesOn(holder)
            fleet.until(self.everything, "not everything is listed")
        holder.kill()
        fleet.holder(0, "--term", "6")

    def terms(self, job: Job) -> int:
        """
        How often a job's phone was its own for a whole term, from then on.
        """
        said = [line.get("fields", {}) for line in self.fleet.hosts[0].lines()]
        return sum(fields.get("holder") == job.name for fields in said)

    def isRenewed(self, job: Job, terms: int, moment: float) -> bool:
        """
        Whether a job's phone was so often its own, and a moment of our steady clock is over.
        """
        return self.terms(job) >= terms and time.monotonic() >= moment

    def isSet(self, seconds: float) -> bool:
        """
        Whether a host's clock is so far away from ours.
        """
        *_, last = self.fleet.hosts[0].lines()
        there = datetime.fromisoformat(last["time"]).timestamp()
        return abs(there - time.time() - seconds) < DAY / 2

    def _usual(self) -> None:
        """
        The fleet has its clocks again, by having been started anew.
        """
        self.fleet.more = {}
        for member in (*self.fleet.hubs, *self.fleet.hosts):
            member.kill()
            member.more = {}

    def splitJobFromHubs(self) -> None:
        """
        A job reaches no hub, and its phone's host does: it is cut when its term is over, and the
        phone is another one's.
        """
        fleet = self.fleet
        holder = fleet.holder(0, "--term", "6")
        fleet.network.split(*(("job", str(hub)) for hub in fleet.hubs))
        self.measure("the phone is free", lambda: all(map(fleet.isFree, range(self.hubs))))
        holder.status()
        fleet.network.heal()
        job = fleet.holder(0)
        self.assertEqual(job.end(), 0)
