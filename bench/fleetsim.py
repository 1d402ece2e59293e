"""
A fleet at scale: C{make fleet-sim}.

A hub in a process of its own; hosts in a few more, each with the code of a real one but with phones
that are objects; and jobs that contend.  Nothing of it needs root.  What is printed is what was
measured in this run.
"""

from __future__ import annotations

import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python import usage

from bench.processes import processorTime, residentMemory
from bench.starve import Starving
from muxd.client.answers import Attached, Event
from muxd.client.client import UsbmuxClient
from muxd.client.feedservice import FeedService
from muxd.fleet.client import FleetClient, FleetSession, FleetView
from muxd.fleet.conversation import makeTicket
from muxd.fleet.host import FleetHost, FleetPlace
from muxd.fleet.messages import Page, Show
from muxd.fleet.values import FleetError
from muxd.identity import DeviceIdentity
from muxd.service import MuxService
from muxd.testing import FakeDevice

PROCESSES = 4
TERM = 10
RUN = "from twisted.scripts.twistd import run; run()"


class Options(usage.Options):
    """
    How large it is.
    """

    optParameters = [
        ["hosts", None, 100, "Hosts.", int],
        ["phones", None, 100, "Phones of each.", int],
        ["jobs", None, 50, "Jobs that contend.", int],
        ["seconds", None, 10, "How long they do.", int],
        ["tickets", None, "yes", "Whether they have tickets, as all real ones do: yes or no."],
        ["share", None, 0, "Percent of a processor that the hub has; 0 for what it can get.", int],
        ["registry", None, "embedded", "The hub's, such as etcd:127.0.0.1:2379."],
        ["engine", None, 0, "The number of etcd's process, if its figures are wanted, too.", int],
        ["json", None, None, "Where to write the figures."],
        ["part", None, None, "(For its own processes.)"],
        ["hub", None, None, "(For its own processes.)"],
        ["directory", None, None, "(For its own processes.)"],
    ]


class _Details:
    """
    What phones would have said of themselves.
    """

    def of(self, attached: Any) -> dict[str, str]:
        """
        The same of all.
        """
        return {"version": "17.1", "model": "iPhone14,5", "name": "phone"}

    def keepOnly(self, numbers: set[int]) -> None:
        """
        Nothing is kept.
        """


def udid(host: int, phone: int) -> str:
    """
    The UDID of a phone.
    """
    return f"{host:08X}-{phone:016X}"


def serveHosts(options: Options) -> None:
    """
    Be some of the hosts.  Twice a second a phone of the first is pulled out or plugged in, and it
    is printed when.
    """
    from twisted.internet import reactor

    anyReactor: Any = reactor
    part = int(options["part"])
    services = []
    for number in range(part, options["hosts"], PROCESSES):
        service = MuxService(anyReactor, configDir=options["directory"])
        place = FleetPlace(
            hub=options["hub"],
            door=f"unix:{options['directory']}/door{number}",
            name=f"host{number}",
        )
        host = FleetHost(anyReactor, service, place)
        host._details = _Details()  # type: ignore[assignment]
        for phone in range(options["phones"]):
            name = udid(number, phone)
            serial = name.replace("-", "")
            identity = DeviceIdentity(udid=name, serial=serial, productID=0x12A8, locationID=1)
            service.registry.deviceAttached(FakeDevice(anyReactor, identity))
        host.privilegedStartService()
        services.append((service, host))
    for _, host in services:
        host.startService()

    async def replug() -> None:
        registry = services[0][0].registry
        while part == 0:
            await deferLater(anyReactor, 0.25)
            (attached, *_) = registry.attached()
            registry.deviceDetached(attached.device)
            print(f"gone {attached.device.identity.udid} {time.monotonic()}", flush=True)
            await deferLater(anyReactor, 0.25)
            registry.deviceAttached(attached.device)
            print(f"there {attached.device.identity.udid} {time.monotonic()}", flush=True)

    Deferred.fromCoroutine(replug())
    anyReactor.run()


