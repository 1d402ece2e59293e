# -*- test-case-name: tests.phone.services.test_installation -*-
"""
C{com.apple.mobile.installation_proxy}: the apps, which a host lists, installs and removes.

What takes a phone seconds is done at once here; its stages are told all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.services.afcpackets import AFCError
from muxd.phone.services.apps import App, Apps, PackageError
from muxd.phone.services.requests import RequestService

CHUNK = 20
"""Apps that are told in one message."""

BEFORE = (
    ("CreatingStagingDirectory", 5),
    ("ExtractingPackage", 15),
    ("InspectingPackage", 20),
    ("PreflightingApplication", 30),
    ("VerifyingApplication", 40),
)
AFTER = (
    ("CreatingContainer", 50),
    ("InstallingApplication", 60),
    ("PostflightingApplication", 70),
    ("SandboxingApplication", 80),
    ("GeneratingApplicationMap", 90),
)
"""Stages of an installation, and how far it has come: what can fail does so in between."""

REMOVAL = (("TakingInstallLock", 10), ("RemovingApplication", 30), ("GeneratingApplicationMap", 90))


class InstallationProxy(RequestService):
    """
    One host.
    """

    keyword = "Command"

    def __init__(
        self, apps: Apps, place: Callable[[str], str], posted: Callable[[str], object]
    ) -> None:
        """
        @param place: Where a path of AFC is on this machine; it raises an L{AFCError}.
        @param posted: Called with the name of a notification.
        """
        self._apps = apps
        self._place = place
        self._posted = posted

    def ask_Browse(self, request: Message) -> Message:
        """
        Tell all apps, some at a time.
        """
        found = self._chosen(request)
        for index in range(0, len(found), CHUNK):
            chunk = found[index : index + CHUNK]
            self.sendValues(
                {
                    "Status": "BrowsingApplications",
                    "CurrentIndex": index,
                    "CurrentAmount": len(chunk),
                    "Total": len(found),
                    "CurrentList": chunk,
                }
            )
        return {"Status": "Complete"}

    def ask_Lookup(self, request: Message) -> Message:
        """
        Tell apps by their names.
        """
        found = {app.identifier: self._told(app, request) for app in self._apps}
        wanted = {values["CFBundleIdentifier"] for values in self._chosen(request, everything=True)}
        result = {name: values for name, values in found.items() if name in wanted}
        return {"Status": "Complete", "LookupResult": result}

    def ask_Install(self, request: Message) -> Message:
        """
        Install what the host has put among the files.
        """
        path = request.get("PackagePath")
        self._tell(BEFORE)
        try:
            if not isinstance(path, str):
                raise PackageError("MissingPackagePath", "expected PackagePath")
            self._apps.install(self._place(path))
        except AFCError as error:
            return _refusal("PackageExtractionFailed", f"{path}: {error}")
        except PackageError as error:
            return _refusal(error.name, f"{path}: {error}")
        self._tell(AFTER)
        self._posted("com.apple.mobile.application_installed")
        return {"Status": "Complete"}

    ask_Upgrade = ask_Install

    def ask_Uninstall(self, request: Message) -> Message:
        """
        Remove an app.
        """
        name = request.get("ApplicationIdentifier")
        if not isinstance(name, str):
            return _refusal("MissingBundleIdentifier", "expected ApplicationIdentifier")
        try:
            wasThere = self._apps.remove(name)
        except PackageError as error:
            return _refusal(error.name, f"{name}: {error}")
        if not wasThere:
            return _refusal("APIInternalError", f"{name} is not installed")
        self._tell(REMOVAL)
        self._posted("com.apple.mobile.application_uninstalled")
        return {"Status": "Complete"}

    def ask_LookupArchives(self, request: Message) -> Message:
        """
        There are no archives.
        """
        return {"Status": "Complete", "LookupResult": {}}

    def ask_CheckCapabilitiesMatch(self, request: Message) -> Message:
        """
        The phone is capable of everything.
        """
        return {"Status": "Complete", "LookupResult": {"CapabilitiesMatch": True}}

    def unknown(self, message: Message) -> Message:
        """
        What is not done here.
        """
        return _refusal("UnknownCommand", f"{message.get('Command')!r:.80}")

    def _chosen(self, request: Message, everything: bool = False) -> list[dict[str, Any]]:
        """
        What a host wants to know, of the apps that it wants to know of.

        @param everything: Keep to no list of attributes.
        """
        options = _options(request)
        kind, names = options.get("ApplicationType", "Any"), options.get("BundleIDs")
        found: list[dict[str, Any]] = []
        for app in self._apps:
            isWanted = kind == "Any" or kind == ("System" if app.isSystem else "User")
            if isWanted and (not isinstance(names, list) or app.identifier in names):
                found.append(app.values() if everything else self._told(app, request))
        return found

    def _told(self, app: App, request: Message) -> dict[str, Any]:
        wanted = _options(request).get("ReturnAttributes")
        values = app.values()
        if not isinstance(wanted, list):
            return values
        return {key: value for key, value in values.items() if key in wanted}

    def _tell(self, stages: tuple[tuple[str, int], ...]) -> None:
        for status, percent in stages:
            self.sendValues({"Status": status, "PercentComplete": percent})


def _options(request: Message) -> dict[str, Any]:
    options = request.get("ClientOptions")
    return options if isinstance(options, dict) else {}


def _refusal(name: str, description: str) -> Message:
    return {"Error": name, "ErrorDescription": description}
