# -*- test-case-name: tests.bench.test_soak -*-
"""
The order of a run: warm up, then rounds; after each, everything rests and is counted.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.task import LoopingCall, deferLater

from bench.daemons import Daemon
from bench.soak.attendance import Attendance
from bench.soak.chaos import Chaos
from bench.soak.connection import Connection, Gone, Wrong
from bench.soak.crowd import Crowd
from bench.soak.evidence import Evidence, Process, Sample, leftovers
from bench.soak.exchange import ECHO
from bench.soak.rack import Asking, Rack
from muxd.limits import LIMITS

PROGRESS = 10.0
SETTLING = LIMITS.longestHandshakeRetry + 30.0
"""Seconds that it may take until all phones are here again: one that has not answered in the
midst of the load is left alone for some time."""

REST = 6.0
"""Seconds that it then takes until nothing waits for its end: a port rests for 5."""

ATTEMPTS = 20
"""How often it is looked again if something is there that should not be."""

STOPPING = 20.0
MOST_TROUBLES = 50
"""After so many there is no need to go on."""

TICKS = os.sysconf("SC_CLK_TCK")
TROUBLE = re.compile(r"Traceback|Unhandled|#(error|critical)\]")
"""What no log should have in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    @ivar seconds: Of each round, before which there is a warm-up of the same length.
    @ivar rounds: How many.
    @ivar clients: How many at once.
    @ivar pause: Seconds between two jobs of a client, on average.
    @ivar plugging: Seconds between two deeds to phones, on average.
    @ivar seed: What all chance comes from.
    """

    seconds: float
    rounds: int
    clients: int
    pause: float
    plugging: float
    seed: int


class Run:
    """
    One run on one daemon.
    """

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        daemon: Daemon,
        observatory: Asking,
        rack: Rack,
        about: dict[str, Any],
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._daemon = daemon
        self._observatory = observatory
        self._rack = rack
        self.evidence = Evidence(about={**about, **asdict(plan)})
        random = Random(plan.seed)
        self._chaos = Chaos(reactor, rack, Random(random.random()), plan.plugging)
        self._attendance = Attendance(self._chaos.pulled)
        self._crowd = Crowd(
            reactor,
            str(daemon.socket),
            Random(random.random()),
            self._attendance,
            self._complain,
            pause=plan.pause,
        )
        self._begun = time.monotonic()
        self._busiest: Counter[str] = Counter()
        self._where = "start"

    async def perform(self) -> Evidence:
        """
        All of it.
        """
        ensureDeferred(self._listen())
        progress = LoopingCall(self._report)
        progress.start(PROGRESS, now=False)
        try:
            for number in range(self._plan.rounds + 1):
                self._where = f"round {number}/{self._plan.rounds}" if number else "warm-up"
                await self._round()
                await self._settle()
                await self._sample()
                if not number:
                    self._observatory.ask("forget")
        except Wrong as error:
            self._complain(str(error))
        finally:
            progress.stop()
            self._conclude()
        return self.evidence

    def cutShort(self) -> None:
        """
        The reactor has stopped in the midst of it.
        """
        self._complain("cut short")
        self._conclude()

    # The parts of a run.

    async def _round(self) -> None:
        self._crowd.start(self._plan.clients)
        self._chaos.start()
        await deferLater(self._reactor, self._plan.seconds)
        await self._chaos.stop()
        await self._crowd.drain()

    async def _settle(self) -> None:
        """
        Wait until all phones are here, and nothing else is.

        @raise Wrong: They do not come.
        """
        self._where += ", settling"
        end = time.monotonic() + SETTLING
        while sorted(self._attendance.present.values()) != sorted(self._rack.udids):
            if time.monotonic() > end:
                raise Wrong(f"phones are missing: only {self._attendance.present} are here")
            await deferLater(self._reactor, 0.1)
        await deferLater(self._reactor, REST)
        for deviceID in list(self._attendance.present):
            await self._touch(deviceID)
        await deferLater(self._reactor, 1)

    async def _touch(self, deviceID: int) -> None:
        """
        Use a phone once, which lets the daemon forget which ports have rested.
        """
        connection = await self._connected()
        number = await connection.connect(deviceID, ECHO)
        if number:
            raise Wrong(f"at rest, Connect to device {deviceID} has result {number}")
        connection.close()
        await connection.lost

    async def _connected(self) -> Connection:
        endpoint = UNIXClientEndpoint(self._reactor, str(self._daemon.socket))
        connection: Connection = await connectProtocol(endpoint, Connection(self._reactor))
        return connection

    async def _listen(self) -> None:
        """
        The one client who is there all the time.
        """
        try:
            listening = await self._connected()
            await listening.ask("Listen", kLibUSBMuxVersion=3)
            while True:
                event = await listening.receive(None)
                try:
                    self._attendance.told(event)
                except Wrong as error:
                    self._complain(f"listener: {error}")
        except Gone:
            if self._daemon.running:
                self._complain("the daemon has hung up on a listener that reads")

    # What is seen.

    def _complain(self, trouble: str) -> None:
        """
        Something is as it must not be.
        """
        troubles = self.evidence.troubles
        if len(troubles) < MOST_TROUBLES:
            troubles.append(f"{self._minutes:.2f} min: {trouble}")
            self._say(f"TROUBLE: {trouble}")
            if len(troubles) == MOST_TROUBLES and self._reactor.running:
                self._reactor.stop()

    @property
    def _minutes(self) -> float:
        return (time.monotonic() - self._begun) / 60

    def _look(self) -> Process:
        return Process.look(self._daemon.pid, TICKS)

    async def _sample(self) -> None:
        """
        Count everything.  On a busy machine it may take the daemon a while to hear
        that the last client has gone.
        """
        sample = self._taken()
        for _ in range(ATTEMPTS):
            if not leftovers(sample):
                break
            await deferLater(self._reactor, 1)
            sample = self._taken()
        inside = sample.inside
        self.evidence.samples.append(sample)
        self._say(
            f"at rest: {sample.process.resident >> 10} KiB, {sample.process.threads} threads, "
            f"{sample.process.descriptors} descriptors, {sum(inside['objects'].values())} objects, "
            f"{inside['blocks']} blocks, {inside['malloc'] >> 10} KiB of malloc, "
            f"{inside['timers']} timers"
        )

    def _taken(self) -> Sample:
        inside = self._observatory.ask("sample")
        inside["phones"] = len(self._rack.udids)
        return Sample(
            minutes=self._minutes,
            process=self._look(),
            inside=inside,
            openAtPhones=self._rack.open(),
        )

    def _report(self) -> None:
        if not self._daemon.running:
            self._complain("the daemon has ended")
            self._reactor.stop()
            return
        process = self._look()
        for name in ("resident", "threads", "descriptors"):
            self._busiest[name] = max(self._busiest[name], getattr(process, name))
        crowd = self._crowd
        self._say(
            f"{crowd.up / 1e6:.0f} MB up, {crowd.down / 1e6:.0f} MB down; "
            f"{crowd.done.total()} jobs done, {crowd.cut.total()} cut, "
            f"{crowd.killed.total()} killed; {self._chaos.pulled.total()} pulled; "
            f"{process.resident >> 20} MiB, {process.threads} threads, "
            f"{process.descriptors} descriptors; {len(self.evidence.troubles)} troubles"
        )

    def _say(self, text: str) -> None:
        sys.stderr.write(f"[{self._minutes:6.2f} min, {self._where}] {text}\n")
        sys.stderr.flush()

    # The end.

    def _conclude(self) -> None:
        evidence, crowd = self.evidence, self._crowd
        evidence.traffic = {
            "up": crowd.up,
            "down": crowd.down,
            "done": dict(crowd.done),
            "cut": dict(crowd.cut),
            "killed": dict(crowd.killed),
            "minutes": self._minutes,
            "cpu": self._look().cpu if self._daemon.running else 0,
        }
        evidence.faults = {
            **self._chaos.did,
            "times a phone was pulled out": self._chaos.pulled.total(),
            "streams and connections cut by that": crowd.cut.total(),
            "clients killed": crowd.killed.total(),
        }
        evidence.busiest = dict(self._busiest)
        try:
            evidence.violations = self._rack.violations()
            evidence.stalls = self._observatory.ask("stalls")
        except OSError:
            self._complain("the daemon, or its phones, had ended when it was over")
        evidence.exitStatus = self._daemon.end(STOPPING)
        evidence.log = [line for line in self._daemon.log().splitlines() if TROUBLE.search(line)]
