"""
Tests of L{muxd.tap.pidlock}.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import skipIf

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.runtime import platform
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.socketfile import CannotListen
from muxd.tap.pidlock import Handler, PidLock, isPlaceOfC, withstandSignals
from tests.running.processes import startsProcesses

HOLD = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(str(os.getpid()))
file.flush()
print("held", flush=True)
sys.stdin.read()
"""

ASK = """
import fcntl, os, struct, sys
file = os.open(sys.argv[1], os.O_WRONLY)
asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
print(pid if kind == fcntl.F_WRLCK else 0)
"""


@startsProcesses
@skipIf(platform.isWindows(), "Windows has no such locks")
class PidLockTests(SynchronousTestCase):
    """
    L{PidLock} in a directory of its own.
    """

    def setUp(self) -> None:
        """
        Have one.
        """
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = self.directory / "usbmuxd.pid"
        self.lock = PidLock(str(self.path))
        self.addCleanup(self.lock.release)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def holder(self) -> int:
        """
        Which process holds the lock, as the C daemon asks for it.
        """
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(self.path)], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    def test_taken(self) -> None:
        """
        The kernel names us, and so does the file; afterwards both are gone.
        """
        self.lock.take()
        self.assertTrue(self.lock.isHeld)
        self.assertEqual(self.holder(), os.getpid())
        self.assertEqual(self.path.read_text(), str(os.getpid()))
        self.lock.release()
        self.assertFalse(self.lock.isHeld)
        self.assertEqual(list(self.directory.iterdir()), [])
        self.lock.release()

    def test_leftBehind(self) -> None:
        """
        A file that was there, as the C daemon leaves it, is used, and left again.
        """
        self.path.write_text("7777777777")
        self.lock.take()
        self.assertEqual(self.holder(), os.getpid())
        self.lock.release()
        self.assertEqual(self.path.read_text(), str(os.getpid()))

    def test_twice(self) -> None:
        """
        A lock that is held is not taken anew: a second descriptor would lose it.
        """
        self.lock.take()
        self.lock.take()
        self.assertEqual(self.holder(), os.getpid())

    def test_refused(self) -> None:
        """
        One that another process holds is a reason not to start, with that process.
        """
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(other.communicate)
        assert other.stdout is not None
        other.stdout.readline()
        text = str(self.assertRaises(CannotListen, self.lock.take))
        self.assertIn(f"process {other.pid} holds the lock of usbmuxd; stop that daemon", text)
        self.assertNotIn("\n", text)
        self.assertFalse(self.lock.isHeld)
        self.assertEqual(self.path.read_text(), str(other.pid))

    def test_replaced(self) -> None:
        """
        A file that another daemon puts in the place of ours is not removed.
        """
        self.lock.take()
        self.path.unlink()
        self.path.write_text("other")
        self.lock.release()
        self.assertEqual(self.path.read_text(), "other")

    def test_replacedMeanwhile(self) -> None:
        """
        A file that is replaced while it is locked is not the one to lock.
        """
        inPlace = self.lock._isInPlace
        answers = [False, True]

        def once(descriptor: int) -> bool:
            if answers[0]:
                return inPlace(descriptor)
            self.path.unlink()
            answers.pop(0)
            return inPlace(descriptor)

        self.patch(self.lock, "_isInPlace", once)
        self.lock.take()
        self.assertEqual(self.holder(), os.getpid())

    def test_impossible(self) -> None:
        """
        Where there can be no such file the daemon goes on, with a line.
        """
        for path in (self.directory / "missing" / "pid", self.directory):
            lock = PidLock(str(path))
            lock.take()
            self.assertFalse(lock.isHeld)
        self.path.symlink_to(self.directory / "elsewhere")
        self.lock.take()
        self.assertFalse(self.lock.isHeld)
        self.assertFalse((self.directory / "elsewhere").exists())
        self.assertEqual([event["log_level"] for event in self.log], [LogLevel.info] * 3)
        for event in self.log:
            self.assertIn("will take our socket's place", event["log_format"])


class PlaceTests(SynchronousTestCase):
    """
    L{isPlaceOfC}.
    """

    def test_names(self) -> None:
        """
        The directory may have several names, the socket has one.
        """
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        (directory / "run").mkdir()
        (directory / "var").symlink_to("run")
        place = str(directory / "var" / "usbmuxd")
        self.assertTrue(isPlaceOfC([place], place))
        self.assertTrue(isPlaceOfC(["/x", str(directory / "run" / "usbmuxd")], place))
        self.assertFalse(isPlaceOfC([str(directory / "run" / "other")], place))
        self.assertFalse(isPlaceOfC([], place))
        self.assertTrue(isPlaceOfC(["/var/run/usbmuxd"]))


@skipIf(platform.isWindows(), "Windows has no such signals")
class SignalTests(SynchronousTestCase):
    """
    L{withstandSignals}.
    """

    def test_withstood(self) -> None:
        """
        Both signals of the C daemon are taken; the request to end is told.
        """
        log = EventLoggingObserver()
        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        handlers: dict[signal.Signals, Handler] = {}
        withstandSignals(handlers.__setitem__, lambda number: signal.SIG_DFL)
        self.assertEqual(set(handlers), {signal.SIGUSR1, signal.SIGUSR2})
        for number, handler in handlers.items():
            handler(number, None)
        self.assertEqual([event["log_level"] for event in log], [LogLevel.info, LogLevel.debug])

    def test_others(self) -> None:
        """
        A handler that is there already stays: that of C{twistd}, which rotates its log.
        """
        handlers: dict[signal.Signals, Handler] = {}
        rotate = {signal.SIGUSR1: lambda number, frame: None, signal.SIGUSR2: signal.SIG_DFL}
        withstandSignals(handlers.__setitem__, rotate.__getitem__)
        self.assertEqual(set(handlers), {signal.SIGUSR2})
