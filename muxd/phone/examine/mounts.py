# -*- test-case-name: tests.bench.test_daemons -*-
"""
Mounts of a daemon's own, so that it finds a stand-in bus and nothing of the machine's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

RECORDS = "private-records"

_OWN = f"""\
mount --bind "$0/run" /run
mount -t tmpfs none /var/lib
mkdir /var/lib/lockdown
[ ! -d "$0/{RECORDS}" ] || mount --bind "$0/{RECORDS}" /var/lib/lockdown
"""

_NO_BUS = """\
mount -t tmpfs none /sys
mkdir -p /sys/bus/usb
[ ! -d "$0/sys" ] || ln -s "$0/sys" /sys/bus/usb/devices
"""

_UDEV = """\
mkdir -p "$0/run/udev"
[ ! -d /run/udev ] || mount --bind /run/udev "$0/run/udev"
"""


def withPrivateMounts(
    directory: Path, command: Sequence[str], *, asRoot: bool = False, withBus: bool = False
) -> list[str]:
    """
    Return the command that runs a command with private mounts: its C{/run}, as the C daemon
    cannot be told another socket or lock file, its pair records, and a C{/sys} that shows the
    stand-in bus, or no bus at all.

    @param directory: Where C{run} and C{sys} are, and C{private-records} if the records are to
        be seen from outside.
    @param asRoot: Whether a user who may not mount has to become root of a namespace first.
    @param withBus: Whether it sees this machine's bus, and udev.
    """
    # What is in a directory that is bound comes along if the mounts below it do.
    mounts = _UDEV + _OWN.replace("--bind", "--rbind") if withBus else _OWN + _NO_BUS
    mapped = ["--map-root-user"] if asRoot else []
    unshare = ["unshare", *mapped, "--mount", "--propagation", "private", "--"]
    return [*unshare, "/bin/sh", "-c", f'set -e\n{mounts}exec "$@"\n', str(directory), *command]
