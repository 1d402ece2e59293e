# -*- test-case-name: tests.bench.test_daemons -*-
"""
A place where daemons find the stand-in bus and nothing of the machine's own.

The whole run has a network namespace of its own, in which the simulated phones
play the kernel's part and announce themselves.  Each daemon has private mounts:
its C{/run} (the C daemon cannot be told another socket or lock file), its pair
records, and a C{/sys} that shows the stand-in bus.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

MARK = "MUXD_BENCH_ISOLATED"

_MOUNTS = """\
set -e
mount --bind "$0/run" /run
mount -t tmpfs none /var/lib
mkdir /var/lib/lockdown
mount -t tmpfs none /sys
mkdir -p /sys/bus/usb
ln -s "$0/sys" /sys/bus/usb/devices
exec "$@"
"""


class CannotIsolate(Exception):
    """
    Namespaces cannot be made here; the text says what to do.
    """


def isolate(arguments: Sequence[str], module: str = "bench") -> None:
    """
    Run this program again in a network namespace of its own, unless it is
    there already.  Returns only if it is.

    @param arguments: The command line behind C{python -m} and the module.
    @raise CannotIsolate: C{unshare} is missing.
    """
    if MARK in os.environ:
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        raise CannotIsolate("unshare (util-linux) is needed to give the daemons a bus of their own")
    asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.environ[MARK] = "1"
    command = [unshare, "--net", *asRoot, "--", sys.executable, "-m", module, *arguments]
    sys.stdout.flush()
    os.execv(unshare, command)


def withPrivateMounts(directory: Path, command: Sequence[str]) -> list[str]:
    """
    The command that runs a command with private mounts.

    @param directory: Where C{run} and C{sys} are.
    """
    unshare = ["unshare", "--mount", "--propagation", "private", "--"]
    return [*unshare, "/bin/sh", "-c", _MOUNTS, str(directory), *command]
