# -*- test-case-name: tests.test_regularfile,tests.server.test_records -*-
"""
Files of a directory that are always whole.

Whatever is killed at whatever moment, a file is there with its old content or its new
one, and so it is after a power cut: new content is written to a file of its own,
flushed to the disk, and renamed.

The directory is opened for each operation, whose steps are relative to it: they are all in the
one that was there when it began, whatever takes its name meanwhile.

Nothing is opened that could keep a reader waiting, and nothing is read that lies
elsewhere: what is no plain file with this one name, a link, a FIFO or a device, is as
if there was nothing, whichever program has put it there.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EIO, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM
from typing import Any
from uuid import uuid4

from twisted.python.filepath import FilePath


class NotARegularFile(OSError):
    """
    There is something, and it is no plain file.  Its errno is ENOENT: to a caller that
    asked it is as if there was nothing.
    """

    def __init__(self, path: str, what: str) -> None:
        super().__init__(ENOENT, f"not read, as it {what}, remove it", path)


def readRegularFile(path: str, largest: int, names: int = 1, directory: int | None = None) -> bytes:
    """
    The content of a plain file.

    @param largest: Bytes that it may have.
    @param names: How many it may have.
    @param directory: A descriptor of the directory that it is in.
    @raise NotARegularFile: It is none, it can be reached by further names, or it is too
        large.
    @raise OSError: There is none, or it may not be read.
    """
    # Looked at before it is opened, and after, when it cannot change any more.
    name = path if directory is None else os.path.basename(path)
    _check(os.stat(name, dir_fd=directory, follow_symlinks=False), path, names)
    flags = os.O_RDONLY
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno == ELOOP:
            raise NotARegularFile(path, "is a symbolic link") from error
        raise
    try:
        status = os.fstat(descriptor)
        _check(status, path, names)
        if status.st_size > largest:
            raise NotARegularFile(path, f"has {status.st_size} bytes")
        return os.read(descriptor, largest)
    finally:
        os.close(descriptor)


def _check(status: os.stat_result, path: str, names: int) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise NotARegularFile(path, "is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise NotARegularFile(path, "is no file")
    if status.st_nlink > names:
        raise NotARegularFile(path, f"has {status.st_nlink - 1} more names elsewhere")


_DIRECTORY_MODE = 0o700
_PARENT_MODE = 0o755
FILE_MODE = 0o600
"""Its owner alone may read a file."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_TEMPORARY = ".muxd-temporary"
_STALE_AFTER = 60.0
"""Seconds after which a temporary file has no writer any more."""

SWEPT_EVERY = 3600.0
"""Seconds between two searches for what killed writers have left: a directory may be long."""

PASSING = frozenset({EMFILE, ENFILE, ENOMEM})
"""
Troubles that are over soon: they say nothing of what is in a file, or whether there is
one.
"""

_HAS_DESCRIPTORS = os.stat in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


