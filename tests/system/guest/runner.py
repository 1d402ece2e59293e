"""
One scenario after another, each in a process of its own.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.system.contenders import Model
from tests.system.guest.bus import SYSFS
from tests.system.guest.launcher import Launcher
from tests.system.guest.stage import Stage
from tests.system.guest.udevices import running
from tests.system.guest.waiting import waitFor
from tests.system.outcome import Outcome, Verdict
from tests.system.plan import Trial
from tests.system.scenario import PATIENCE, Failed, Scenario

RESULTS = "results"
_RESULT = "result"


@dataclass(frozen=True, slots=True)
class Runner:
    """
    @ivar launcher: C{None} if nothing of Twisted's is needed.
    @ivar udevTree: Where udevd was unpacked.
    @ivar out: The directory for results and logs.
    """

    model: Model
    launcher: Launcher | None
    udevTree: Path
    out: Path

    def run(self, trials: Iterable[Trial], scenarios: Mapping[str, Scenario]) -> None:
        """
        Make these trials; what becomes of them is written down.

        @param scenarios: By name.
        """
        for trial in trials:
            self._write(Outcome(trial=trial, verdict=Verdict.BEGAN))
            self._write(self._runOne(trial, scenarios[trial.scenario]))

    def _write(self, outcome: Outcome) -> None:
        with (self.out / RESULTS).open("a") as results:
            results.write(f"{outcome.toLine()}\n")
        # Whoever watches the console reads the file now.
        print(outcome.verdict.value, outcome.trial, flush=True)

    def _runOne(self, trial: Trial, scenario: Scenario) -> Outcome:
        """
        Fork, wait, and clear up after whatever was left.
        """
        directory = self.out / str(trial)
        directory.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            self._perform(trial, scenario, directory)
        reason = self._await(pid, began + PATIENCE)
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.launcher is not None:
            self.launcher.killAll()
        clear()
        result = directory / _RESULT
        if not reason and result.exists():
            return Outcome.fromLine(result.read_text())
        seconds = time.monotonic() - began
        reason = reason or "it ended without a result"
        return Outcome(trial=trial, verdict=Verdict.FAILED, seconds=seconds, reason=reason)

    def _await(self, pid: int, deadline: float) -> str:
        """
        Wait for a scenario's process.

        @return: Why it was killed; "" if it was not.
        """
        descriptor = os.pidfd_open(pid)
        hasEnded = bool(select.select([descriptor], [], [], deadline - time.monotonic())[0])
        os.close(descriptor)
        if not hasEnded:
            # Its process shows where it is: see _perform.
            os.kill(pid, signal.SIGALRM)
        os.waitpid(pid, 0)
        return "" if hasEnded else f"it did not end within {PATIENCE:g} s"

    def _perform(self, trial: Trial, scenario: Scenario, directory: Path) -> None:
        """
        In a process of its own: run one scenario, and never return.
        """
        try:
            signal.signal(signal.SIGALRM, _interrupted)
            outcome = self._outcome(trial, scenario, directory)
            (directory / _RESULT).write_text(outcome.toLine())
        except BaseException:
            (directory / "traceback").write_text(traceback.format_exc())
        finally:
            os._exit(0)

    def _outcome(self, trial: Trial, scenario: Scenario, directory: Path) -> Outcome:
        stage = Stage(trial.contender, self.model, self.launcher, directory)
        began = time.monotonic()
        verdict, reason = Verdict.PASSED, ""
        try:
            with running(scenario.udev, self.udevTree, directory / "udev.log"):
                scenario.run(stage)
                stage.finish()
        except Exception as error:
            verdict = Verdict.FAILED
            reason = str(error) if isinstance(error, Failed) else repr(error)
            (directory / "traceback").write_text(traceback.format_exc())
        return Outcome(
            trial=trial,
            verdict=verdict,
            seconds=time.monotonic() - began,
            reason=" ".join(reason.split()),
            remarks=tuple(stage.remarks),
        )


def clear() -> None:
    """
    Leave nothing to the next scenario: no phone on the bus, no file of a daemon.
    """
    waitFor("the bus to be empty", lambda: not list(SYSFS.glob("[0-9]*-[0-9]")))
    for path in (*Path("/run").glob("phone-*"), *Path("/run").glob("usbmuxd*")):
        path.unlink(missing_ok=True)
    for directory in ("/run/daemon", "/run/udev", "/var/lib/lockdown"):
        shutil.rmtree(directory, ignore_errors=True)


def _interrupted(number: int, frame: object) -> None:
    raise Failed("it took too long")
