# -*- test-case-name: tests.phone.services.test_standard -*-
"""
The services that every simulated iPhone has by name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.phone.lockdown.trust import Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.afc import AFC
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.apps import Apps
from muxd.phone.services.backup import MobileBackup
from muxd.phone.services.backupfiles import Places
from muxd.phone.services.diagnostics import DiagnosticsRelay
from muxd.phone.services.heartbeat import Heartbeat
from muxd.phone.services.housearrest import HouseArrest
from muxd.phone.services.images import ImageMounter, Images
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.installation import InstallationProxy
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.misagent import Misagent, Profiles
from muxd.phone.services.notices import NoticeCentre
from muxd.phone.services.notifications import NotificationProxy
from muxd.phone.services.ostrace import OsTraceRelay
from muxd.phone.services.pictures import Screenshotr, plainPNG
from muxd.phone.services.ports import NamedService
from muxd.phone.services.profiles import Configuration, ProfileInstaller
from muxd.phone.services.springboard import HomeScreen, SpringBoardServices
from muxd.phone.services.syslog import SyslogRelay
from muxd.phone.services.trees import removeTree
from muxd.phone.services.trivial import AssertionAgent, CompanionProxy, CrashReportMover
from muxd.phone.services.webinspector import WebInspector
from muxd.phone.services.zipconduit import StreamingZipConduit

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

    def __init__(
        self, path: str | None, isOurs: bool = False, folders: Iterable[str] = FOLDERS
    ) -> None:
        """
        @param path: One that stays; C{None} for a new one, which does not.
        @param isOurs: Whether it is made if it is not there.
        @param folders: What is in one that is made.
        """
        self._folders = tuple(folders)
        self._path = path
        self._isOurs = isOurs
        self._made: str | None = None

    def directory(self) -> FilePath[str]:
        """
        Where it is.
        """
        if self._path is not None:
            if self._isOurs and not FilePath(self._path).exists():
                self._makeFolders(self._path)
            return FilePath(self._path)
        if self._made is None:
            self._made = tempfile.mkdtemp(prefix="iphone-")
            self._makeFolders(self._made)
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

    def _makeFolders(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)
        for name in self._folders:
            FilePath(path).descendant(name.split("/")).makedirs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interior:
    """
    What a phone's services have to do with.

    @ivar storage: Its files.
    @ivar apps: Its apps.
    @ivar crashes: Its crash reports.
    @ivar restart: Restarts it.
    @ivar shutDown: Has it leave its bus until it is plugged in again.
    """

    clock: IReactorTime
    notices: NoticeCentre
    syslog: SyslogBook
    storage: Storage
    apps: Apps
    crashes: Storage
    values: PhoneValues
    trust: Trust
    restart: Callable[[], object]
    shutDown: Callable[[], object]


def standardServices(inside: Interior) -> dict[str, NamedService]:
    """
    By name.
    """
    notices, syslog, values = inside.notices, inside.syslog, inside.values
    apps = inside.apps
    places = Places(inside.storage.directory, apps)
    images, profiles, screen = Images(values, inside.trust), Profiles(), HomeScreen(apps)
    configuration = Configuration()

    def picture() -> bytes:
        screen = values.domain("com.apple.mobile.iTunes", isTrusted=True)
        width, height = screen.get("ScreenWidth"), screen.get("ScreenHeight")
        return plainPNG(
            width if type(width) is int else 1170, height if type(height) is int else 2532
        )

    def installation() -> InstallationProxy:
        files = Files(inside.storage.directory())
        return InstallationProxy(apps, files.placeOf, notices.post)

    def diagnostics() -> DiagnosticsRelay:
        return DiagnosticsRelay(values, inside.restart, inside.shutDown, inside.trust.lock)

    secure: dict[str, Callable[[], Protocol]] = {
        "com.apple.afc": lambda: AFC(
            Files(inside.storage.directory(), model=str(values.get("ProductType")))
        ),
        "com.apple.companion_proxy": CompanionProxy,
        "com.apple.crashreportcopymobile": lambda: AFC(Files(inside.crashes.directory())),
        "com.apple.crashreportmover": CrashReportMover,
        "com.apple.misagent": lambda: Misagent(profiles),
        "com.apple.mobile.MCInstall": lambda: ProfileInstaller(configuration),
        "com.apple.mobile.assertion_agent": AssertionAgent,
        "com.apple.mobile.diagnostics_relay": diagnostics,
        "com.apple.mobile.heartbeat": lambda: Heartbeat(inside.clock),
        "com.apple.mobile.house_arrest": lambda: HouseArrest(apps),
        "com.apple.mobile.installation_proxy": installation,
        "com.apple.mobile.mobile_image_mounter": lambda: ImageMounter(images),
        "com.apple.mobile.notification_proxy": lambda: NotificationProxy(notices),
        "com.apple.mobile.screenshotr": lambda: Screenshotr(picture),
        "com.apple.mobilebackup2": lambda: MobileBackup(places, apps, values, inside.restart),
        "com.apple.os_trace_relay": lambda: OsTraceRelay(syslog),
        "com.apple.springboardservices": lambda: SpringBoardServices(screen, picture),
        "com.apple.streaming_zip_conduit": lambda: StreamingZipConduit(apps, notices.post),
        "com.apple.webinspector": WebInspector,
        "com.apple.syslog_relay": lambda: SyslogRelay(syslog),
    }
    return {
        "com.apple.mobile.insecure_notification_proxy": NamedService(
            ServiceFactory(lambda: NotificationProxy(notices, mayPost=False)), secure=False
        ),
        **{name: NamedService(ServiceFactory(make), ssl=True) for name, make in secure.items()},
    }