class AtomicFiles:
    """
    The files, each by its name in the directory.

    @ivar directory: Where they are.
    """

    def __init__(
        self, directory: FilePath[str], largest: int, now: Callable[[], float] = time.time
    ) -> None:
        """
        @param largest: Bytes of a file that is read.
        @param now: The time, in seconds.
        """
        self.directory = directory
        self._largest = largest
        self._now = now
        self._swept: float | None = None

    def path(self, name: str) -> str:
        """
        Where a file is.
        """
        return self.directory.child(name).path

    def makeDirectory(self) -> None:
        """
        Make the directory if it is not there, and what it is in.  Only its owner may see
        what is in it.  A power cut does not take it away again.

        @raise OSError: It cannot be made, or something else has its name.
        """
        missing = []
        path = self.directory.path
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            isLast = path == self.directory.path
            try:
                os.mkdir(path, _DIRECTORY_MODE if isLast else _PARENT_MODE)
            except FileExistsError:
                if not os.path.isdir(path):
                    raise
            if isLast:
                os.chmod(path, _DIRECTORY_MODE)
            # A parent that may not be read keeps its new entry in its own time.
            with suppress(PermissionError), _opened(os.path.dirname(path)) as parent:
                _flush(parent)

    def complaint(self) -> str:
        """
        What is wrong with the directory: which other users could change what is in it.

        @return: Empty if there is nothing.
        @raise OSError: It cannot be looked at.
        """
        path = self.directory.path
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return f"it is a symbolic link to {os.path.realpath(path)}; name that directory instead"
        if not _HAS_DESCRIPTORS:
            return ""
        status = os.stat(path)
        user = os.geteuid()
        if user != 0 and status.st_uid not in (0, user):
            return f"it belongs to another user, uid {status.st_uid}; choose another one"
        if status.st_mode & _OTHERS_WRITE:
            mode = stat.S_IMODE(status.st_mode)
            return f"users other than its owner may write in it (mode {mode:o}); chmod go-w"
        return ""

    def read(self, name: str, names: int = 1) -> bytes:
        """
        What is in a file.

        @param names: How many it may have.
        @raise NotARegularFile: It is something else.
        @raise OSError: It is not there, or cannot be read.
        """
        with self._open() as directory:
            return readRegularFile(self.path(name), self._largest, names, directory)

    def exists(self, name: str) -> bool:
        """
        Whether anything has this name.

        @raise OSError: One of L{PASSING}.
        """
        try:
            self.modified(name)
        except OSError as error:
            if error.errno in PASSING:
                raise
            return False
        return True

    def modified(self, name: str) -> float:
        """
        When it was written, in seconds of the epoch.

        @raise OSError: It is not there.
        """
        return self._status(name).st_mtime

    def size(self, name: str) -> int | None:
        """
        How long it is; None if it is not there.
        """
        try:
            return self._status(name).st_size
        except OSError:
            return None

    def sizes(self) -> list[int]:
        """
        How long everything is that is there; nothing if that cannot be told.
        """
        found = []
        with (
            suppress(OSError),
            self._open() as directory,
            os.scandir(self.directory.path if directory is None else directory) as entries,
        ):
            for entry in entries:
                with suppress(OSError):
                    found.append(entry.stat(follow_symlinks=False).st_size)
        return found

    def names(self) -> list[str]:
        """
        The names of all files that there are.

        @raise OSError: They cannot be listed.
        """
        with self._open() as directory:
            return os.listdir(self.directory.path if directory is None else directory)

    def _status(self, name: str) -> os.stat_result:
        with self._open() as directory:
            return os.stat(self._at(directory, name), dir_fd=directory, follow_symlinks=False)

    def replace(self, name: str, content: bytes, mode: int = FILE_MODE) -> None:
        """
        Give a file new content, all or nothing.

        @param mode: Of the file.
        @raise OSError: It does not have it, or would not have it after a power cut.
        """
        with (
            self._open() as directory,
            self._temporary(directory, name, content, mode) as temporary,
        ):
            os.replace(
                temporary, self._at(directory, name), src_dir_fd=directory, dst_dir_fd=directory
            )
            _flush(directory)

    def claim(self, name: str, content: bytes) -> None:
        """
        Make a file, whole, if it is not there yet.
        """
        with (
            self._open() as directory,
            self._temporary(directory, name, content) as temporary,
            suppress(FileExistsError),
        ):
            target = self._at(directory, name)
            os.link(temporary, target, src_dir_fd=directory, dst_dir_fd=directory)

    def rename(self, name: str, to: str) -> None:
        """
        Give a file another name, in place of what has it.
        """
        with self._open() as directory:
            os.replace(
                self._at(directory, name),
                self._at(directory, to),
                src_dir_fd=directory,
                dst_dir_fd=directory,
            )

    def remove(self, name: str) -> None:
        """
        Remove a file.

        @raise OSError: It is not there, cannot be removed, or would be back after a power cut.
        """
        with self._open() as directory:
            os.unlink(self._at(directory, name), dir_fd=directory)
            _flush(directory)

    def tryToWrite(self) -> None:
        """
        Write a file, and remove it.

        @raise OSError: That is not possible.
        """
        with self._open() as directory, self._temporary(directory, "check", b""):
            pass

    def _open(self) -> Any:
        return _opened(self.directory.path)

    def _at(self, directory: int | None, name: str) -> str:
        return self.path(name) if directory is None else name

    @contextmanager
    def _temporary(
        self, directory: int | None, name: str, content: bytes, mode: int = FILE_MODE
    ) -> Iterator[str]:
        """
        A file beside another, with this content on the disk; it is gone
        afterwards unless it has been renamed.
        """
        temporary = self._at(directory, f".{name}.{uuid4().hex}{_TEMPORARY}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(temporary, flags, mode, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                self._giveToOwner(file.fileno(), directory)
                os.fsync(file.fileno())
                written = os.fstat(file.fileno()).st_mtime
            self._sweep(directory, written)
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=directory)

    def _giveToOwner(self, descriptor: int, directory: int | None) -> None:
        """
        What root writes belongs to the owner of the directory, as that user's daemon has to
        read it when its turn comes.  The owner of a directory can do with its files what
        they like anyway.
        """
        if directory is None or os.geteuid() != 0:
            return
        owner = os.fstat(directory)
        if owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def _sweep(self, directory: int | None, written: float) -> None:
        """
        Remove what writers left behind that were killed, now and then.

        @param written: The time by the clock of this disk.
        """
        now = self._now()
        if self._swept is not None and 0 <= now - self._swept < SWEPT_EVERY:
            return
        self._swept = now
        with suppress(OSError):
            for name in os.listdir(self.directory.path if directory is None else directory):
                if name.endswith(_TEMPORARY):
                    left = self._at(directory, name)
                    with suppress(OSError):
                        status = os.stat(left, dir_fd=directory, follow_symlinks=False)
                        if written - status.st_mtime > _STALE_AFTER:
                            os.unlink(left, dir_fd=directory)


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """
    A directory's descriptor; none where systems have no such thing.
    """
    if not _HAS_DESCRIPTORS:
        yield None
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _flush(directory: int | None) -> None:
    """
    Have a rename or removal survive a power cut, where the system can.

    @raise OSError: EIO: the disk has lost it.
    """
    if directory is None:
        return
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno == EIO:
            raise
