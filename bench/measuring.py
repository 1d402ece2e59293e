# -*- test-case-name: tests.bench.test_measuring -*-
"""
Measuring: one workload on one subject.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench.daemons import START_DEADLINE, Daemon, DaemonError, Program, Relay
from bench.processes import peakMemory, threadTimes
from bench.rig import LOAD, NoPhones, Phones
from bench.subjects import Subject
from bench.workloads import Section, Via, Workload

LONGEST = 120.0
SETTLING = 1.0
"""Seconds until simulated phones that have just been attached are at rest."""

Figures = Mapping[str, float]


class MeasurementFailed(Exception):
    """
    What was measured is worth nothing; the text says why.
    """


class Stand:
    """
    A stand has a subject with phones of its own, on which one workload after another is
    measured.  Whatever goes wrong, the next one finds a fresh daemon.

    @ivar subject: What is measured.
    """

    def __init__(self, subject: Subject, behindRelay: Subject, directory: Path) -> None:
        """
        @param behindRelay: The daemon that all subjects' relays stand in front of.
        """
        self.subject = subject
        self._behindRelay = behindRelay
        self._directory = directory
        self._ready: tuple[Section, int] | None = None
        self._phones: Phones | None = None
        self._daemon: Daemon | None = None
        self._relay: Relay | None = None
        self._starts = 0

    def can(self, workload: Workload) -> bool:
        """
        Whether the subject has what a workload is about.
        """
        if workload.section.bus.inDaemon:
            return self.subject.daemon.has("source")
        if workload.section.via is Via.SOCKET:
            return True
        return self.subject.relay is not None or self._listensOnTCP(workload.section)

    def measure(self, workload: Workload, length: float) -> Figures:
        """
        Measure a workload.

        @param length: The seconds of a measurement.
        @raise MeasurementFailed: The daemon does not start or ends, a byte was
            wrong, a session was lost or left open, the phones counted a
            violation of the protocol.
        """
        try:
            daemon, phones = self._prepared(workload)
            if not workload.arguments:
                return {"start_ms": daemon.startMilliseconds, **_memory(daemon.pid)}
            if workload.section.bus.inDaemon:
                return restFigures(daemon.pid, length * workload.seconds)
            return _load(workload, length, daemon, self._relay, phones)
        except DaemonError as error:
            self.close()
            raise MeasurementFailed(str(error)) from None
        except MeasurementFailed as error:
            words = "".join(one.lastWords() for one in (self._relay, self._daemon) if one)
            self.close()
            raise MeasurementFailed(f"{error}{words}") from None

    def close(self) -> None:
        """
        End the daemon and its relay, and unplug its phones.
        """
        running: list[Program | Phones | None] = [self._relay, self._daemon, self._phones]
        self._relay = self._daemon = self._phones = self._ready = None
        for one in running:
            if one is not None:
                one.close()

    def _listensOnTCP(self, section: Section) -> bool:
        return section.via is Via.TCP and self.subject.overTCP is not None

    def _prepared(self, workload: Workload) -> tuple[Daemon, Phones]:
        section = workload.section
        wanted = (section, workload.phones)
        if wanted == self._ready and not workload.fresh:
            assert self._daemon is not None
            assert self._phones is not None
            return self._daemon, self._phones
        self.close()
        self._starts += 1
        directory = self._directory / str(self._starts)
        kind = NoPhones if section.bus.inDaemon else Phones
        self._phones = phones = kind(directory, section.bus, workload.phones)
        overTCP = self._listensOnTCP(section)
        relayed = section.via is not Via.SOCKET and not overTCP
        self._daemon = daemon = Daemon(
            self._behindRelay if relayed else self.subject,
            phones,
            source=section.bus.source(workload.phones),
            overTCP=overTCP,
        )
        if relayed:
            self._relay = Relay(self.subject, daemon, directory)
        if section.bus.inDaemon:
            daemon.awaitPhones(workload.phones, time.monotonic() + START_DEADLINE)
            time.sleep(SETTLING)
        self._ready = wanted
        return daemon, phones


def _load(
    workload: Workload, length: float, daemon: Daemon, relay: Relay | None, phones: Phones
) -> Figures:
    command = [
        *(str(LOAD), *workload.arguments, "--phones", str(workload.phones)),
        *("--socket", str(daemon.socket), "--control", str(phones.control)),
        *("--pid", str((relay or daemon).pid), "--seconds", f"{length * workload.seconds:.3f}"),
    ]
    if daemon.port is not None:
        command += ["--tcp", str(daemon.port)]
    if relay is not None:
        command += ["--relay", ",".join(str(port) for port in relay.ports)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"not finished after {LONGEST:g} s") from None
    if done.returncode:
        raise MeasurementFailed(done.stderr.strip() or f"load ended with {done.returncode}")
    figures: dict[str, float] = json.loads(done.stdout)
    if figures["troubles"]:
        raise MeasurementFailed(f"{done.stderr.strip()}\n{_violations(phones)}".strip())
    return figures


def _violations(phones: Phones) -> str:
    return "\n".join(phones.log.read_text(errors="replace").splitlines()[-5:])


def restFigures(pid: int, seconds: float) -> Figures:
    """
    Do nothing for a while, and see what the daemon needs for that.
    """
    begun, before = time.monotonic(), sum(threadTimes(pid))
    time.sleep(seconds)
    times = threadTimes(pid)
    spent, passed = sum(times) - before, time.monotonic() - begun
    return {"cpu_pct": 100 * spent / passed, "threads": len(times), **_memory(pid)}


def _memory(pid: int) -> Figures:
    peak = peakMemory(pid)
    return {"peak_MB": peak / (1 << 20)} if peak else {}
