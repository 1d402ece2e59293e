# -*- test-case-name: tests.integration.test_beside -*-
"""
Our daemon and the C daemon in one place, C{/var/run/usbmuxd} of a file system view that
they share, with the phones of F{bench/rig}: run in a network namespace of its own as
C{python -m tests.integration.beside SCENARIO DIRECTORY}, it tells what it saw as JSON.
"""

from __future__ import annotations

import json
import plistlib
import pwd
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
from bench.rig import Phones, build
from bench.subjects import Command, Subject, named
from muxd.phone.examine.mounts import withPrivateMounts
from tests.differential.exchange import perform
from tests.differential.grammar import Case, Piece
from tests.differential.kept import framed, plist
from tests.integration.conversation import Conversation

PATIENCE = 30.0
PLACE = "/var/run/usbmuxd"
RECORDS = "/var/lib/lockdown"
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

    def sharing(self, subject: Subject, directory: Path, more: str) -> Subject:
        """
        A daemon with its records in a directory that the other has them in as well.
        """
        text = subject.daemon.text.replace("{directory}/lockdown", RECORDS)
        mount = f"mount --bind {directory} {RECORDS}"
        return replace(subject, daemon=Command(f"sh -c '{mount} && exec \"$@\"' - {text}{more}"))

    def letIn(self) -> None:
        """
        Have the bus, which is root's, be reached by any user.
        """
        bus = self.phones.directory / "bus"
        self.phones.directory.chmod(0o755)
        for path in (bus, *bus.iterdir()):
            path.chmod(0o777)

    def startUnlocked(self, subject: Subject) -> Daemon:
        """
        Start a daemon when the file that is locked has been removed.
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


def records(place: Place) -> dict[str, Any]:
    """
    The C daemon, as its own user, and ours, as root, write into one directory, by turns.
    """
    directory = place.phones.directory / "records"
    directory.mkdir()
    asUser = place.sharing(place.theirs, directory, " --user usbmux")
    ours = place.sharing(place.ours, directory, "")
    seen: list[dict[str, Any]] = []
    for number, subject in enumerate((asUser, ours, asUser, ours, asUser)):
        place.letIn()
        daemon = place.start(subject)
        try:
            with Conversation(str(daemon.socket)) as client:
                told = {"BUID": client.ask("ReadBUID").get("BUID")}
                told["read"] = [
                    client.ask("ReadPairRecord", PairRecordID=f"A-{earlier}").get("Number", 0)
                    for earlier in range(number)
                ]
                told["saved"] = client.ask(
                    "SavePairRecord",
                    PairRecordID=f"A-{number}",
                    PairRecordData=plistlib.dumps({"HostID": str(number)}),
                )["Number"]
                # The same record again: what the other has made is replaced.
                told["replaced"] = client.ask(
                    "SavePairRecord",
                    PairRecordID="A-0",
                    PairRecordData=plistlib.dumps({"HostID": str(number)}),
                )["Number"]
            seen.append(told)
        finally:
            daemon.close()
    owner = directory.stat().st_uid
    return {
        "seen": seen,
        "owner": pwd.getpwuid(owner).pw_name,
        "others": [path.name for path in directory.iterdir() if path.stat().st_uid != owner],
    }


def remote(place: Place) -> dict[str, Any]:
    """
    Ours has the C daemon's phone, by its socket; then the C daemon ends.
    """
    theirs = place.start(place.theirs)
    ours = None
    try:
        # Ours is started where it would listen, too.
        run = place.phones.directory / "run"
        (run / "usbmuxd").rename(run / "theirs")
        ours = place.start(named("muxd"), "remote:/var/run/theirs:grace=0.5")
        path = str(ours.socket)

        def listed() -> list[dict[str, Any]]:
            with Conversation(path) as client:
                devices: list[dict[str, Any]] = client.ask("ListDevices")["DeviceList"]
                return devices

        waitFor(listed)
        (device,) = listed()
        echoed = b""
        with Conversation(path) as client:
            swapped = int.from_bytes((7).to_bytes(2, "big"), "little")
            result = client.ask("Connect", DeviceID=device["DeviceID"], PortNumber=swapped)
            client.socket.sendall(b"hello")
            while len(echoed) < 5:
                echoed += client.socket.recv(5)
        with Conversation(path) as client:
            wrong = client.ask("Connect", DeviceID=device["DeviceID"], PortNumber=1)
        theirs.close()
        return {
            "type": device["Properties"]["ConnectionType"],
            "result": result["Number"],
            "echoed": echoed.decode(),
            "wrong": wrong["Number"],
            "gone": waitFor(lambda: not listed()),
            "end": ours.end(PATIENCE),
        }
    finally:
        if ours is not None:
            ours.close()
        theirs.close()


SCENARIOS = {one.__name__: one for one in (lock, overtaken, returned, second, records, remote)}


def main(scenario: str, directory: Path) -> None:
    """
    Run a scenario.
    """
    build()
    with Phones(directory, UNPACED, 1) as phones:
        print(json.dumps(SCENARIOS[scenario](Place(phones))))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
