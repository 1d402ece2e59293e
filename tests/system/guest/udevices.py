"""
Those who tell libusb of devices.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.guest.processes import Command, Executed, end
from tests.system.guest.waiting import waitFor
from tests.system.laboratory import UDEVADM
from tests.system.scenario import Udev

REPEATER = Path(__file__).parent.parent / "vm/miniudevd.py"
UDEVD = Path("/run/systemd-udevd")
"""A link, as it goes by its name what udevadm is."""

CONTROL = Path("/run/udev/control")
RULES = Path("/run/udev/rules.d")
"""Rules of this run; one here hides one of the same name of the system."""


@contextmanager
def running(udev: Udev, tree: Path, log: Path) -> Iterator[None]:
    """
    The program that is to run, while it is needed.

    @param tree: Where udevd was unpacked.
    """
    if udev is Udev.NOBODY:
        yield
        return
    environment = {}
    if udev is Udev.REPEATER:
        words = [os.path.realpath(sys.executable), "-S", str(REPEATER)]
        ready = lambda: log.exists() and "ready" in log.read_text()  # noqa: E731
    else:
        UDEVD.unlink(missing_ok=True)
        UDEVD.symlink_to(tree / UDEVADM)
        words = [str(UDEVD)]
        libraries = [
            str(tree / each) for each in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
        ]
        environment = {"LD_LIBRARY_PATH": ":".join(libraries)} if tree != Path("/") else {}
        ready = CONTROL.exists
    process = Executed(
        Command(words=words, log=log, directory=Path("/run"), environment=environment)
    )
    try:
        waitFor(f"{udev.value} to run", ready)
        yield
    finally:
        end(process)
        shutil.rmtree("/run/udev", ignore_errors=True)
