"""
What the examination of any usbmuxd finds, with its phone on the kernel's bus.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.system.guest.daemons import PROJECT
from tests.system.guest.stage import Stage
from tests.system.scenario import Catalogue, Failed

SCENARIOS = Catalogue()

EDGES = "3,5,6,7,10,14,18,19,20,21,23,24,27,28,33,36"
"""What has to do with transfers and packets; what waits for time to pass is left out."""

FAST_EDGES = "3,4,5,6,21,31,32"
"""What depends on the size of USB packets, for a fast bus."""

PATIENCE = 20
"""How many times as long as usual is waited."""

LONGEST = 1000.0
"""Seconds of all of it."""


def command(stage: Stage) -> str:
    """
    The daemon's command line, with places for what the examination fills in.
    """
    if not stage.isMuxd:
        # A key for preflight takes an emulated processor half a minute.
        return "/usr/sbin/usbmuxd --foreground -v --no-preflight"
    twistd = Path(sys.executable).with_name("twistd")
    engine = stage.daemon.contender.value
    return (
        f"{twistd} -n --pidfile= usbmuxd --no-preflight -s usb:engine={engine}"
        " -l unix:{socket} -C {records}"
    )


@SCENARIOS.scenario("examined")
def examined(stage: Stage) -> None:
    """
    The examination of any usbmuxd, by a phone that is plugged into the kernel's bus, finds no
    violation in transfers and packets.
    """
    examine(stage, EDGES)


@SCENARIOS.scenario("examined-super")
def examinedSuper(stage: Stage) -> None:
    """
    The same on a SuperSpeed bus, with what depends on the size of USB packets.
    """
    examine(stage, FAST_EDGES, "--speed", "super")


def examine(stage: Stage, edges: str, *options: str) -> None:
    """
    Run an examination, and expect no violation.
    """
    words = [sys.executable, "-m", "muxd.phone.examine", "--vhci", "--edges", edges, *options]
    words += ["--patience", str(PATIENCE), command(stage)]
    log = stage.directory / "examination"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=PROJECT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise Failed(f"the examination does not end within {LONGEST:g} s") from None
    lines = log.read_text(errors="replace").splitlines()
    violated = [" ".join(line.split()[1:]) for line in lines if line.startswith("VIOLATED")]
    if status:
        last = lines[-1:] or ["nothing was said"]
        raise Failed(f"status {status}: {'; '.join(violated) or last[0]}")
    stage.remark(lines[-1])
