# -*- test-case-name: tests.phone.services.test_standard -*-
"""
The services that every simulated iPhone has by name.
"""

from __future__ import annotations

import tempfile

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.phone.services.afc import AFC
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.heartbeat import Heartbeat
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.notices import NoticeCentre
from muxd.phone.services.notifications import NotificationProxy
from muxd.phone.services.ostrace import OsTraceRelay
from muxd.phone.services.ports import NamedService
from muxd.phone.services.syslog import SyslogRelay
from muxd.phone.services.trees import removeTree

FOLDERS = (
    *("Books", "DCIM/100APPLE", "Downloads", "Photos", "PublicStaging", "Recordings"),
    "iTunes_Control/iTunes",
)
"""What every phone has at the top of its media directory, whatever is in it."""


class Storage:
    """
    The directory with a phone's files; a new one is made when it is first needed.
    """

    _log = Logger()

    def __init__(self, path: str | None, isOurs: bool = False) -> None:
        """
        @param path: One that stays; C{None} for a new one, which does not.
        @param isOurs: Whether it is made, with what every phone has, if it is not there.
        """
        self._path = path
        self._isOurs = isOurs
        self._made: str | None = None

    def directory(self) -> FilePath[str]:
        """
        Where it is.
        """
        if self._path is not None:
            if self._isOurs and not FilePath(self._path).exists():
                _makeFolders(self._path)
            return FilePath(self._path)
        if self._made is None:
            self._made = tempfile.mkdtemp(prefix="iphone-")
            _makeFolders(self._made)
        return FilePath(self._made)

    def remove(self) -> None:
        """
        Remove the files, if they were made here.
        """
        made, self._made = self._made, None
        if made is not None:
            try:
                removeTree(made)
            except OSError as problem:
                self._log.warn(
                    "A simulated phone's files are left in {path}: {problem}",
                    path=made,
                    problem=problem,
                )


def _makeFolders(path: str) -> None:
    for name in FOLDERS:
        FilePath(path).descendant(name.split("/")).makedirs()


def standardServices(
    clock: IReactorTime, notices: NoticeCentre, syslog: SyslogBook, storage: Storage
) -> dict[str, NamedService]:
    """
    By name.
    """
    return {
        "com.apple.afc": NamedService(
            ServiceFactory(lambda: AFC(Files(storage.directory()))), ssl=True
        ),
        "com.apple.mobile.heartbeat": NamedService(
            ServiceFactory(lambda: Heartbeat(clock)), ssl=True
        ),
        "com.apple.mobile.notification_proxy": NamedService(
            ServiceFactory(lambda: NotificationProxy(notices)), ssl=True
        ),
        "com.apple.mobile.insecure_notification_proxy": NamedService(
            ServiceFactory(lambda: NotificationProxy(notices, mayPost=False)), secure=False
        ),
        "com.apple.os_trace_relay": NamedService(
            ServiceFactory(lambda: OsTraceRelay(syslog)), ssl=True
        ),
        "com.apple.syslog_relay": NamedService(
            ServiceFactory(lambda: SyslogRelay(syslog)), ssl=True
        ),
    }
