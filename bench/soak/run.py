# -*- test-case-name: tests.bench.test_soak -*-
"""
The order of a run: warm up, then rounds; after each, everything rests and is counted.
"""

from __future__ import annotations

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
from bench.processes import Process
from bench.soak.clients import Clients
from bench.soak.connection import Connection, Gone, Wrong
from bench.soak.exchange import ECHO
from bench.soak.phones import PluggablePhones, RequestSocket
from bench.soak.plugger import Plugger
from bench.soak.presence import Presence
from bench.soak.samples import Sample, SoakResult, leftovers
from muxd.limits import LIMITS

PROGRESS = 10.0
SETTLING = LIMITS.longestHandshakeRetry + 30.0
"""Seconds that it may take until all phones are here again: the daemon leaves a phone
alone for some time that has not answered in the midst of the load."""

REST = 6.0
"""Seconds that it then takes until nothing waits for its end: a port rests for 5."""

ATTEMPTS = 20
"""How often it is looked again if something is there that should not be."""

STOPPING = 20.0
MOST_TROUBLES = 50
"""After so many there is no need to go on."""

TROUBLE = re.compile(r"Traceback|Unhandled|#(error|critical)\]")
"""What no log should have in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The plan of a run.

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
    A run of the soak on one daemon.
    """

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        daemon: Daemon,
        probe: RequestSocket,
        phones: PluggablePhones,
        about: dict[str, Any],
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._daemon = daemon
        self._probe = probe
        self._phones = phones
        self.result = SoakResult(about={**about, **asdict(plan)})
        random = Random(plan.seed)
        self._plugger = Plugger(reactor, phones, Random(random.random()), plan.plugging)
        self._presence = Presence(self._plugger.pulled)
        self._clients = Clients(
            reactor,
            str(daemon.socket),
            Random(random.random()),
            self._presence,
            self._complain,
            pause=plan.pause,
        )
        self._begun = time.monotonic()
        self._busiest: Counter[str] = Counter()
        self._where = "start"

    async def perform(self) -> SoakResult:
        """
        Perform the whole run.
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
                    self._probe.ask("forget")
        except Wrong as error:
            self._complain(str(error))
        finally:
            progress.stop()
            self._conclude()
        return self.result

    def cutShort(self) -> None:
        """
        End a run whose reactor has stopped in the midst of it.
        """
        self._complain("cut short")
        self._conclude()

    # The parts of a run.

    async def _round(self) -> None:
        self._clients.start(self._plan.clients)
        self._plugger.start()
        await deferLater(self._reactor, self._plan.seconds)
        await self._plugger.stop()
        await self._clients.drain()

    async def _settle(self) -> None:
        """
        Wait until all phones are here, and nothing else is.

        @raise Wrong: They do not come.
        """
        self._where += ", settling"
        end = time.monotonic() + SETTLING
        while sorted(self._presence.present.values()) != sorted(self._phones.udids):
            if time.monotonic() > end:
                raise Wrong(f"phones are missing: only {self._presence.present} are here")
            await deferLater(self._reactor, 0.1)
        await deferLater(self._reactor, REST)
        for deviceID in list(self._presence.present):
            await self._touch(deviceID)
        await deferLater(self._reactor, 1)

    async def _touch(self, deviceID: int) -> None:
        """
        Use a phone once: the daemon then forgets the ports that have rested.
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
        Listen: the one client that is there all the time.
        """
        try:
            listening = await self._connected()
            await listening.ask("Listen", kLibUSBMuxVersion=3)
            while True:
                event = await listening.receive(None)
                try:
                    self._presence.told(event)
                except Wrong as error:
                    self._complain(f"listener: {error}")
        except Gone:
            if self._daemon.running:
                self._complain("the daemon has hung up on a listener that reads")

    # What is seen.

    def _complain(self, trouble: str) -> None:
        """
        Write down that something is as it must not be.
        """
        troubles = self.result.troubles
        if len(troubles) < MOST_TROUBLES:
            troubles.append(f"{self._minutes:.2f} min: {trouble}")
            self._say(f"TROUBLE: {trouble}")
            if len(troubles) == MOST_TROUBLES and self._reactor.running:
                self._reactor.stop()

    @property
    def _minutes(self) -> float:
        return (time.monotonic() - self._begun) / 60

    def _look(self) -> Process:
        return Process.look(self._daemon.pid)

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
        self.result.samples.append(sample)
        self._say(
            f"at rest: {sample.process.resident >> 10} KiB, {sample.process.threads} threads, "
            f"{sample.process.descriptors} descriptors, {sum(inside['objects'].values())} objects, "
            f"{inside['blocks']} blocks, {inside['malloc'] >> 10} KiB of malloc, "
            f"{inside['timers']} timers"
        )

    def _taken(self) -> Sample:
        inside = self._probe.ask("sample")
        inside["phones"] = len(self._phones.udids)
        return Sample(
            minutes=self._minutes,
            process=self._look(),
            inside=inside,
            openAtPhones=self._phones.open(),
        )

    def _report(self) -> None:
        if not self._daemon.running:
            self._complain("the daemon has ended")
            self._reactor.stop()
            return
        process = self._look()
        for name in ("resident", "threads", "descriptors"):
            self._busiest[name] = max(self._busiest[name], getattr(process, name))
        clients = self._clients
        self._say(
            f"{clients.up / 1e6:.0f} MB up, {clients.down / 1e6:.0f} MB down; "
            f"{clients.done.total()} jobs done, {clients.cut.total()} cut, "
            f"{clients.killed.total()} killed; {self._plugger.pulled.total()} pulled; "
            f"{process.resident >> 20} MiB, {process.threads} threads, "
            f"{process.descriptors} descriptors; {len(self.result.troubles)} troubles"
        )

    def _say(self, text: str) -> None:
        sys.stderr.write(f"[{self._minutes:6.2f} min, {self._where}] {text}\n")
        sys.stderr.flush()

    # The end.

    def _conclude(self) -> None:
        result, clients = self.result, self._clients
        result.traffic = {
            "up": clients.up,
            "down": clients.down,
            "done": dict(clients.done),
            "cut": dict(clients.cut),
            "killed": dict(clients.killed),
            "minutes": self._minutes,
            "cpu": self._look().cpu if self._daemon.running else 0,
        }
        result.faults = {
            **self._plugger.did,
            "times a phone was pulled out": self._plugger.pulled.total(),
            "streams and connections cut by that": clients.cut.total(),
            "clients killed": clients.killed.total(),
        }
        result.busiest = dict(self._busiest)
        try:
            result.violations = self._phones.violations()
            result.stalls = self._probe.ask("stalls")
        except OSError:
            self._complain("the daemon, or its phones, had ended when it was over")
        result.exitStatus = self._daemon.end(STOPPING)
        result.log = [line for line in self._daemon.log().splitlines() if TROUBLE.search(line)]
