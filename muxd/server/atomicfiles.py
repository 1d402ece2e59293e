# -*- test-case-name: tests.server.test_records,tests.server.test_recordtrouble -*-
"""
Files of a directory that are always whole.

Whatever is killed at whatever moment, a file is there with its old content or its new
one, and so it is after a power cut: new content is written to a file of its own,
flushed to the disk, and renamed.

Nothing is opened that could keep a reader waiting, and nothing is read that lies
elsewhere: what is no plain file with this one name, a link, a FIFO or a device, is as
if there was nothing, whichever program has put it there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ELOOP, ENOENT
from uuid import uuid4

from twisted.python.filepath import FilePath


class NotARegularFile(OSError):
    """
    There is something, and it is no plain file.  Its errno is ENOENT: to a caller that
    asked it is as if there was nothing.
    """

    def __init__(self, path: str, what: str) -> None:
        super().__init__(ENOENT, f"not read, as it {what}, remove it", path)


def readRegularFile(path: str, largest: int, names: int = 1) -> bytes:
    """
    The content of a plain file.

    @param largest: Bytes that it may have.
    @param names: How many it may have.
    @raise NotARegularFile: It is none, it can be reached by further names, or it is too
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
_FILE_MODE = 0o600
_TEMPORARY = ".muxd-temporary"
_STALE_AFTER = 60.0
"""Seconds after which a temporary file has no writer any more."""


class AtomicFiles:
    """
    The files.

    @ivar directory: Where they are.
    """

    def __init__(self, directory: FilePath[str], largest: int) -> None:
        """
        @param largest: Bytes of a file that is read.
        """
        self.directory = directory
        self._largest = largest

    def path(self, name: str) -> str:
        """
        Where a file is.
        """
        return self.directory.child(name).path

    def makeDirectory(self) -> None:
        """
        Make the directory if it is not there.  Only its owner may see what is in it.

        @raise OSError: It cannot be made, or something else has its name.
        """
        path = self.directory.path
        if os.path.isdir(path):
            return
        try:
            os.makedirs(path, _DIRECTORY_MODE)
            os.chmod(path, _DIRECTORY_MODE)
        except FileExistsError:
            if not os.path.isdir(path):
                raise

    def read(self, path: str, names: int = 1) -> bytes:
        """
        What is in a file.

        @param names: How many names it may have.
        @raise NotARegularFile: It is something else.
        @raise OSError: It is not there, or cannot be read.
        """
        return readRegularFile(path, self._largest, names)

    def replace(self, path: str, content: bytes) -> None:
        """
        Give a file new content, all or nothing.
        """
        with self.temporary(path, content) as temporary:
            os.replace(temporary, path)
        self.flush()

    @contextmanager
    def temporary(self, path: str, content: bytes) -> Iterator[str]:
        """
        A file beside another, with this content on the disk; it is gone
        afterwards unless it has been renamed.
        """
        name = f".{os.path.basename(path)}.{uuid4().hex}{_TEMPORARY}"
        temporary = self.path(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(temporary, flags, _FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                self._giveToOwner(file.fileno())
                os.fsync(file.fileno())
                now = os.fstat(file.fileno()).st_mtime
            self._sweep(now)
            yield temporary
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)

    def _giveToOwner(self, descriptor: int) -> None:
        """
        Give what root writes to the directory's owner, as that user's daemon has to read it
        when its turn comes.  The owner of a directory can replace its files anyway.
        """
        if getattr(os, "geteuid", lambda: -1)() != 0:
            return
        owner = os.stat(self.directory.path)
        if owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    def _sweep(self, now: float) -> None:
        """
        Remove what writers left behind that were killed.
        """
        with suppress(OSError):
            for name in os.listdir(self.directory.path):
                if name.endswith(_TEMPORARY):
                    path = self.path(name)
                    with suppress(OSError):
                        if now - os.lstat(path).st_mtime > _STALE_AFTER:
                            os.unlink(path)

    def flush(self) -> None:
        """
        Have a rename or removal survive a power cut, where the system can.
        """
        with suppress(OSError):
            descriptor = os.open(self.directory.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
