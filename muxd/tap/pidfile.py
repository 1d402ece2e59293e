# -*- test-case-name: tests.tap.test_pidfile -*-
"""
The pid file of a daemon that was killed.

C{twistd} refuses to start while the process of its pid file is alive.  In a container the
daemon is process 1 each time, so after a C{kill -9} it would refuse for its own sake;
elsewhere another program may have the number by now.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

DEFAULT = "twistd.pid"
"""What C{twistd} calls it, whatever it runs."""

PROGRAMS = frozenset({"twistd", "twist", "usbmuxd", "tcprelay", "iphone"})
"""What a process that writes such a file is called."""

_LARGEST = 64


def removeStalePidFile(path: str, process: int | None = None, processes: str = "/proc") -> bool:
    """
    Remove a pid file that is empty, names this process, or names one that is no daemon.
    Anything else is left to C{twistd}, which says what is wrong.

    @param process: This process.
    @param processes: Where the system shows its processes.
    @return: Whether it was removed.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return False
        with open(path, "rb") as file:
            text = file.read(_LARGEST).strip()
    except OSError:
        return False
    if text and not text.isdigit():
        return False
    if text and int(text) != (process or os.getpid()) and not _isOther(int(text), processes):
        return False
    with suppress(OSError):
        os.unlink(path)
        return True
    return False


def _isOther(process: int, processes: str) -> bool:
    """
    Whether a process that is alive is certainly no daemon of C{twistd}'s.
    """
    try:
        with open(os.path.join(processes, str(process), "cmdline"), "rb") as file:
            words = file.read(4096).split(b"\0")
    except OSError:
        # It has ended, which twistd sees; or it cannot be told.
        return False
    names = {os.path.basename(word).decode(errors="replace") for word in words if word}
    return bool(names) and not names & PROGRAMS and b"twisted" not in b" ".join(words)
