# -*- test-case-name: tests.bench.test_daemons -*-
"""
A place where daemons find the stand-in bus and nothing of the machine's own.

The whole run has a network namespace of its own, in which the simulated phones
play the kernel's part and announce themselves.  Each daemon has private mounts besides
(L{muxd.phone.examine.mounts}).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import sys
from collections.abc import Sequence

MARK = "MUXD_BENCH_ISOLATED"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class CannotIsolate(Exception):
    """
    Namespaces cannot be made here; the text says what to do.
    """


def isolate(arguments: Sequence[str], module: str = "bench") -> None:
    """
    Run this program again in a network namespace of its own, unless it is
    there already.  Returns only if it is, with a loopback interface.

    @param arguments: The command line behind C{python -m} and the module.
    @raise CannotIsolate: C{unshare} is missing.
    """
    if MARK in os.environ:
        _raiseLoopback()
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        raise CannotIsolate("unshare (util-linux) is needed to give the daemons a bus of their own")
    asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.environ[MARK] = "1"
    command = [unshare, "--net", *asRoot, "--", sys.executable, "-m", module, *arguments]
    sys.stdout.flush()
    os.execv(unshare, command)


def _raiseLoopback() -> None:
    """
    Bring up the interface C{lo}, which is down in a new namespace.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        name = b"lo"
        request = fcntl.ioctl(one, _SIOCGIFFLAGS, struct.pack("16sH14x", name, 0))
        flags = struct.unpack("16sH14x", request)[1]
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | _IFF_UP))
