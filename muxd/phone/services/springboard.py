# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.springboardservices}: the home screen, its icons and its wallpaper.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from muxd.lockdown.plists import Message
from muxd.phone.services.apps import App, Apps
from muxd.phone.services.pictures import plainPNG
from muxd.phone.services.requests import RequestService

ICON = 120
"""Pixels of an icon's side."""

PAGE = 24
"""Icons of a page."""

PORTRAIT = 1


class HomeScreen:
    """
    What is where; one for a phone.

    @ivar arranged: The icons as a host has arranged them; C{None} for as they come.
    """

    def __init__(self, apps: Apps) -> None:
        self.apps = apps
        self.arranged: list[Any] | None = None

    def pages(self) -> list[Any]:
        """
        The dock, and the pages.
        """
        if self.arranged is not None:
            return self.arranged
        icons = [_icon(app) for app in self.apps]
        dock, rest = icons[:4], icons[4:]
        return [dock, *(rest[start : start + PAGE] for start in range(0, len(rest), PAGE))]


def _icon(app: App) -> dict[str, Any]:
    name = str(app.values()["CFBundleDisplayName"])
    return {
        "bundleIdentifier": app.identifier,
        "bundleVersion": str(app.values()["CFBundleVersion"]),
        "displayIdentifier": app.identifier,
        "displayName": name,
    }


class SpringBoardServices(RequestService):
    """
    One host.
    """

    keyword = "command"

    def __init__(self, screen: HomeScreen, picture: Callable[[], bytes]) -> None:
        """
        @param picture: Makes one of the wallpaper.
        """
        self._screen = screen
        self._picture = picture

    def ask_getIconState(self, request: Message) -> None:
        """
        Tell where the icons are; this answer is an array.
        """
        self.sendValues(self._screen.pages())

    def ask_setIconState(self, request: Message) -> Message:
        """
        Put the icons elsewhere.
        """
        state = request.get("iconState")
        if isinstance(state, list):
            self._screen.arranged = state
        return {}

    def ask_getIconPNGData(self, request: Message) -> Message:
        """
        An app's icon, in a colour of its own.
        """
        app = self._screen.apps.find(request.get("bundleId"))
        if app is None:
            return {"Error": "unable to get icon"}
        colour = zlib.crc32(app.identifier.encode()).to_bytes(4, "big")[:3]
        return {"pngData": plainPNG(ICON, ICON, colour)}

    def ask_getInterfaceOrientation(self, request: Message) -> Message:
        """
        The phone is upright.
        """
        return {"interfaceOrientation": PORTRAIT}

    def ask_getHomeScreenWallpaperPNGData(self, request: Message) -> Message:
        """
        The wallpaper.
        """
        return {"pngData": self._picture()}

    ask_getWallpaperPreviewImage = ask_getHomeScreenWallpaperPNGData

    def ask_getWallpaperInfo(self, request: Message) -> Message:
        """
        What there is to know of it.
        """
        return {"wallpaperName": str(request.get("wallpaperName", "homescreen"))[:64]}

    def ask_getHomeScreenIconMetrics(self, request: Message) -> Message:
        """
        How large icons are, and how many there are.
        """
        return {
            "homeScreenIconColumns": 4,
            "homeScreenIconDockMaxCount": 4,
            "homeScreenIconHeight": 60.0,
            "homeScreenIconMaxPages": 15,
            "homeScreenIconRows": PAGE // 4,
            "homeScreenIconWidth": 60.0,
        }

    def unknown(self, message: Message) -> Message:
        """
        What is not done here.
        """
        return {"Error": "unknown command"}
