# -*- test-case-name: tests.netns.test_embedded,tests.netns.test_etcd -*-
"""
A fleet on a network of its own, and what is seen of it from outside.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.integration.daemon import PROJECT
from tests.netns.engine import Cluster
from tests.netns.history import History, eventsOf
from tests.netns.members import ENVIRONMENT, PATIENCE, Job, Member
from tests.netns.network import Network
from tests.netns.witness import HOST

TWISTD = "from twisted.scripts.twistd import run; run()"
QUICK = ("--nodaemon", "--pidfile=")


class Fleet:
    """
    Hubs, hosts with a phone each, jobs, and perhaps three nodes of etcd.

    @ivar hubs: The hubs.
    @ivar hosts: The hosts.
    @ivar cluster: The nodes; None where a hub has its registry in itself.
    @ivar term: Seconds of a host's lease.
    """

    def __init__(
        self, hubs: int, hosts: int, nodes: int, term: int, isSecure: bool = False
    ) -> None:
        """
        Start one.

        @param isSecure: Whether all have certificates.
        @raise SkipTest: Networks cannot be made here, or etcd is not installed.
        """
        self.term = term
        self.directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        names = [
            *(f"hub{number}" for number in range(hubs)),
            *(f"host{number}" for number in range(hosts)),
            *(f"node{number}" for number in range(nodes)),
            "job",
        ]
        try:
            self.network = Network(names)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        self.jobs: list[Job] = []
        self.isSecure = isSecure
        # Of jobs' environment.
        self.more: Mapping[str, str] = {}
        self.cluster: Cluster | None = None
        self.hubs = [self._member(f"hub{number}", self._hubWords) for number in range(hubs)]
        self.hosts = [self._member(f"host{number}", self._hostWords) for number in range(hosts)]
        self._numbers = itertools.count(1)
        try:
            if isSecure:
                self.certify("init")
                for member in self.members:
                    self.certifyMember(member)
            if nodes:
                self.cluster = Cluster(self.network, self.directory, nodes)
                self.cluster.start()
            self.rest()
        except BaseException:
            self.close()
            raise

    @property
    def members(self) -> list[Member]:
        """
        All that are not jobs.
        """
        nodes = [] if self.cluster is None else self.cluster.nodes
        return [*nodes, *self.hubs, *self.hosts]

    def rest(self) -> None:
        """
        Have everything as it should be: all run and are listed, and no job has anything.
        """
        self.network.heal()
        for job in self.jobs:
            job.close()
        for member in self.members:
            member.restore()
        for job in self.jobs:
            job.status()
        self.until(self.isAtRest, "the fleet does not come to rest")
        # If one of them does not end, all are there still, for close() and logs().
        self.jobs = []

    def isAtRest(self) -> bool:
        """
        Whether all is listed at all hubs, and no job has anything.
        """
        everything = {str(host) for host in self.hosts}
        said = [self.status(hub) for hub in range(len(self.hubs))]
        return all(_listed(each) == everything and not each["reserved"] for each in said)

    def isFree(self, hub: int = 0) -> bool:
        """
        Whether a hub says that no job has a phone.
        """
        said = self.status(hub)
        return bool(said["fresh"]) and not said["reservations"]

    def close(self) -> None:
        """
        End it.
        """
        for job in self.jobs:
            with suppress(OSError):
                job.close()
            job.kill()
        for member in self.members:
            member.kill()
        self.network.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What is seen

    def status(self, hub: int = 0) -> dict[str, Any]:
        """
        What a hub says of the fleet; nothing if it does not answer, as on a machine that is busy,
        and then it is neither fresh nor stale.
        """
        try:
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(2)
                stream.connect(str(self.directory / f"hub{hub}.status"))
                connection = http.client.HTTPConnection("localhost")
                connection.sock = stream
                connection.request("GET", "/api/status")
                said: dict[str, Any] = json.loads(connection.getresponse().read())["fleet"]
                return said
        except (OSError, http.client.HTTPException, KeyError):
            return {"fresh": None, "hosts": [], "reserved": 0, "reservations": [], "waiting": []}

    def listed(self, hub: int = 0) -> set[str]:
        """
        The hosts whose phone a hub lists.
        """
        return _listed(self.status(hub))

    def listedFor(self, *hubs: int) -> set[str]:
        """
        The hosts whose phone C{muxctl fleet list} shows to one that knows of these hubs, in this
        order.
        """
        command = [sys.executable, "-m", "muxd.muxctl", "--json", "fleet", "list"]
        command += ["--hub", self.hubsOf(hubs)]
        done = subprocess.run(
            self.network.command("job", command),
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return {json.loads(line)["host"] for line in done.stdout.splitlines()}

    def holders(self, hub: int = 0) -> set[str]:
        """
        The jobs that have phones, as a hub knows it.
        """
        return {each["user"] for each in self.status(hub)["reservations"]}

    def connectedTo(self, host: Member) -> list[int]:
        """
        The hubs that a host is connected to.
        """
        return [
            hub
            for hub in range(len(self.hubs))
            for each in self.status(hub)["hosts"]
            if each["name"] == str(host) and each["here"]
        ]

    def until(self, condition: Callable[[], bool], problem: str) -> float:
        """
        Wait until something is so.

        @return: the seconds that it has taken.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() > began + PATIENCE:
                raise AssertionError(f"{problem}; see the logs:\n{self.logs()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def logs(self) -> str:
        """
        The last lines of all.
        """
        parts = []
        texts = {str(one): one.text() for one in self.members}
        texts |= {job.name: job.text() for job in self.jobs}
        for name, text in texts.items():
            lines = [line for line in text.splitlines() if "has got number" not in line]
            parts.append("\n".join([f"--- {name}", *(line[:240] for line in lines[-12:])]))
        return "\n".join(parts)

    def problems(self) -> list[str]:
        """
        What should not have been, by the hosts' own logs; and what no log should have in it.
        """
        found = []
        for host in self.hosts:
            found += [f"{host}: {each}" for each in self.history(host).problems]
        for member in (*self.hubs, *self.hosts):
            for line in member.lines():
                if "traceback" in line or line["level"] in ("error", "critical"):
                    found.append(f"{member}: {line['message'][:300]} {line.get('traceback', '')}")
        return found

    def history(self, host: Member) -> History:
        """
        What has happened at a host.
        """
        return History(eventsOf(host.text()))

    # Jobs

    def job(self, what: str, *words: str, hubs: Sequence[int] | None = None) -> Job:
        """
        A job.

        @param what: A part of its name, which no other has.
        @param words: Of C{muxctl reserve}.
        @param hubs: Those that it knows of, in its order; all if None.
        """
        name = f"{what}{next(self._numbers)}"
        if self.isSecure:
            self.certify("client", name)
        log = self.directory / f"{name}.log"
        program = [sys.executable, "-S", str(PROJECT / "tests/netns/job.py"), name]
        command = [sys.executable, "-m", "muxd.muxctl", "reserve", "--hub", self.hubsOf(hubs)]
        command += ["--name", name, *words, "--", *program]
        if self.isSecure:
            command = [each.replace("FILES", str(self.directory / name)) for each in command]
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.network.command("job", command),
                env={**ENVIRONMENT, **self.more},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        job = Job(name, log, process)
        self.jobs.append(job)
        return job

    def holder(self, host: int = 0, *words: str, hubs: Sequence[int] | None = None) -> Job:
        """
        A job that has a host's phone, and whose bytes have reached it.
        """
        # On a machine that is busy, the host may have to connect anew just then.
        wanted = ("--phone", f"host=host{host}", "--wait", "50")
        job = self.job("holder", *wanted, *words, hubs=hubs)
        self.until(lambda: "heard" in job.text() or job.hasEnded, "a job gets no phone")
        if job.hasEnded:
            raise AssertionError(f"a job has no phone: {job.text()}\n{self.logs()}")
        return job

    def waiter(self, host: int = 0, *words: str, hubs: Sequence[int] | None = None) -> Job:
        """
        A job that waits for a host's phone.
        """
        job = self.job("waiter", "--phone", f"host=host{host}", "--wait", "50", *words, hubs=hubs)
        hub = 0 if hubs is None else hubs[0]

        self.until(lambda: job.hasEnded or self.isWaiting(hub, job), "a job does not wait")
        if job.hasEnded:
            raise AssertionError(f"a job does not wait: {job.text()}\n{self.logs()}")
        return job

    def isWaiting(self, hub: int, *jobs: Job) -> bool:
        """
        Whether these jobs wait, as a hub knows it, and in this order.
        """
        names = [each["user"] for each in self.status(hub)["waiting"]]
        return [name for name in names if name in {job.name for job in jobs}] == [
            job.name for job in jobs
        ]

    # Commands

    def hubsOf(self, numbers: Sequence[int] | None = None) -> str:
        """
        Where hubs are.
        """
        chosen = range(len(self.hubs)) if numbers is None else numbers
        kind, behind = ("mutualtls", ":files=FILES") if self.isSecure else ("tcp", "")
        places = [self.network.address(f"hub{each}") for each in chosen]
        return " ".join(f"{kind}:{place}:7300{behind}" for place in places)

    def certify(self, *words: str) -> None:
        """
        Run C{muxctl cert}; what is made is in the directory of the first name.
        """
        command = [sys.executable, "-m", "muxd.muxctl", "cert", *words]
        command += ["--ca", str(self.directory / "ca")]
        if len(words) > 1:
            command += ["-o", str(self.directory / words[1])]
        subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=PATIENCE)

    def certifyMember(self, member: Member) -> None:
        """
        Give a hub or a host a certificate, perhaps a new one.
        """
        self.certify("host", str(member), self.network.address(member.place))

    def listening(self, place: str, port: int) -> str:
        """
        Where a hub or a host listens.
        """
        if self.isSecure:
            return f"mutualtls:{port}:interface=0.0.0.0:files={self.directory / place}"
        return f"tcp:{port}:interface=0.0.0.0:insecure=yes"

    def _member(self, place: str, words: Callable[[str], list[str]]) -> Member:
        log = self.directory / f"{place}.log"
        return Member(self.network, place, log, lambda: words(place))

    def _hubWords(self, place: str) -> list[str]:
        registry = "embedded" if self.cluster is None else self.cluster.registry
        return [
            *(sys.executable, "-c", TWISTD, *QUICK, "--logger", "muxd.tap.logfields.jsonObserver"),
            *("muxhub", "--fleet", self.listening(place, 7300)),
            *("--term", str(self.term), "--state", str(self.directory / f"{place}.state")),
            *("--registry", registry, "--status", f"unix:{self.directory / place}.status"),
        ]

    def _hostWords(self, place: str) -> list[str]:
        number = int(place.removeprefix("host")) + 1
        return [
            *(sys.executable, "-c", HOST, *QUICK, "usbmuxd", "--log-format", "json"),
            *("--source", f"simulated:first={number}:trust=accept"),
            *("--listen", f"unix:{self.directory / place}.socket", "--status", "none"),
            *("--config-dir", str(self.directory / f"{place}.lockdown")),
            *("--hub", self.hubsOf().replace("FILES", str(self.directory / place))),
            *("--door", self.listening(place, 7400), "--fleet-name", place),
            *("--door-address", self.network.address(place)),
        ]


def _listed(said: Mapping[str, Any]) -> set[str]:
    return {each["name"] for each in said["hosts"] if each["phones"]}
