"""
The C daemon on the stand-in bus of F{bench/rig}: run in a network namespace of
its own as C{python -m tests.integration.cdaemon DIRECTORY}, it says C{ready} and the
daemon's number when a phone is attached, and ends with its standard input.

The socket, C{DIRECTORY/run/usbmuxd}, is reachable from outside.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.bus import UNPACED
from bench.daemons import Daemon
from bench.rig import Phones, build
from bench.subjects import named


def main(directory: Path) -> None:
    """
    Run the daemon until our standard input has ended.
    """
    build()
    with Phones(directory, UNPACED, 1) as phones:
        daemon = Daemon(named("c"), phones)
        try:
            print("ready", daemon.pid, flush=True)
            sys.stdin.read()
        finally:
            daemon.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
