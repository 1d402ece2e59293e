# -*- test-case-name: tests.test_plainfile -*-
"""
Files that somebody else may have put there.

To open a FIFO waits for its other end, to open a device does something, and a link
leads to whatever its maker wanted to be read.  Somebody who can write into a
directory of ours is not to gain by that what only we may read, nor to stop us.
"""

from __future__ import annotations

import os
import stat
from errno import ELOOP, ENOENT


class NoPlainFile(OSError):
    """
    There is something, and it is no plain file.  Its errno is ENOENT: to whoever
    asked it is as if there was nothing.
    """

    def __init__(self, path: str, what: str) -> None:
        super().__init__(ENOENT, f"not read, as it {what}, remove it", path)


def readPlainFile(path: str, largest: int, names: int = 1) -> bytes:
    """
    The content of a plain file.

    @param largest: Bytes that it may have.
    @param names: How many it may have.
    @raise NoPlainFile: It is none, it can be reached by further names, or it is too
        large.
    @raise OSError: There is none, or it may not be read.
    """
    # Looked at before it is opened, and after, when it cannot change any more.
    _check(os.lstat(path), path, names)
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == ELOOP:
            raise NoPlainFile(path, "is a symbolic link") from error
        raise
    try:
        status = os.fstat(descriptor)
        _check(status, path, names)
        if status.st_size > largest:
            raise NoPlainFile(path, f"has {status.st_size} bytes")
        return os.read(descriptor, largest)
    finally:
        os.close(descriptor)


def _check(status: os.stat_result, path: str, names: int) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise NoPlainFile(path, "is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise NoPlainFile(path, "is no file")
    if status.st_nlink > names:
        raise NoPlainFile(path, f"has {status.st_nlink - 1} more names elsewhere")
