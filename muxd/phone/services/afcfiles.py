# -*- test-case-name: tests.phone.services.test_afcfiles -*-
"""
A directory as a phone's file system.

Nothing outside of it is ever touched: a path is taken apart, C{..} ends at the top,
and where a link in the directory leads out of it, it leads nowhere.  Files are
changed in one thread and no other, so what has been checked stays true.

A disk is waited for in the reactor's thread, as this is a simulation; what is read
or written at once is for the caller to bound.

What is told of a file is what a phone's own file system tells (APFS, 4 KiB a block): names are the
same in every Unicode normalisation and kept as they were given, and the size of a directory is
that of its entries.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import UnsupportedOperation
from typing import BinaryIO, TypeVar, cast

from twisted.python.filepath import FilePath

from muxd.phone.services.afcpackets import AFCError, Status
from muxd.phone.services.birthtimes import birthTime
from muxd.phone.services.trees import makeDirectories, removeTree

try:
    from fcntl import flock
except ImportError:  # Windows: there is no lock that a host could be told of
    flock = None  # type: ignore[assignment]

Result = TypeVar("Result")

MOST_OPEN = 64
LARGEST_SIZE = 1 << 40

BLOCK = 4096
"""Bytes of the file system's blocks."""

UNIT = 512
"""Bytes that C{st_blocks} counts in."""

ENTRY = 32
"""Bytes that an entry adds to the size of a directory; two are always there."""

LOCKS = (1 | 4, 2 | 4, 8 | 4)
"""Shared, exclusive and none, none of them waited for: the numbers are those of C{flock}."""

MODES = {1: "rb", 2: "r+b", 3: "wb", 4: "w+b", 5: "ab", 6: "a+b"}
"""As C's fopen; 2 makes a file that is not there."""

HARD, SYMBOLIC = 1, 2

_STATUSES = {
    errno.ENOENT: Status.NOT_FOUND,
    errno.ENOTDIR: Status.NOT_FOUND,
    errno.EISDIR: Status.IS_DIRECTORY,
    errno.EACCES: Status.PERMISSION_DENIED,
    errno.EPERM: Status.PERMISSION_DENIED,
    errno.EXDEV: Status.PERMISSION_DENIED,
    errno.EEXIST: Status.EXISTS,
    errno.ENOTEMPTY: Status.NOT_EMPTY,
    errno.ENOSPC: Status.NO_SPACE,
    errno.EDQUOT: Status.NO_SPACE,
    errno.EMFILE: Status.NO_RESOURCES,
    errno.ENFILE: Status.NO_RESOURCES,
    errno.EINVAL: Status.INVALID_ARGUMENT,
    errno.ENAMETOOLONG: Status.INVALID_ARGUMENT,
    errno.ELOOP: Status.NOT_FOUND,
    errno.EAGAIN: Status.WOULD_BLOCK,
}


@contextmanager
def statuses() -> Iterator[None]:
    """
    What the system objects to is an L{AFCError}.
    """
    try:
        yield
    except UnsupportedOperation as error:
        raise AFCError(Status.PERMISSION_DENIED) from error
    except OSError as error:
        raise AFCError(_STATUSES.get(error.errno or 0, Status.IO_ERROR)) from error
    except (ValueError, OverflowError) as error:
        raise AFCError(Status.INVALID_ARGUMENT) from error
    except RecursionError as error:
        # os.path.realpath calls itself for each link of a link, more than the system follows.
        raise AFCError(Status.NOT_FOUND) from error


