"""
A daemon on the stand-in bus of F{bench/rig}, which a comparison asks: run in a network
namespace of its own as C{python -m tests.differential.host WHICH DIRECTORY}, it says
C{ready} and the daemon's number when its phone is attached, and ends with its standard
input.

The socket is C{DIRECTORY/run/usbmuxd}; records are in C{/var/lib/lockdown} of the
daemon's own view of the file system, whichever daemon it is.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bench.bus import UNPACED
from bench.daemons import Daemon
from bench.rig import Phones, build
from bench.subjects import Command, Subject, named

OURS = "muxd"
THEIRS = "usbmuxd"


def subject(which: str) -> Subject:
    """
    How one of the two is started, with its records where the other has them.

    @raise ValueError: It is neither.
    """
    if which == THEIRS:
        return named("c")
    if which == OURS:
        ours = named("muxd")
        command = ours.daemon.text.replace("{directory}/lockdown", "/var/lib/lockdown")
        return replace(ours, daemon=Command(command))
    raise ValueError(f"expected {OURS} or {THEIRS}, got {which!r}")


def main(which: str, directory: Path) -> None:
    """
    Run it until nothing holds our standard input any more.
    """
    build()
    with Phones(directory, UNPACED, 1) as phones:
        daemon = Daemon(subject(which), phones)
        try:
            print("ready", daemon.pid, flush=True)
            sys.stdin.read()
        finally:
            daemon.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
