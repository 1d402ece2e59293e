# -*- test-case-name: tests.phone.services.test_birthtimes -*-
"""
When files were made: a time that stays, whatever is done to them later.

Python tells it where C{stat} does (macOS, the BSDs).  Linux tells it by C{statx}, which Python
does not have before 3.15.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable

_AT_FDCWD = -100
_NO_FOLLOW = 0x100
_BIRTH = 0x800
_SIZE = 256
_MASK = struct.Struct("=I")
_MOMENT = struct.Struct("=qI")
_BIRTH_OFFSET = 80
"""C{stx_btime} in C{struct statx}, which is the same on every architecture."""


def _findStatx() -> Callable[..., int] | None:
    """
    The C library's function, if it has one.
    """
    try:
        function = ctypes.CDLL(None, use_errno=True).statx
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = (
        *(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint),
        ctypes.c_char_p,
    )
    function.restype = ctypes.c_int
    found: Callable[..., int] = function
    return found


_statx = _findStatx()


def birthTime(path: str, found: os.stat_result) -> int:
    """
    When the file at a path was made; a link there is not followed.

    @param found: What C{os.lstat} says of it.
    @return: Nanoseconds since the epoch.  On a file system that does not keep it: the earliest
        time that is known of the file.
    """
    seconds = getattr(found, "st_birthtime", None)
    if seconds is not None:
        return int(getattr(found, "st_birthtime_ns", seconds * 1_000_000_000))
    if _statx is not None:
        buffer = ctypes.create_string_buffer(_SIZE)
        if not _statx(_AT_FDCWD, os.fsencode(path), _NO_FOLLOW, _BIRTH, buffer):
            (mask,) = _MASK.unpack_from(buffer)
            if mask & _BIRTH:
                whole, nanoseconds = _MOMENT.unpack_from(buffer, _BIRTH_OFFSET)
                return int(whole) * 1_000_000_000 + int(nanoseconds)
    return min(found.st_ctime_ns, found.st_mtime_ns)
