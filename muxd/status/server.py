# -*- test-case-name: tests.status.test_server -*-
"""
The status socket: where it listens, and what there is.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from muxd.net.listening import ListeningEndpoint
from muxd.net.serverstrings import forOwnerAlone
from muxd.service import MuxService
from muxd.status.actions import Action, ActionResource
from muxd.status.answers import RequestError, StatusResource, answer
from muxd.status.channel import StatusSite
from muxd.status.events import Events, EventsResource
from muxd.status.logtail import LogResource, LogTail
from muxd.status.metrics import MetricsResource
from muxd.status.overview import Overview
from muxd.status.page import addPage
from muxd.status.troubles import Troubles
from muxd.status.visitors import Doorkeeper

SUFFIX = ".status"
"""What the status socket's name has behind that of the socket that clients connect to."""


class StatusServer(Service):
    """
    Answers questions about a service, and does to it what it is told.

    Parts of the daemon add what they have: L{addAction}, L{addResource}.

    @ivar site: All connections.
    @ivar overview: What C{/api/status} tells.
    @ivar isOpen: Whether it listens.
    @ivar logTail: The end of the log.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        service: MuxService,
        place: str,
        now: Callable[[], float] = time.time,
        names: Callable[[], str] = socket.gethostname,
    ) -> None:
        """
        @param place: Where to listen, as a description of a server endpoint.  A UNIX
            socket is its owner's alone unless it has a C{mode}, TCP this machine's
            unless it has an C{interface}.
        @param now: Seconds since 1970.
        @param names: What this machine is called.
        @raise ValueError: The place makes no sense.
        """
        self._reactor = reactor
        self._limits = limits = service.limits
        self._listening = ListeningEndpoint.fromDescription(reactor, forOwnerAlone(place), limits)
        self.overview = Overview(service, reactor, now, self._watched)
        self.logTail = LogTail()
        self.isOpen = False
        self._retry: IDelayedCall | None = None
        self._actions: dict[str, Action] = {}
        self._root = StatusResource()
        self._api = Contents(self._contents)
        self._root.putChild(b"api", self._api)
        self._root.putChild(b"health", Question(lambda: {"status": "ok"}))
        self._api.putChild(b"", Question(self._contents))
        addPage(self._root)
        self._root.putChild(b"ready", ReadyResource(self.overview.troubles, reactor))
        self._root.putChild(b"metrics", MetricsResource(self.overview))
        self.addResource("status", Question(self.overview.values))
        self.addResource("events", EventsResource(Events(self.overview, reactor)))
        self.addResource("log", LogResource(self.logTail, reactor))
        name = names()
        self.site = StatusSite(
            self._root, reactor, limits, Doorkeeper((name, name.partition(".")[0]))
        )

    @property
    def description(self) -> str:
        """
        Where it listens.
        """
        return self._listening.description

    def addAction(self, action: Action) -> None:
        """
        Let operators do something: C{POST /api/NAME}.
        """
        if self._listening.isOpen:
            # Neither password nor certificate guards it.
            action = _refused(action)
        self._actions[action.name] = action
        self.addResource(
            action.name, ActionResource(action, self._reactor, self._limits.actionTimeout)
        )

    def addResource(self, name: str, resource: Resource) -> None:
        """
        Let operators ask something: C{/api/NAME}.
        """
        self._api.putChild(name.encode(), resource)

    def _contents(self) -> Mapping[str, Any]:
        """
        What C{/api} says.
        """
        return {
            "questions": sorted(
                name.decode()
                for name in self._api.children
                if name and name.decode() not in self._actions
            ),
            "actions": {
                action.name: {"summary": action.summary, "takes": action.takes}
                for action in self._actions.values()
            },
        }

    def privilegedStartService(self) -> None:
        """
        Listen, before privileges are given up.

        @raise CannotListen: That is not possible.
        """
        super().privilegedStartService()
        self._listening.takePlace(self.site, self._acceptFailed)
        self.isOpen = True
        if self._listening.isOpen:
            self._log.warn(
                "{place} can be reached from other machines, whose users can see every phone"
                " and which programs use it; without interface= it is this machine alone",
                place=self.description,
            )

    def startService(self) -> None:
        """
        Listen, if this has not been done.

        @raise CannotListen: That is not possible.
        """
        if not self.isOpen:
            self.privilegedStartService()
        super().startService()
        globalLogPublisher.addObserver(self.logTail)
        self.overview.heartbeat.start()

    def stopService(self) -> Deferred[None]:
        """
        Listen no more, and let go of all clients.

        @return: fires when the socket is closed.
        """
        super().stopService()
        self.isOpen = False
        globalLogPublisher.removeObserver(self.logTail)
        self.overview.heartbeat.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        closed = self._listening.close()
        self.site.disconnect()
        return closed

    def _watched(self) -> dict[str, tuple[int, int]]:
        """
        Limits of our own.
        """
        site, limits = self.site, self._limits
        return {
            "connections to the status socket": (site.connections, limits.statusConnections),
            "streams from the status socket": (site.streams, limits.statusStreams),
        }

    def _acceptFailed(self, error: OSError) -> None:
        """
        A client waits for which there is no descriptor; the daemon's other sockets say so.
        """
        self._listening.pause()
        if self._retry is None:
            self._retry = self._reactor.callLater(self._limits.admissionRetry, self._resume)

    def _resume(self) -> None:
        self._retry = None
        self._listening.resume()


class ReadyResource(StatusResource):
    """
    C{/ready}: 200 if the daemon can do its work, and 503 with the reasons if not.
    """

    isLeaf = True

    def __init__(self, troubles: Troubles, clock: IReactorTime) -> None:
        super().__init__()
        self._troubles = troubles
        self._clock = clock

    def render_GET(self, request: Request) -> Any:
        """
        Look, which may take a moment.
        """
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def looked(problems: list[str]) -> None:
            if not gone:
                values = {"status": "not ready" if problems else "ready", "problems": problems}
                request.write(answer(request, values, 503 if problems else 200))
                request.finish()

        self._troubles.whyNotReady(self._clock).addCallback(looked)
        return NOT_DONE_YET


class Contents(StatusResource):
    """
    What is answered by one JSON object, and has more below it.
    """

    def __init__(self, ask: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__()
        self._ask = ask

    def render_GET(self, request: Request) -> bytes:
        """
        Answer.
        """
        return answer(request, self._ask())


class Question(Contents):
    """
    What is answered by one JSON object, with nothing below it.
    """

    isLeaf = True


def beside(path: str) -> str:
    """
    The path of the status socket of a daemon whose clients connect to this path.
    """
    return path + SUFFIX


def _refused(action: Action) -> Action:
    def refuse(values: object) -> dict[str, Any]:
        raise RequestError(
            403,
            f"{action.name} is not done for other machines, as no password guards this address",
            "use a UNIX socket, or TCP on 127.0.0.1, and ssh -L from elsewhere",
        )

    return Action(name=action.name, summary=action.summary, takes=action.takes, perform=refuse)
