# -*- test-case-name: tests.tap.test_pidlock -*-
"""
The C daemon's lock, held by us.

The C daemon does not look whether another daemon listens at its path: it removes the
socket's file and binds its own.  What keeps two of them apart is a POSIX lock on its pid
file, C{/var/run/usbmuxd.pid}; the pid in a message about it is the kernel's, of the
process that holds the lock (protocol 6.3).  While we listen at its path we hold that lock,
so that one that is started, by udev or by hand, says that another instance is running, and
ends.

It sends that instance signals as well: SIGUSR1 for C{usbmuxd -x}, which its udev rules run
when the last phone was unplugged, and SIGUSR2 to have it look for phones.  Either would
end a Python program that does not expect it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from twisted.logger import Logger

from muxd.net.socketfile import CannotListen

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

C_SOCKET = "/var/run/usbmuxd"
C_PIDFILE = "/var/run/usbmuxd.pid"

_ATTEMPTS = 10
_MODE = 0o644

Handler = Callable[[int, FrameType | None], object]


class PidLock:
    """
    The lock.  Such a lock is a process's, and goes when that closes any descriptor of the
    file: nothing else in this process may open it meanwhile.

    @ivar path: Of the pid file.
    """

    _log = Logger()

    def __init__(self, path: str = C_PIDFILE) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._isMade = False

    @property
    def isHeld(self) -> bool:
        """
        Whether we have it.
        """
        return self._descriptor is not None

    def take(self) -> None:
        """
        Take it, for as long as this process lives or until L{release}.  Where that cannot
        be done at all, say so and go on: the lock is for the others' good.

        @raise CannotListen: Another process has it.
        """
        if self.isHeld or fcntl is None:
            return
        try:
            for _ in range(_ATTEMPTS):
                if self._attempt():
                    return
        except OSError as error:
            self._log.info(
                "{path}: {error}; a C usbmuxd that is started will take our socket's place",
                path=self.path,
                error=error.strerror,
            )

    def _attempt(self) -> bool:
        """
        @return: Whether the file that is locked is still the one with this name: a C
            daemon that starts puts a new one there.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        # One that is there is the C daemon's, which leaves its own, or twistd's.
        self._isMade = not os.path.lexists(self.path)
        descriptor = os.open(self.path, flags, _MODE)
        isKept = False
        try:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise self._refusal(descriptor) from None
            if not self._isInPlace(descriptor):
                return False
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode("ascii"))
            self._descriptor = descriptor
            isKept = True
            return True
        finally:
            if not isKept:
                os.close(descriptor)

    def _refusal(self, descriptor: int) -> CannotListen:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
        owner = f"process {holder}" if holder.isdigit() else "another process"
        return CannotListen(
            f"{self.path}: {owner} holds the lock of usbmuxd; stop that daemon"
            " (systemctl stop usbmuxd), or choose another place with --listen"
        )

    def _isInPlace(self, descriptor: int) -> bool:
        ours = os.fstat(descriptor)
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def release(self) -> None:
        """
        Give it back.  The file goes too if we made it, and still may remove it.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with suppress(OSError):
            if self._isMade and self._isInPlace(descriptor):
                os.unlink(self.path)
        os.close(descriptor)


def isPlaceOfC(paths: list[str], place: str = C_SOCKET) -> bool:
    """
    Whether one of these sockets is where the C daemon has its own.
    """

    def real(path: str) -> str:
        directory, name = os.path.split(path)
        return os.path.join(os.path.realpath(directory), name)

    return real(place) in map(real, paths)


def withstandSignals(
    install: Callable[[signal.Signals, Handler], object] = signal.signal,
    installed: Callable[[signal.Signals], object] = signal.getsignal,
) -> None:
    """
    Go on when the C daemon takes us for one of its kind.  A signal that is expected
    already, as C{twistd --logfile} expects SIGUSR1 to rotate its log, ends nothing.

    @param install: C{signal.signal}, but in tests.
    @param installed: C{signal.getsignal}, but in tests.
    """
    log = Logger()

    def asked(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            log.info("usbmuxd -x has asked us to end; we go on, as phones may come back")
        else:
            log.debug("another usbmuxd has asked us to look for phones, which we do anyway")

    for name in ("SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name, None)
        if number is not None and installed(number) is signal.SIG_DFL:
            install(number, asked)
