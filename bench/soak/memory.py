# -*- test-case-name: tests.bench.test_soakstalls,tests.bench.test_soakmemory -*-
"""
What a process has in memory, counted by itself.  Counting takes a tenth of a second, and
is therefore done at rest.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from collections import Counter
from functools import cache
from typing import Any

from muxd.net.packetmemory import PacketMemory

_STRINGS = 50_000
"""More than the table has room for when it has doubled the first time."""


class _MallInfo(ctypes.Structure):
    """
    C{struct mallinfo2}.
    """

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def objects() -> dict[str, int]:
    """
    Count the objects of each type, garbage removed.

    Only those that Python's collector knows; L{blocks} has the others, too.  The memory
    of packets is counted by its size.
    """
    gc.collect()
    gc.collect()
    return dict(Counter(map(_kind, gc.get_objects())))


def _kind(one: object) -> str:
    name = f"{type(one).__module__}.{type(one).__qualname__}"
    return f"{name}_{one.size}" if isinstance(one, PacketMemory) else name


def blocks() -> int:
    """
    Count the pieces of memory that Python has allocated and not freed.
    """
    return sys.getallocatedblocks()


def mallocBytes() -> int:
    """
    Sum up the bytes in use of what the C library has allocated; 0 if it cannot say.
    """
    ask = _function("mallinfo2")
    if ask is None:
        return 0
    ask.restype = _MallInfo
    info = ask()
    return int(info.uordblks + info.hblkhd)


def giveBack() -> None:
    """
    Have the C library give back what it keeps of freed memory, which is a lot with the
    daemon's settings (L{muxd.tap.process}): the size of the process is then that of
    what is in use.
    """
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def growInternedStrings() -> None:
    """
    Have Python's table of interned strings grow to its size for good.

    It has room for as many strings again as there are in a daemon, and those that have
    gone count until it is full: some time in the first hours it is made anew, twice
    as large, once, and 0.9 MiB of the C library's memory look like a leak (gdb says
    so: C{p *((PyDictObject*)interned)->ma_keys}).  So it is filled at the start.
    """
    for number in range(_STRINGS):
        sys.intern(f"a string that goes at once: {number}")


@cache
def _function(name: str) -> Any:
    if platform.libc_ver()[0] != "glibc":
        return None
    return getattr(ctypes.CDLL(None), name, None)
