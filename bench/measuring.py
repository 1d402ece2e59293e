"""
One workload on one daemon.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.daemons import Daemon, DaemonError, Subject
from bench.rig import LOAD, Phones
from bench.workloads import Workload

LONGEST = 120.0

Figures = Mapping[str, float]


class MeasurementFailed(Exception):
    """
    What was measured is worth nothing; the text says why.
    """


class Stand:
    """
    A daemon with phones of its own, on which one workload after another is
    measured.  Whatever goes wrong, the next one finds a fresh daemon.

    @ivar subject: Which daemon.
    """

    def __init__(self, subject: Subject, directory: Path) -> None:
        self.subject = subject
        self._directory = directory
        self._phones: Phones | None = None
        self._daemon: Daemon | None = None
        self._starts = 0

    def measure(self, workload: Workload, length: float) -> Figures:
        """
        @param length: The seconds of a measurement.

        @raise MeasurementFailed: The daemon does not start or ends, a byte was
            wrong, a session was lost or left open, the phones counted a
            violation of the protocol.
        """
        try:
            daemon, phones = self._ready(workload)
            if not workload.arguments:
                return {"start_ms": daemon.startMilliseconds, **_memory(daemon.pid)}
            return _load(workload, length, daemon, phones)
        except DaemonError as error:
            self.close()
            raise MeasurementFailed(str(error)) from None
        except MeasurementFailed as error:
            words = "" if self._daemon is None else self._daemon.lastWords()
            self.close()
            raise MeasurementFailed(f"{error}{words}") from None

    def close(self) -> None:
        """
        End the daemon and unplug its phones.
        """
        if self._daemon is not None:
            self._daemon.close()
        if self._phones is not None:
            self._phones.close()
        self._daemon = self._phones = None

    def _ready(self, workload: Workload) -> tuple[Daemon, Phones]:
        phones, daemon = self._phones, self._daemon
        if (
            phones is not None
            and daemon is not None
            and not workload.fresh
            and phones.bus is workload.bus
            and phones.count == workload.phones
        ):
            return daemon, phones
        self.close()
        self._starts += 1
        phones = Phones(self._directory / str(self._starts), workload.bus, workload.phones)
        self._phones = phones
        daemon = self._daemon = Daemon(self.subject, phones)
        return daemon, phones


def _load(workload: Workload, length: float, daemon: Daemon, phones: Phones) -> Figures:
    command = [
        *(str(LOAD), *workload.arguments, "--phones", str(workload.phones)),
        *("--socket", str(daemon.socket), "--control", str(phones.control)),
        *("--pid", str(daemon.pid), "--seconds", f"{length * workload.seconds:.3f}"),
    ]
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


def _memory(pid: int) -> Figures:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return {"peak_MB": int(line.split()[1]) / 1024}
    return {}
