# -*- test-case-name: tests.net.test_socketfile -*-
"""
The UNIX socket file that is in the way, or not.

Whether a daemon is behind a socket file only a connection attempt can tell: the
file survives a killed daemon (and every stop of Apple's and of the C daemon),
and the lock that Twisted puts beside it names a process id, which another
process may have by now; in a container it nearly always has.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

from twisted.internet.error import CannotListenError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

START_PATIENCE = 2.0
"""Seconds that a start waits for another daemon's start at the same place."""

_REMEDIES: Mapping[int | None, str] = {
    errno.EADDRINUSE: "; stop what listens there, or choose another port",
    errno.EADDRNOTAVAIL: "; choose an address that this machine has",
}

LONGEST_PATH = 107 if sys.platform.startswith("linux") else 103
"""Bytes of the path of a UNIX socket: C{sun_path} without its end."""

# Whose rights count is not a choice on every system.
_EFFECTIVE = os.access in os.supports_effective_ids


class CannotListen(Exception):
    """
    A listener cannot be opened.  The text is one line: what, why, and what to
    do.
    """


@dataclass(frozen=True, slots=True)
class SocketFile:
    """
    A socket's file, and no other that has its name later.

    @ivar written: When that was, in nanoseconds, if no process has it open: its inode may be
        another file's then.
    """

    path: str
    device: int
    inode: int
    written: int | None = None

    @classmethod
    def at(cls, path: str, isOpen: bool = True) -> Self:
        """
        The one that is there now.

        @param isOpen: Whether it is this process's, and open.
        @raise OSError: There is none.
        """
        found = os.lstat(path)
        return cls(path, found.st_dev, found.st_ino, None if isOpen else found.st_mtime_ns)

    def isThere(self) -> bool:
        """
        Whether its name is still its own.  When that cannot be told, it is.
        """
        try:
            return self._isAt(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def remove(self) -> bool:
        """
        Remove it, and nothing that has its name by now.

        Looking and removing are two steps, and another daemon may bind in between.  So
        its name is taken away first: what has been moved can be looked at in peace, and
        is put back if it is another's.

        @return: Whether it was there.
        @raise OSError: It cannot be removed.
        """
        if not self.isThere():
            return False
        aside = f"{self.path}.{uuid4().hex}"
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return False
        isOurs = self._isAt(aside)
        if not isOurs:
            try:
                os.link(aside, self.path, follow_symlinks=False)
            except FileExistsError:
                pass  # A third one has the place.
            except OSError:
                os.rename(aside, self.path)
                return False
        os.unlink(aside)
        return isOurs

    def _isAt(self, path: str) -> bool:
        found = os.lstat(path)
        isSame = (found.st_dev, found.st_ino) == (self.device, self.inode)
        return isSame and self.written in (None, found.st_mtime_ns)


@contextmanager
def startingAlone(
    path: str, patience: float = START_PATIENCE, attempt: float = 0.02
) -> Iterator[bool]:
    """
    Keep other daemons of our kind from looking for a stale socket, removing it and
    binding, while we do: the second of two would remove the socket of the first.

    The lock is on the directory, so that it leaves no file.  As any user may hold it that
    may read the directory, it is waited for only so long.

    @param patience: Seconds; it blocks.
    @param attempt: Between two attempts.
    @return: yields whether it is locked.
    """
    if fcntl is None:
        yield False
        return
    try:
        descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield False  # What is wrong with it is said when it is bound there.
        return
    try:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= end:
                    yield False
                    return
                time.sleep(attempt)
            else:
                yield True
                return
    finally:
        os.close(descriptor)


def removeStaleSocket(path: str) -> None:
    """
    Make sure that a socket can be bound at C{path}: remove the file of a daemon
    that is no longer alive, and its lock.

    @raise CannotListen: A daemon is alive there, the file is not a socket, the path is too
        long for one, or this process may not write there.
    """
    # Asked first: where it is bound, the lock beside it has been made by then, and stays.
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise CannotListen(
            f"{path}: expected {LONGEST_PATH} bytes at most, as a UNIX socket's path has, got"
            f" {length}; choose a place with a shorter path"
        )
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise CannotListen(
            f"{path}: there is no directory {directory}; make it, or choose another place"
        )
    try:
        if _isSocket(path):
            # Which one it is, before it is asked whether it is alive.
            with suppress(FileNotFoundError):
                file, lock = SocketFile.at(path, isOpen=False), _lockOf(path)
                _refuseIfAlive(path)
                if not file.remove():
                    _refuseIfAlive(path)
                _removeLock(path, lock)
    except OSError as error:
        raise CannotListen(explain(path, error)) from error
    # Asked last, so that a daemon that is alive is named to users, too, that may
    # not replace it.
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        raise CannotListen(explain(path, PermissionError(errno.EACCES, "")))


def explain(path: str, error: BaseException) -> str:
    """
    One line for a failure to listen at C{path}.
    """
    if isinstance(error, CannotListenError):
        if isinstance(error.socketError, OSError):
            error = error.socketError
        else:
            return f"{path}: {error.socketError}; remove {path}.lock if no usbmuxd is running"
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{path}: user {_userID()} may not create a socket there; "
            "start as root, or choose another place"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: {error.strerror}{_REMEDIES.get(number, '')}"
    return f"{path}: {error}"


def _userID() -> str:
    """
    This process's user, on systems that have numbers for that.
    """
    return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "?")


def _isSocket(path: str) -> bool:
    """
    Whether there is a socket at C{path}.

    @raise CannotListen: There is something else.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if os.path.islink(path):
            raise CannotListen(f"{path}: is a symbolic link to nowhere; remove it") from None
        return False
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"{path}: is not a socket; move it away, or choose another place")
    return True


def _refuseIfAlive(path: str) -> None:
    """
    @raise CannotListen: Another daemon listens at C{path}.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A daemon with a full backlog would make a blocking attempt wait.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            pass
    raise CannotListen(
        f"{path}: another daemon is listening there already; stop it (systemctl stop usbmuxd), "
        "or choose another place"
    )


def _lockOf(path: str) -> str | None:
    """
    What is in Twisted's lock beside a socket: it is a symbolic link to a process id.
    """
    try:
        return os.readlink(f"{path}.lock")
    except OSError:
        return None


def _removeLock(path: str, content: str | None) -> None:
    """
    Remove the lock of the daemon whose socket answered nothing, unless it is another's
    by now.  What is no link is not ours to remove.
    """
    if content is not None and _lockOf(path) == content:
        os.unlink(f"{path}.lock")
