# -*- test-case-name: tests.phone.services.test_apps -*-
"""
The apps of a simulated phone: a directory with an .ipa of each, and beside it the app's container,
a directory of the bundle's name.

An app that a host installs is copied into it, and one that it removes is gone with its files.  A
few apps are the system's.
"""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.phone.services.trees import removeTree

BUNDLE = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]{0,154}")
"""What may be a bundle's name, and the name of a file here."""

LARGEST_LIST = 1 << 20
"""Bytes of an Info.plist."""

MOST_ENTRIES = 100_000
"""Files in an .ipa."""

CONTAINER = ("Documents", "Library/Caches", "Library/Preferences", "tmp")
"""What is in the container of a new app."""

_INFO = re.compile(r"Payload/[^/]+\.app/Info\.plist")

SYSTEM = {
    "com.apple.AppStore": "App Store",
    "com.apple.Preferences": "Settings",
    "com.apple.camera": "Camera",
    "com.apple.mobilesafari": "Safari",
    "com.apple.mobileslideshow": "Photos",
}


class PackageError(Exception):
    """
    Something is no app.

    @ivar name: In a phone's words.
    """

    def __init__(self, name: str, description: str) -> None:
        super().__init__(description)
        self.name = name


@dataclass(frozen=True, slots=True)
class App:
    """
    An app.

    @ivar identifier: Its bundle's name.
    @ivar info: What its Info.plist says.
    @ivar isSystem: Whether it came with the phone.
    @ivar size: Bytes of its package.
    """

    identifier: str
    info: Mapping[str, Any]
    isSystem: bool = False
    size: int = 0

    @property
    def sharesFiles(self) -> bool:
        """
        Whether hosts may see its documents.
        """
        return self.info.get("UIFileSharingEnabled") is True

    def values(self) -> dict[str, Any]:
        """
        What a phone tells of it.
        """
        name = str(self.info.get("CFBundleExecutable", self.info.get("CFBundleName", "App")))
        bundle, data = (
            str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}.{self.identifier}")).upper()
            for kind in ("bundle", "data")
        )
        container = f"/private/var/mobile/Containers/Data/Application/{data}"
        place = f"/private/var/containers/Bundle/Application/{bundle}/{name}.app"
        return {
            "CFBundleDevelopmentRegion": "en",
            "CFBundleDisplayName": name,
            "CFBundleExecutable": name,
            "CFBundleName": name,
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": "1.0",
            "CFBundleSupportedPlatforms": ["iPhoneOS"],
            "CFBundleVersion": "1",
            "MinimumOSVersion": "12.0",
            "UIDeviceFamily": [1, 2],
            **self.info,
            "ApplicationDSID": 0,
            "ApplicationType": "System" if self.isSystem else "User",
            "CFBundleIdentifier": self.identifier,
            "Container": container,
            "DynamicDiskUsage": 0,
            "Entitlements": {"application-identifier": f"SIMULATED0.{self.identifier}"},
            "EnvironmentVariables": {
                "CFFIXED_USER_HOME": container,
                "HOME": container,
                "TMPDIR": f"{container}/tmp",
            },
            "IsAppClip": False,
            "IsUpgradeable": not self.isSystem,
            "Path": f"/Applications/{name}.app" if self.isSystem else place,
            "SignerIdentity": "Apple iPhone OS Application Signing",
            "StaticDiskUsage": self.size,
        }


def readPackage(path: str) -> App:
    """
    The app that is in an .ipa, or in a directory that was one.

    @raise PackageError: There is none.
    """
    try:
        if os.path.isdir(path):
            return _makeApp(_infoOfDirectory(path), 0)
        with zipfile.ZipFile(path) as package:
            entries = package.infolist()
            if len(entries) > MOST_ENTRIES:
                raise PackageError("PackageExtractionFailed", f"more than {MOST_ENTRIES} files")
            for entry in entries:
                if _INFO.fullmatch(entry.filename):
                    with package.open(entry) as file:
                        data = file.read(LARGEST_LIST + 1)
                    return _makeApp(data, os.path.getsize(path))
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise PackageError("PackageExtractionFailed", f"it cannot be read: {error}") from error
    raise PackageError("PackageInspectionFailed", "there is no Payload/*.app/Info.plist in it")


