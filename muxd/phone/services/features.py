# -*- test-case-name: tests.phone.services.test_features -*-
"""
Features of CoreDevice: what two services in a phone's tunnel do for hosts that ask by RemoteXPC.

A feature has a name and an input, which is a dictionary, and its output is any value, at once or by
a Deferred. What outputs look like is from clients that read them, and from what their authors say
that phones do; names of C{getdeviceinfo} are those of C{devicectl}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred

from muxd.phone.lockdown.trust import Trust
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.apps import App, Apps, PackageError
from muxd.phone.services.diagnostics import DOMAIN
from muxd.phone.services.processes import (
    MOST_SIGNAL,
    NoProcess,
    NotPermitted,
    Process,
    Processes,
    TooManyWatches,
)

FEATURE = "com.apple.coredevice.feature."

ACTION_ERROR = "com.apple.dt.CoreDevice.ActionError"
COREDEVICE_ERROR = "com.apple.dt.CoreDeviceError"
POSIX_ERROR = "NSPOSIXErrorDomain"

NOT_IMPLEMENTED, FAILED, NO_SUCH_PROCESS, NOT_PERMITTED, INVALID = 2, 1, 3, 1, 22

MOST_KEYS = 1000

Feature = Callable[[Mapping[str, Any]], Any]

INFO: Mapping[str, str] = MappingProxyType(
    {
        "deviceType": "DeviceClass",
        "ecid": "UniqueChipID",
        "hardwareModel": "HardwareModel",
        "name": "DeviceName",
        "osBuildUpdate": "BuildVersion",
        "osVersionNumber": "ProductVersion",
        "productType": "ProductType",
        "serialNumber": "SerialNumber",
        "udid": "UniqueDeviceID",
    }
)
"""What is told of the phone, and what lockdownd calls it."""


class FeatureError(Exception):
    """
    A feature cannot be had, or does not succeed.

    @ivar domain: Whose C{code} it is.
    """

    def __init__(self, domain: str, code: int, text: str) -> None:
        super().__init__(text)
        self.domain = domain
        self.code = code


def expected(what: str) -> FeatureError:
    """
    An input is another one than it should be.
    """
    return FeatureError(POSIX_ERROR, INVALID, f"expected {what}")


def within(value: Any, *keys: str) -> Any:
    """
    What is in a dictionary in a dictionary; C{None} if it is not there.
    """
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


class DeviceInfo:
    """
    What the phone is.

    @cvar name: Of the service.
    @ivar features: By their names.
    """

    name = "com.apple.coredevice.deviceinfo"

    def __init__(self, values: PhoneValues, trust: Trust) -> None:
        self._values = values
        self._trust = trust
        self.features: Mapping[str, Feature] = {
            f"{FEATURE}getdeviceinfo": self._info,
            f"{FEATURE}getdisplayinfo": self._displays,
            f"{FEATURE}getlockstate": self._lock,
            f"{FEATURE}querymobilegestalt": self._gestalt,
        }

    def _info(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: self._values.get(key) for name, key in INFO.items()}
        return {name: value for name, value in found.items() if isinstance(value, str | int)}

    def _displays(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        screen = self._values.domain("com.apple.mobile.iTunes", isTrusted=True)
        size = [
            float(value) if isinstance(value := screen.get(key), int | float) else usual
            for key, usual in (("ScreenWidth", 1170.0), ("ScreenHeight", 2532.0))
        ]
        scale = screen.get("ScreenScaleFactor")
        display = {
            "bounds": [[0.0, 0.0], size],
            "currentMode": {"size": size},
            "currentOrientation": "rot0",
            "displayId": 1,
            "name": "LCD",
            "nativeOrientation": "rot0",
            "nativeSize": size,
            "pointScale": int(scale) if isinstance(scale, int | float) else 3,
            "primary": True,
        }
        return {"current": True, "displays": [display]}

    def _lock(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"passcodeRequired": self._trust.isLocked, "unlockedSinceBoot": True}

    def _gestalt(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        keys = asked.get("keys")
        if not isinstance(keys, list) or len(keys) > MOST_KEYS:
            raise expected("a list of keys")
        given = within(self._values.domain(DOMAIN, isTrusted=True), "MobileGestalt")
        found = {
            key: within(given, key) or self._values.get(key) for key in keys if isinstance(key, str)
        }
        return {key: value for key, value in found.items() if value is not None}


class AppService:
    """
    Its apps and processes.

    @cvar name: Of the service.
    @ivar features: By their names.
    """

    name = "com.apple.coredevice.appservice"

    def __init__(self, apps: Apps, processes: Processes, posted: Callable[[str], object]) -> None:
        """
        @param posted: Called with the name of a notification.
        """
        self._apps = apps
        self._processes = processes
        self._posted = posted
        self.features: Mapping[str, Feature] = {
            f"{FEATURE}launchapplication": self._launch,
            f"{FEATURE}listapps": self._list,
            f"{FEATURE}listprocesses": self._listProcesses,
            f"{FEATURE}monitorprocesstermination": self._monitor,
            f"{FEATURE}sendsignaltoprocess": self._signal,
            f"{FEATURE}uninstallapp": self._uninstall,
        }

    def _list(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        wanted = {
            True: asked.get("includeDefaultApps") is not False,
            False: asked.get("includeRemovableApps") is not False,
        }
        return [_told(app) for app in self._apps if wanted[app.isSystem]]

    def _listProcesses(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"processTokens": [_token(process) for process in self._processes]}

    def _launch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        bundle = within(asked, "applicationSpecifier", "bundleIdentifier", "_0")
        app = self._apps.find(bundle)
        if app is None:
            text = f"The application {str(bundle)!r:.80} is not installed."
            raise FeatureError(COREDEVICE_ERROR, FAILED, text)
        isAnew = within(asked, "options", "terminateExisting") is True
        process = self._processes.launch(app.identifier, _program(app), isAnew)
        return {"processToken": _token(process)}

    def _signal(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        number, signal = within(asked, "process", "processIdentifier"), asked.get("signal")
        if not (isinstance(number, int) and isinstance(signal, int)):
            raise expected("a process and a signal")
        if not 0 <= signal <= MOST_SIGNAL:
            raise expected(f"a signal from 0 to {MOST_SIGNAL}")
        try:
            process = self._processes.signal(int(number), int(signal))
        except NoProcess as problem:
            # The domain is a phone's; the code in it is not known.
            raise FeatureError(COREDEVICE_ERROR, NO_SUCH_PROCESS, str(problem)) from problem
        except NotPermitted as problem:
            raise FeatureError(POSIX_ERROR, NOT_PERMITTED, str(problem)) from problem
        return {"process": _token(process), "signal": int(signal)}

    def _monitor(self, asked: Mapping[str, Any]) -> Deferred[dict[str, Any]]:
        number = within(asked, "processToken", "processIdentifier")
        if not isinstance(number, int):
            raise expected("a process")
        try:
            ended = self._processes.whenEnded(int(number))
        except TooManyWatches as problem:
            raise FeatureError(COREDEVICE_ERROR, FAILED, str(problem)) from problem
        return ended.addCallback(_status)

    def _uninstall(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        bundle = asked.get("bundleIdentifier")
        if not isinstance(bundle, str):
            raise expected("bundleIdentifier")
        try:
            wasThere = self._apps.remove(bundle)
        except PackageError as problem:
            raise FeatureError(COREDEVICE_ERROR, FAILED, str(problem)) from problem
        # A phone has no objection to the removal of what it has not got.
        if wasThere:
            self._processes.end(bundle)
            self._posted("com.apple.mobile.application_uninstalled")
        return {}


def _told(app: App) -> dict[str, Any]:
    values = app.values()
    return {
        "bundleIdentifier": app.identifier,
        "bundleVersion": str(values["CFBundleVersion"]),
        "isAppClip": False,
        "isDefaultApp": app.isSystem,
        "isDeveloperApp": not app.isSystem,
        "isFirstParty": app.isSystem,
        "isHidden": False,
        "isInternal": False,
        "isRemovable": not app.isSystem,
        "name": str(values["CFBundleDisplayName"]),
        "path": values["Path"],
        "version": str(values["CFBundleShortVersionString"]),
    }


def _program(app: App) -> str:
    values = app.values()
    return f"{values['Path']}/{values['CFBundleExecutable']}"


def _status(signal: int) -> dict[str, Any]:
    return {"status": {"exitCode": signal, "wasCoreDumpCreated": False}}


def _token(process: Process) -> dict[str, Any]:
    return {
        "executableURL": {"relative": f"file://{quote(process.path)}"},
        "processIdentifier": process.number,
    }
