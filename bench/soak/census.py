# -*- test-case-name: tests.bench.test_soakstalls -*-
"""
What a process has in memory, counted by itself: it takes a tenth of a second, and
is therefore done when nothing else is.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
from collections import Counter
from functools import cache
from typing import Any


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
    How many objects there are of each type, garbage removed.

    Only those that Python's collector knows; L{blocks} has the others, too.
    """
    gc.collect()
    gc.collect()
    counted = Counter(
        f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects()
    )
    return dict(counted)


def blocks() -> int:
    """
    Pieces of memory that Python has allocated and not freed.
    """
    return sys.getallocatedblocks()


def mallocBytes() -> int:
    """
    Bytes in use of what the C library has allocated; 0 if it cannot say.
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
    daemon's settings (L{muxd.allocator}): the size of the process is then that of
    what is in use.
    """
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _function(name: str) -> Any:
    if platform.libc_ver()[0] != "glibc":
        return None
    return getattr(ctypes.CDLL(None), name, None)
