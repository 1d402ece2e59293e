# -*- test-case-name: tests.integration.test_beside -*-
"""
Our daemon and the C daemon in one place, C{/var/run/usbmuxd} of a file system view that
they share, with the phones of F{bench/rig}: run in a network namespace of its own as
C{python -m tests.integration.beside SCENARIO DIRECTORY}, it tells what it saw as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.bus import UNPACED
from bench.daemons import Daemon
from bench.isolation import withPrivateMounts
from bench.rig import Phones, build
from bench.subjects import Command, Subject, named
from tests.differential.exchange import perform
from tests.differential.grammar import Case, Piece
from tests.differential.kept import framed, plist

PATIENCE = 30.0
PLACE = "/var/run/usbmuxd"
SIMULATED = "simulated"
"""What ours has where both run: a phone on the bus can be claimed by one only."""

_LIST = framed(plist(b"<key>MessageType</key><string>ListDevices</string>"))
ASKED = Case("list", (Piece(_LIST, True),))


class Place:
    """
    Where both are.
    """

    def __init__(self, phones: Phones) -> None:
        self.phones = phones
        self.theirs = named("c")
        ours = named("muxd")
        self.ours = replace(ours, daemon=Command(ours.daemon.text.replace("{socket}", PLACE)))

    def startUnlocked(self, subject: Subject) -> Daemon:
        """
        The same, when somebody has removed the file that is locked.
        """
        (self.phones.directory / "run" / "usbmuxd.pid").unlink()
        return self.start(subject)

    def start(self, subject: Subject, source: str = "usb") -> Daemon:
        """
        Start a daemon that is to take the place.
        """
        log = self.phones.directory / "daemon.log"
        daemon = Daemon(subject, self.phones, source=source)
        # Each has a log of its own.
        own = log.with_suffix(f".{subject.name.replace(' ', '')}")
        log.rename(own)
        daemon._log = own
        return daemon

    def run(self, subject: Subject, more: str = "") -> tuple[int, str]:
        """
        Run one that ends by itself: its status, and what it says.
        """
        words, environment = subject.daemon.filled(
            {"directory": self.phones.directory, "source": "usb"}
        )
        done = subprocess.run(
            withPrivateMounts(self.phones.directory, words + more.split()),
            env={**self.phones.environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout + done.stderr

    def answers(self) -> str:
        """
        Which daemon is behind the socket now; empty if none.
        """
        try:
            said = perform(str(self.phones.directory / "run" / "usbmuxd"), ASKED, PATIENCE)
        except OSError:
            return ""
        return "ours" if "UDID" in repr(said.answers) else "theirs"


def waitFor(what: Callable[[], object]) -> bool:
    """
    Whether something becomes true in time.
    """
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def lock(place: Place) -> dict[str, Any]:
    """
    The C daemon is started while ours runs, and asks it to end.
    """
    ours = place.start(place.ours)
    try:
        status, text = place.run(place.theirs)
        asked = place.run(place.theirs, "-x")[0]
        return {
            "pid": ours.pid,
            "status": status,
            "text": text,
            "asked": asked,
            "answers": place.answers(),
            "end": ours.end(PATIENCE),
            "left": [path.name for path in (place.phones.directory / "run").glob("usbmuxd*")],
        }
    finally:
        ours.close()


def overtaken(place: Place) -> dict[str, Any]:
    """
    A C daemon that does not know of our lock takes the place of ours, which is then stopped.
    """
    ours = place.start(place.ours, SIMULATED)
    theirs = None
    try:
        theirs = place.startUnlocked(place.theirs)
        noticed = waitFor(lambda: "our socket is gone" in ours.log())
        between = place.answers()
        end = ours.end(PATIENCE)
        return {
            "noticed": noticed,
            "between": between,
            "end": end,
            "answers": place.answers(),
            "lines": len(re.findall("our socket is gone", ours.log())),
        }
    finally:
        ours.close()
        if theirs is not None:
            theirs.close()


def returned(place: Place) -> dict[str, Any]:
    """
    A C daemon that does not know of our lock takes the place of ours, and ends.
    """
    ours = place.start(place.ours, SIMULATED)
    try:
        theirs = place.startUnlocked(place.theirs)
        waitFor(lambda: "our socket is gone" in ours.log())
        theirs.close()
        return {"answers": waitFor(lambda: place.answers() == "ours"), "end": ours.end(PATIENCE)}
    finally:
        ours.close()


def second(place: Place) -> dict[str, Any]:
    """
    Ours is started while the C daemon runs.
    """
    theirs = place.start(place.theirs)
    try:
        status, text = place.run(place.ours)
        return {"pid": theirs.pid, "status": status, "text": text, "answers": place.answers()}
    finally:
        theirs.close()


SCENARIOS = {one.__name__: one for one in (lock, overtaken, returned, second)}


def main(scenario: str, directory: Path) -> None:
    """
    Run a scenario.
    """
    build()
    with Phones(directory, UNPACED, 1) as phones:
        print(json.dumps(SCENARIOS[scenario](Place(phones))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