class Simulation:
    """
    One run.

    @ivar figures: What was measured.
    """

    def __init__(self, reactor: Any, options: Options, directory: str) -> None:
        self.reactor = reactor
        self.options = options
        self.directory = directory
        self.figures: dict[str, Any] = {}
        self.hub = f"unix:{directory}/hub"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []
        self.starving: Starving | None = None

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """
        Start a process.
        """
        path = Path(self.directory) / f"log{len(self.processes)}"
        with path.open("wb") as log:
            process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
        self.processes.append(process)
        self.logs.append(path)
        return process

    def startHosts(self, part: int) -> subprocess.Popen[bytes]:
        """
        Start some of the hosts.
        """
        options = self.options
        return self.start(
            *("-m", "bench.fleetsim", "--part", str(part), "--hub", self.hub),
            *("--hosts", str(options["hosts"]), "--phones", str(options["phones"])),
            *("--directory", self.directory),
        )

    async def until(self, condition: Callable[[], Coroutine[Any, Any, bool]], most: float) -> float:
        """
        Wait until something is so.

        @return: how long it took, in seconds.
        """
        began = time.monotonic()
        while not await condition():
            if time.monotonic() - began > most:
                raise RuntimeError(f"it does not become so within {most} s")
            await deferLater(self.reactor, 0.05)
        return time.monotonic() - began

    async def session(self, name: str) -> FleetSession:
        """
        A connection to the hub, as soon as there is one.
        """
        client = FleetClient(self.reactor, self.hub, name)
        while True:
            try:
                return await client.connect()
            except Exception:
                await deferLater(self.reactor, 0.05)

    async def run(self) -> None:
        """
        All of it.
        """
        options, figures = self.options, self.figures
        state = f"{self.directory}/state"
        hub = self.start(
            *("-c", RUN, "-n", "--pidfile=", "muxhub", "--fleet", self.hub, "--term", str(TERM)),
            *(
                "--registry",
                options["registry"],
                "--state",
                state,
                "-l",
                f"unix:{self.directory}/all",
            ),
        )
        session = await self.session("watcher")
        if options["share"]:
            self.starving = Starving(hub.pid, options["share"] / 100)
            self.starving.start()
        hosts = [self.startHosts(part) for part in range(PROCESSES)]
        wanted = options["hosts"] * options["phones"]

        present: list[tuple[float, int]] = []

        async def arePresent() -> bool:
            # Of the hosts alone: a list of all phones again and again is a load of its own.
            page: Page = await session._ask(Show, after="")
            count = sum(host.phones for host in page.hosts)
            present.append((time.monotonic(), count))
            return bool(count >= wanted - 1)

        figures["seconds until all phones are there, processes' start included"] = round(
            await self.until(arePresent, 300), 2
        )
        first = next(one for one in present if one[1])
        if first != present[-1]:
            rate = (present[-1][1] - first[1]) / (present[-1][0] - first[0])
            figures["phones announced per second, from the first that is seen"] = round(rate)
        figures["hosts that were lost meanwhile"] = (
            self.logs[0].read_text().count("is not connected any more")
        )
        began = time.monotonic()
        await session.fleet()
        figures["seconds for a list of all of them"] = round(time.monotonic() - began, 3)
        seen: dict[tuple[str, str], list[float]] = {}

        def eventCame(event: Event) -> None:
            kind = "there" if isinstance(event, Attached) else "gone"
            seen.setdefault((kind, event.device.udid), []).append(time.monotonic())

        listening = UsbmuxClient(self.reactor, f"unix:{self.directory}/all")
        feed = FeedService(listening, lambda: None, eventCame, lambda: None)
        feed.startService()
        await deferLater(self.reactor, 10)
        since = time.monotonic()
        engine = [options["engine"]] if options["engine"] else []
        began = time.monotonic()
        used = {pid: processorTime(pid) for pid in (hub.pid, *engine, *(one.pid for one in hosts))}
        await deferLater(self.reactor, 10)
        percent = {pid: _percent(pid, before, began) for pid, before in used.items()}
        figures["hub, idle but for 4 events a second: CPU %"] = percent[hub.pid]
        figures["hub: MB"] = _megabytes(hub.pid)
        for pid in engine:
            figures["etcd, meanwhile: CPU %, MB"] = [percent[pid], _megabytes(pid)]
        # The first process has those events as well.
        quiet = [percent[one.pid] for one in hosts[1:]]
        share = len(quiet) * options["hosts"] / PROCESSES
        figures["host, one of them: CPU %"] = round(sum(quiet) / share, 3)
        figures["host, one of them: MB"] = round(
            sum(_megabytes(one.pid) for one in hosts) / options["hosts"], 1
        )
        await self.contend(hub.pid)
        feed.stopService()
        await self.crowd()
        figures["hub, with them: MB"] = _megabytes(hub.pid)
        delays = _delays(self.logs[1], seen, since)
        figures["events in that time, host to a listener at the hub's socket"] = len(delays)
        figures["the same: ms p50, p99"] = _spread(delays)
        dead = hosts[-1]
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        left = wanted - len(range(PROCESSES - 1, options["hosts"], PROCESSES)) * options["phones"]

        async def areGone() -> bool:
            view: FleetView = await session.fleet()
            return bool(len(view.phones) <= left)

        name = f"seconds until a killed process's hosts are gone (term {TERM})"
        figures[name] = round(await self.until(areGone, 60), 2)
        session.close()

    async def crowd(self) -> None:
        """
        Have many clients at the hub's socket.
        """
        crowd = self.start("-m", "bench.fleetcrowd", f"{self.directory}/all", str(self.logs[1]))
        while crowd.poll() is None:
            await deferLater(self.reactor, 0.2)
        self.figures |= json.loads(self.logs[-1].read_text())

    async def contend(self, hub: int) -> None:
        """
        Have jobs contend for a tenth as many phones.
        """
        options = self.options
        waits: list[float] = []
        holders: dict[str, int] = {}
        refused = 0
        end = time.monotonic() + options["seconds"]
        hasTickets = options["tickets"] != "no"

        async def job(number: int) -> None:
            nonlocal refused
            session = await self.session(f"job{number}")
            while time.monotonic() < end:
                began = time.monotonic()
                # Five phones for fifty jobs.
                wanted = udid(1, number % max(1, options["jobs"] // 10))
                try:
                    ticket = makeTicket() if hasTickets else ""
                    held = await session.reserve(wanted, wait=60, ticket=ticket)
                except FleetError:
                    refused += 1
                    continue
                waits.append(time.monotonic() - began)
                assert wanted not in holders, "two jobs have one phone"
                holders[wanted] = number
                await deferLater(self.reactor, 0.001)
                del holders[wanted]
                await session.release(held)
            session.close()

        before = processorTime(hub), time.monotonic()
        engine = options["engine"]
        usedByEngine = processorTime(engine) if engine else 0.0
        await gatherResults([Deferred.fromCoroutine(job(n)) for n in range(options["jobs"])])
        self.figures["reservations per second"] = round(len(waits) / options["seconds"], 1)
        self.figures["wait of a job, 10 for each phone: ms p50, p99"] = _spread(waits)
        self.figures["jobs told that there is none"] = refused
        self.figures["hub, jobs contending: CPU %"] = _percent(hub, *before)
        if engine:
            self.figures["etcd, jobs contending: CPU %"] = _percent(engine, usedByEngine, before[1])

    def stop(self) -> None:
        """
        End all processes.
        """
        if self.starving is not None:
            self.starving.end()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def _delays(host: Path, seen: dict[tuple[str, str], list[float]], since: float) -> list[float]:
    """
    From a phone's coming or going at its host to a listener's being told of it by the hub's
    socket.

    @param since: When to begin.
    """
    delays = []
    for line in host.read_text().splitlines():
        kind, name, at = (*line.split(), "", "", "")[:3]
        if kind in ("gone", "there") and float(at) > since:
            times = [each for each in seen.get((kind, name), ()) if each >= float(at)]
            if times:
                delays.append(min(times) - float(at))
    return delays


def _spread(values: list[float]) -> list[float]:
    if len(values) < 2:
        return []
    cuts = statistics.quantiles(values, n=100)
    return [round(1000 * cuts[49], 1), round(1000 * cuts[98], 1)]


def _percent(pid: int, used: float, began: float) -> float:
    return round(100 * (processorTime(pid) - used) / (time.monotonic() - began), 1)


def _megabytes(pid: int) -> float:
    return round(residentMemory(pid) / 1e6, 1)


def main(arguments: list[str] | None = None) -> None:
    """
    Run, and print the figures.
    """
    from twisted.internet import reactor

    options = Options()
    options.parseOptions(arguments)
    if options["part"] is not None:
        serveHosts(options)
        return
    anyReactor: Any = reactor
    directory = tempfile.mkdtemp(prefix="fleet-", dir="/tmp")
    simulation = Simulation(anyReactor, options, directory)
    failures: list[Any] = []

    def begin() -> None:
        running = Deferred.fromCoroutine(simulation.run())
        running.addErrback(failures.append).addBoth(lambda _: anyReactor.stop())

    anyReactor.callWhenRunning(begin)
    try:
        anyReactor.run()
    finally:
        simulation.stop()
    if failures:
        print(simulation.logs[0].read_text()[-2000:])
        failures[0].raiseException()
    shutil.rmtree(directory)
    size = {name: options[name] for name in ("hosts", "phones", "jobs", "seconds")}
    for name, value in {**size, **simulation.figures}.items():
        print(f"{value!s:>16}  {name}")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({**size, **simulation.figures}, indent=1))


if __name__ == "__main__":
    main()
