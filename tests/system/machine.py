# -*- test-case-name: tests.system.test_machine -*-
"""
One virtual machine: boots, runs one command as root, and is gone.

It sees the host's files below a layer that keeps what is written in its own memory.
The one directory that it can write to is F{/vmout}.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from tests.system.initramfs import HOST, JOB, OUT
from tests.system.laboratory import Parts

GUEST_OUT = Path("/vmout")
"""Where the guest sees the directory."""

MEMORY = 1024
"""Megabytes."""

STATUS = "status"

_CHUNK = 65536

# Process 1 must not run a program any more when the machine goes down: its file
# system is gone by then, and a kernel whose process 1 dies panics.
_JOB = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=dumb
cd {directory}
( {command} )
echo $? > {out}/{status}
sync
echo o > /proc/sysrq-trigger
while :; do :; done
"""

_KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=3 panic=-1 oops=panic nokaslr mitigations=off "
    "random.trust_cpu=on usbcore.autosuspend=-1 no_timer_check tsc=reliable clocksource=tsc"
)


class Machine:
    """
    @ivar directory: The host's name for F{/vmout}.
    """

    def __init__(self, parts: Parts, directory: Path) -> None:
        self.directory = directory
        self._parts = parts

    def run(
        self,
        command: Sequence[str],
        workingDirectory: Path,
        patience: float,
        lineReceived: Callable[[str], object],
    ) -> int | None:
        """
        Boot, run a command, and wait for the end of it all.

        @param patience: Seconds of silence after which the machine is switched off.
        @param lineReceived: Told what is written to the console.
        @return: The command's status; C{None} if the machine did not get so far.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        status = self.directory / STATUS
        status.unlink(missing_ok=True)
        job = _JOB.format(
            directory=shlex.quote(str(workingDirectory)),
            command=shlex.join(command),
            out=GUEST_OUT,
            status=STATUS,
        )
        (self.directory / JOB).write_text(job)
        emulator = subprocess.Popen(
            self.commandLine(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert emulator.stdout is not None
        with emulator, emulator.stdout as console:
            try:
                for line in _lines(console, patience):
                    lineReceived(line)
            finally:
                emulator.kill()
        try:
            return int(status.read_text())
        except (OSError, ValueError):
            return None

    def commandLine(self) -> list[str]:
        """
        QEMU's.  Where the host's processors could be lent to it, they are not: what
        is slow and what is fast must not depend on where this runs.
        """
        parts = self._parts
        host = f"local,path=/,mount_tag={HOST},security_model=none,readonly=on,multidevs=remap"
        out = f"local,path={self.directory},mount_tag={OUT},security_model=none"
        return [
            *(str(parts.qemu), "-accel", "tcg,thread=multi,tb-size=256"),
            *("-cpu", "max,la57=off", "-machine", "pc", "-smp", "1", "-m", str(MEMORY)),
            *("-nodefaults", "-no-user-config", "-no-reboot"),
            *("-display", "none", "-serial", "stdio"),
            *("-kernel", str(parts.kernel), "-initrd", str(parts.initrd)),
            *("-append", _KERNEL_ARGUMENTS),
            *("-virtfs", host, "-virtfs", out),
        ]


def _lines(console: IO[bytes], patience: float) -> Iterator[str]:
    """
    What is written, until nothing is for so long, or until its end.
    """
    rest = b""
    while select.select([console], [], [], patience)[0]:
        chunk = os.read(console.fileno(), _CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip()
        if not chunk:
            break
    if rest:
        yield rest.decode("utf-8", "replace").rstrip()
