# -*- test-case-name: tests.phone.services.test_trees -*-
"""
Directories in directories, however deep.

C{os.makedirs} and C{shutil.rmtree} call themselves for each level, which Python 3.11 lets
them do a thousand times, and the latter holds all of them open.  A host can make deeper
ones, and by moving one into another even such as have no path any more.
"""

from __future__ import annotations

import errno
import os
import shutil

# Windows has none of these, and no way to be in a directory either.
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def makeDirectories(path: str) -> None:
    """
    Make a directory, and those above it.  One that is there is no mistake.

    @raise OSError: That is not possible.
    """
    missing: list[str] = []
    present = path
    while not _isPresent(present):
        missing.append(present)
        present = os.path.dirname(present)
    if not missing and not os.path.isdir(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    for each in reversed(missing):
        os.mkdir(each)


def removeTree(path: str) -> None:
    """
    Remove a directory with all that is in it.

    @raise OSError: Something cannot be removed.  What came before it is gone.
    """
    if os.open not in os.supports_dir_fd:
        shutil.rmtree(path)
        return
    parent, top = os.path.split(os.path.abspath(path))
    here = os.open(parent, _DIRECTORY)
    # On each level, the directories to be removed; we are in the last one of each but the
    # lowest.
    levels = [[top]]
    try:
        while levels[0]:
            if levels[-1]:
                here = _move(here, levels[-1][-1])
                levels.append(_removeFiles(here))
            else:
                levels.pop()
                here = _move(here, "..")
                os.rmdir(levels[-1].pop(), dir_fd=here)
    finally:
        os.close(here)


def _isPresent(path: str) -> bool:
    """
    Whether something is there.

    @raise OSError: Nothing can be there.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _move(here: int, name: str) -> int:
    """
    Open another directory and close this one.
    """
    there = os.open(name, _DIRECTORY | _NO_LINK, dir_fd=here)
    os.close(here)
    return there


def _removeFiles(here: int) -> list[str]:
    """
    Remove everything but directories.

    @return: Their names.
    """
    with os.scandir(here) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, isDirectory in entries:
        if not isDirectory:
            os.unlink(name, dir_fd=here)
    return [name for name, isDirectory in entries if isDirectory]
