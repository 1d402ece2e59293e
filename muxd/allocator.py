# -*- test-case-name: tests.test_allocator -*-
"""
What the C library does with memory that was freed.

Payloads of 16 to 64 KiB are allocated and freed at the top of the heap all the
time.  glibc gives such pages back to the kernel at once, and then faults them in
again, one by one: the largest single cost of a download (docs/performance.md).
Keeping them makes a process no larger than it has been already.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable

M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3

SETTINGS = (
    (M_TRIM_THRESHOLD, 256 << 20),
    (M_MMAP_THRESHOLD, 32 << 20),
    (M_TOP_PAD, 16 << 20),
)


def keepFreedMemory(
    libc: Callable[[], tuple[str, str]] = platform.libc_ver,
    load: Callable[[None], ctypes.CDLL] = ctypes.CDLL,
) -> bool:
    """
    Tell glibc to keep what is freed, for the whole process: for a daemon, which
    is alone in its process, and not for a library to decide.

    @return: Whether this C library has such settings, and has taken them.
    """
    if libc()[0] != "glibc":
        return False
    mallopt = load(None).mallopt
    taken = [mallopt(name, value) == 1 for name, value in SETTINGS]
    return all(taken)