def _infoOfDirectory(path: str) -> bytes:
    """
    The Info.plist of an app in a directory: itself, or one in it or in its C{Payload}.
    """
    places = [path]
    for above in (path, os.path.join(path, "Payload")):
        if os.path.isdir(above):
            places += [os.path.join(above, n) for n in os.listdir(above) if n.endswith(".app")]
    for place in places:
        list_ = os.path.join(place, "Info.plist")
        if os.path.isfile(list_) and not os.path.islink(list_):
            with open(list_, "rb") as file:
                return file.read(LARGEST_LIST + 1)
    raise PackageError("PackageInspectionFailed", "there is no Info.plist in it")


def _makeApp(data: bytes, size: int) -> App:
    if len(data) > LARGEST_LIST:
        raise PackageError(
            "PackageInspectionFailed", f"its Info.plist has over {LARGEST_LIST} bytes"
        )
    try:
        info = plistlib.loads(data)
        identifier = info["CFBundleIdentifier"]
        if not isinstance(identifier, str) or not BUNDLE.fullmatch(identifier):
            raise ValueError(f"CFBundleIdentifier {identifier!r:.80}")
        # What cannot be told again is of no use to a host.
        plistlib.dumps(info)
    except Exception as error:
        raise PackageError("PackageInspectionFailed", f"its Info.plist: {error!r:.200}") from error
    return App(identifier, info, size=size)


class Apps:
    """
    The apps of one phone.
    """

    _log = Logger()

    def __init__(self, directory: Callable[[], FilePath[str]]) -> None:
        """
        @param directory: Tells where they are, and makes that if need be; called when they are
            first asked for.
        """
        self._directory = directory
        self._found: dict[str, App] | None = None

    def __iter__(self) -> Iterator[App]:
        """
        All of them, the system's first.
        """
        for identifier, name in SYSTEM.items():
            yield App(identifier, {"CFBundleName": name, "CFBundleExecutable": name}, True)
        yield from self._installed().values()

    def find(self, identifier: object) -> App | None:
        """
        An app by its bundle's name.
        """
        return next((app for app in self if app.identifier == identifier), None)

    def install(self, path: str) -> App:
        """
        Install what is in an .ipa, or in a directory.

        @raise PackageError: It cannot be.
        """
        app = readPackage(path)
        if app.identifier in SYSTEM:
            raise PackageError("ApplicationVerificationFailed", "it is an app of the system")
        installed = self._installed()
        package = self._place(f"{app.identifier}.ipa")
        try:
            if os.path.isdir(path):
                with zipfile.ZipFile(package, "w") as made:
                    made.writestr("Payload/App.app/Info.plist", plistlib.dumps(dict(app.info)))
            else:
                shutil.copyfile(path, package)
            self.container(app)
        except OSError as error:
            raise PackageError("PackageMoveFailed", str(error)) from error
        installed[app.identifier] = app
        return app

    def remove(self, identifier: str) -> bool:
        """
        Remove an app and its files.

        @return: Whether it was there.
        @raise PackageError: It is the system's, or cannot be removed.
        """
        if identifier in SYSTEM:
            raise PackageError("UninstallProhibited", "it is an app of the system")
        if self._installed().pop(identifier, None) is None:
            return False
        try:
            for name in (f"{identifier}.ipa", identifier):
                place = self._place(name)
                if os.path.isdir(place) and not os.path.islink(place):
                    removeTree(place)
                elif os.path.lexists(place):
                    os.unlink(place)
        except OSError as error:
            raise PackageError("APIInternalError", str(error)) from error
        return True

    def container(self, app: App) -> FilePath[str]:
        """
        The directory with an app's files.
        """
        place: FilePath[str] = FilePath(self._place(app.identifier))
        if not place.exists():
            for name in CONTAINER:
                place.descendant(name.split("/")).makedirs()
        return place

    def _installed(self) -> dict[str, App]:
        if self._found is None:
            self._found = {}
            for file in sorted(self._directory().children()):
                if file.basename().endswith(".ipa"):
                    try:
                        app = readPackage(file.path)
                    except PackageError as error:
                        self._log.warn(
                            "{path} is no app: {error}", path=file.path, error=str(error)
                        )
                        continue
                    self._found[app.identifier] = app
                    wanted = self._place(f"{app.identifier}.ipa")
                    if file.path != wanted and not os.path.exists(wanted):
                        # The file's name is its owner's; when it is removed it must be found.
                        os.link(file.path, wanted)
        return self._found

    def _place(self, name: str) -> str:
        return os.path.join(self._directory().path, name)
