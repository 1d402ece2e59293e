# -*- test-case-name: tests.phone.services.test_installation -*-
"""
C{com.apple.mobile.house_arrest}: AFC for the files of one app.

The host says which app it means, and from the answer on the connection speaks AFC.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import Message
from muxd.phone.services.afc import AFC
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.apps import App, Apps
from muxd.phone.services.requests import RequestService


class HouseArrest(RequestService):
    """
    One host.
    """

    keyword = "Command"

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self._afc: AFC | None = None

    def ask_VendContainer(self, request: Message) -> Message | None:
        """
        Show all files of an app, but for the app itself.
        """
        app = self._app(request)
        if app is None or app.isSystem:
            return {"Error": "ApplicationLookupFailed"}
        self._begin(app)
        return None

    def ask_VendDocuments(self, request: Message) -> Message | None:
        """
        Show the documents of an app that shares them.
        """
        app = self._app(request)
        if app is None or not app.sharesFiles:
            return {"Error": "InstallationLookupFailed" if app else "ApplicationLookupFailed"}
        self._begin(app, "Documents")
        return None

    def dataReceived(self, data: bytes) -> None:
        """
        A request, or AFC.
        """
        if self._afc is not None:
            self._afc.dataReceived(data)
            return
        super().dataReceived(data)
        if self._afc is not None:
            rest, self._unprocessed = self._unprocessed, b""
            if rest:
                self._afc.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone.
        """
        if self._afc is not None:
            self._afc.connectionLost(reason)

    def _app(self, request: Message) -> App | None:
        return self._apps.find(request.get("Identifier"))

    def _begin(self, app: App, only: str | None = None) -> None:
        self.sendValues({"Status": "Complete"})
        self.paused = True
        self.endAnswering()
        transport: Any = self.transport
        self._afc = AFC(Files(self._apps.container(app), only))
        self._afc.makeConnection(transport)
