"""
What the tests of pair records have in common: a store in a real, temporary directory,
and a system that fails.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.server.records import PairRecordStore
from tests.server.serving import observeLog

UDID = "00008030-001A35D22E38802E"
RECORD = {"HostID": "A", "HostCertificate": b"-----BEGIN", "SystemBUID": "B"}
BUID = "30142955-4440-4379-AB8E-0DD0D7E6C3A9"


class Killed(BaseException):
    """
    The process was killed here.
    """


class RecordTestCase(SynchronousTestCase):
    """
    A store in a directory of its own.
    """

    def setUp(self) -> None:
        """
        Make the store; its directory is not there yet.
        """
        self.directory: FilePath[str] = self.temporary().child("lockdown")
        self.store = self.another(BUID)
        self.logged = observeLog(self)

    def temporary(self) -> FilePath[str]:
        """
        An empty directory that goes away with the test.
        """
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return FilePath(path)

    def another(self, buid: str) -> PairRecordStore:
        """
        Another process's store in the same directory.
        """
        return PairRecordStore(self.directory, lambda: UUID(buid))

    def assertErrno(self, number: int, call: Callable[..., object], *args: object) -> None:
        """
        Fail unless a call raises an C{OSError} with this number.
        """
        error = self.assertRaises(OSError, call, *args)
        self.assertEqual(error.errno, number, error)

    def names(self) -> list[str]:
        """
        The files that are there.
        """
        return sorted(os.listdir(self.directory.path))

    def mode(self, name: str) -> int:
        """
        The permissions of a file.
        """
        return stat.S_IMODE(os.stat(self.directory.child(name).path).st_mode)

    def errors(self) -> list[Any]:
        """
        What was logged as an error.
        """
        return [event for event in self.logged if event["log_level"].name == "error"]


def failing(number: int) -> Callable[..., NoReturn]:
    """
    A system call that fails.
    """

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def killing(*args: object, **kwargs: object) -> NoReturn:
    """
    A system call in which the process is killed.
    """
    raise Killed