class Files:
    """
    One host's view of the directory, with the files that it has open.
    """

    def __init__(
        self, root: FilePath[str], only: str | None = None, model: str = "iPhone14,5"
    ) -> None:
        """
        @param model: The phone's product type, which AFC tells.
        @param only: The one directory at the top that may be seen; C{None} for everything.
        """
        self._only = only
        self._model = model
        self._root = os.path.realpath(root.path)
        self._open: dict[int, BinaryIO] = {}
        self._last = 0

    def close(self) -> None:
        """
        Close what is open.
        """
        opened, self._open = self._open, {}
        for file in opened.values():
            try:
                file.close()
            except OSError:  # a full disk: there is no host left to be told
                pass

    # Directories

    def names(self, path: str) -> list[str]:
        """
        What is in a directory.
        """
        with statuses():
            place = self._follow(path)
            try:
                return [".", "..", *sorted(os.listdir(place))]
            except NotADirectoryError:
                if not os.path.exists(place):
                    raise
                raise AFCError(Status.READ_ERROR) from None

    def info(self, path: str) -> dict[str, str]:
        """
        What is known of a file.
        """
        with statuses():
            place = self._place(path)
            found = os.lstat(place)
            size, blocks, links = found.st_size, _blocks(found), found.st_nlink
            if stat.S_ISDIR(found.st_mode):
                links = 2 + len(os.listdir(place))
                size, blocks = ENTRY * links, 0
            values = {
                "st_size": str(size),
                "st_blocks": str(blocks),
                "st_nlink": str(links),
                "st_ifmt": _kind(found.st_mode),
                "st_mtime": str(found.st_mtime_ns),
                "st_birthtime": str(birthTime(place, found)),
            }
            if stat.S_ISLNK(found.st_mode):
                values["LinkTarget"] = os.readlink(place)
            return values

    def deviceInfo(self) -> dict[str, str]:
        """
        How much room there is.
        """
        with statuses():
            usage = shutil.disk_usage(self._root)
            return {
                "Model": self._model,
                "FSTotalBytes": str(usage.total),
                "FSFreeBytes": str(usage.free),
                "FSBlockSize": str(BLOCK),
            }

    def makeDirectory(self, path: str) -> None:
        """
        Make a directory, and those above it.  One that is there is no mistake.
        """
        with statuses():
            try:
                makeDirectories(self._place(path))
            except NotADirectoryError:
                raise AFCError(Status.EXISTS) from None

    def remove(self, path: str) -> None:
        """
        Remove a file, a link, or an empty directory.
        """
        with statuses():
            place = self._removable(path)
            if os.path.isdir(place) and not os.path.islink(place):
                os.rmdir(place)
            else:
                os.unlink(place)

    def removeAll(self, path: str) -> None:
        """
        Remove a file, or a directory with all that is in it.
        """
        with statuses():
            place = self._removable(path)
            if os.path.isdir(place) and not os.path.islink(place):
                removeTree(place)
            else:
                os.unlink(place)

    def rename(self, old: str, new: str) -> None:
        """
        Give a file another name or place.
        """
        with statuses():
            os.rename(self._removable(old), self._removable(new))

    def link(self, kind: int, target: str, path: str) -> None:
        """
        Make a link.

        @param kind: L{HARD} or L{SYMBOLIC}.
        """
        with statuses():
            if kind == HARD:
                os.link(self._follow(target), self._place(path))
            elif kind == SYMBOLIC:
                os.symlink(target, self._place(path))
            else:
                raise AFCError(Status.INVALID_ARGUMENT)

    def setTime(self, path: str, nanoseconds: int) -> None:
        """
        Say when a file was changed.
        """
        with statuses():
            os.utime(self._follow(path), ns=(nanoseconds, nanoseconds))

    def truncate(self, path: str, size: int) -> None:
        """
        Make a file that long.
        """
        with statuses():
            os.truncate(self._follow(path), _bounded(size))

    def placeOf(self, path: str) -> str:
        """
        Where a path leads on this machine.
        """
        with statuses():
            return self._follow(path)

    # Open files

    def open(self, path: str, mode: int) -> int:
        """
        Open a file.

        @return: Its handle.
        """
        if mode not in MODES:
            raise AFCError(Status.INVALID_ARGUMENT)
        if len(self._open) >= MOST_OPEN:
            raise AFCError(Status.NO_RESOURCES)
        with statuses():
            place = self._follow(path)
            if os.path.exists(place) and not (os.path.isfile(place) or os.path.isdir(place)):
                # Opening a FIFO would wait for its other end.
                raise AFCError(Status.PERMISSION_DENIED)
            how = "w+b" if mode == 2 and not os.path.exists(place) else MODES[mode]
            file = open(place, how, buffering=0)  # noqa: SIM115
        self._last += 1
        self._open[self._last] = cast(BinaryIO, file)
        return self._last

    def file(self, handle: int) -> BinaryIO:
        """
        The file with this handle.
        """
        try:
            return self._open[handle]
        except KeyError:
            raise AFCError(Status.INVALID_ARGUMENT) from None

    def left(self, handle: int) -> int:
        """
        How many bytes there are from where reading goes on to the end.
        """
        return self._with(
            handle, lambda file: max(0, os.fstat(file.fileno()).st_size - file.tell())
        )

    def read(self, handle: int, size: int) -> bytes:
        """
        So many bytes, or all that there are.
        """
        size = min(size, self.left(handle))
        return self._with(handle, lambda file: file.read(size) or b"")

    def write(self, handle: int, data: bytes) -> None:
        """
        Write all of it.
        """

        def write(file: BinaryIO) -> None:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

        self._with(handle, write)

    def seek(self, handle: int, offset: int, whence: int) -> None:
        """
        Go on reading and writing elsewhere.
        """
        self._with(handle, lambda file: file.seek(offset, whence))

    def tell(self, handle: int) -> int:
        """
        Where reading and writing goes on.
        """
        return self._with(handle, lambda file: file.tell())

    def setSize(self, handle: int, size: int) -> None:
        """
        Make an open file that long.
        """
        self._with(handle, lambda file: file.truncate(_bounded(size)))

    def lock(self, handle: int, operation: int) -> None:
        """
        Lock an open file, or let go of it, for every host that opens it: a lock that another
        one has is not waited for.

        @param operation: One of L{LOCKS}.
        """
        file = self.file(handle)
        if operation not in LOCKS:
            raise AFCError(Status.INVALID_ARGUMENT)
        with statuses():
            if flock is not None:
                flock(file.fileno(), operation)

    def closeFile(self, handle: int) -> None:
        """
        Close it.
        """
        self._with(handle, lambda file: file.close())
        del self._open[handle]

    def _with(self, handle: int, action: Callable[[BinaryIO], Result]) -> Result:
        file = self.file(handle)
        with statuses():
            return action(file)

    # Places

    def _place(self, path: str) -> str:
        """
        Where a path is, without following a link at its end.

        @raise AFCError: That is outside.
        """
        parts: list[str] = []
        for part in path.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        if self._only is not None and parts[:1] != [self._only]:
            raise AFCError(Status.PERMISSION_DENIED)
        if not parts:
            return self._root
        if not path.isascii():
            parts = self._spelled(parts)
        return os.path.join(self._inside(os.path.join(self._root, *parts[:-1])), parts[-1])

    def _spelled(self, parts: list[str]) -> list[str]:
        """
        The parts of a path as the directories have them, which may be in another normalisation.
        """
        place = self._root
        spelled: list[str] = []
        for part in parts:
            spelled.append(self._spelling(place, part))
            place = os.path.join(place, spelled[-1])
        return spelled

    def _spelling(self, place: str, part: str) -> str:
        if part.isascii() or os.path.lexists(os.path.join(place, part)):
            return part
        folded = unicodedata.normalize("NFD", part)
        present = os.listdir(self._inside(place)) if os.path.isdir(place) else []
        return next((one for one in present if unicodedata.normalize("NFD", one) == folded), part)

    def _follow(self, path: str) -> str:
        """
        Where a path leads.
        """
        return self._inside(self._place(path))

    def _inside(self, place: str) -> str:
        real = os.path.realpath(place)
        if real != self._root and not real.startswith(self._root + os.sep):
            raise AFCError(Status.PERMISSION_DENIED)
        return real

    def _removable(self, path: str) -> str:
        place = self._place(path)
        if place == self._root or (self._only and place == os.path.join(self._root, self._only)):
            raise AFCError(Status.PERMISSION_DENIED)
        return place


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "S_IFDIR",
        stat.S_IFLNK: "S_IFLNK",
        stat.S_IFIFO: "S_IFIFO",
        stat.S_IFSOCK: "S_IFSOCK",
        stat.S_IFCHR: "S_IFCHR",
        stat.S_IFBLK: "S_IFBLK",
    }
    return kinds.get(stat.S_IFMT(mode), "S_IFREG")


def _blocks(found: os.stat_result) -> int:
    """
    How much room a file takes: in whole blocks, and less than its size if it has holes.
    """
    full = -(-found.st_size // BLOCK) * (BLOCK // UNIT)
    # A file that has just been written may have no blocks yet, and a small one never any.
    held = getattr(found, "st_blocks", full) or min(full, BLOCK // UNIT)
    return min(full, -(-held * UNIT // BLOCK) * (BLOCK // UNIT))


def _bounded(size: int) -> int:
    if size > LARGEST_SIZE:
        raise AFCError(Status.NO_SPACE)
    return size
