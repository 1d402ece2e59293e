# -*- test-case-name: tests.status.test_overview -*-
"""
What a daemon is and does, as values for JSON.

Everything is read from plain integers, and from what is there when it is asked for: that
costs nothing while there is no question.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from twisted.internet.interfaces import IReactorTime

from muxd import __version__
from muxd.build import description as buildDescription
from muxd.device.device import MuxedDevice
from muxd.device.muxer import Muxer
from muxd.interfaces import AttachedDevice, IDeviceSource, ISourceHealth, SourceHealth
from muxd.net.acceptthrottle import filesAllowed
from muxd.server.counters import COUNTERS
from muxd.server.viewgrammar import describeView
from muxd.service import MuxService
from muxd.status.heartbeat import Heartbeat
from muxd.status.phonedetails import PhoneDetails
from muxd.status.sessions import SessionViews
from muxd.status.troubles import Troubles

FILES = "/proc/self/fd"
"""Where Linux shows which files a process has open."""


def healthOf(source: IDeviceSource) -> SourceHealth:
    """
    How a source is, as far as it tells.
    """
    found = ISourceHealth(source, None)
    return SourceHealth() if found is None else found.health()


class Overview:
    """
    The state of one service.

    @ivar service: The service.
    @ivar sessions: Its sessions.
    @ivar details: What its phones say.
    @ivar heartbeat: What the last minutes were like.
    @ivar troubles: What is wrong with it.
    @ivar parts: What else there is to be told, by name; it is asked for each second while
        anything watches.
    @ivar showsPhones: Whether its phones are told, which are then asked for their names.
    """

    def __init__(
        self,
        service: MuxService,
        clock: IReactorTime,
        now: Callable[[], float],
        watched: Callable[[], dict[str, tuple[int, int]]],
    ) -> None:
        """
        @param now: Seconds since 1970.
        @param watched: Gives limits of the status socket's own, and how near they are.
        """
        self.service = service
        self.sessions = SessionViews(service.registry)
        self.details = PhoneDetails(clock)
        self.heartbeat = Heartbeat(clock, self.muxers)
        self.troubles = Troubles(service, self.heartbeat)
        self.parts: dict[str, Callable[[], Any]] = {}
        self.showsPhones = True
        self._clock = clock
        self._now = now
        self._watched = watched
        self._started = now()

    def muxers(self) -> list[Muxer]:
        """
        Those of all phones that have one.
        """
        devices = (attached.device for attached in self.service.registry.everything())
        return [device.muxer for device in devices if isinstance(device, MuxedDevice)]

    def values(self) -> dict[str, Any]:
        """
        All of it.
        """
        now = self._clock.seconds()
        views = self.sessions.look()
        return {
            "version": __version__,
            "build": buildDescription(),
            "pid": os.getpid(),
            "time": round(self._now(), 3),
            "uptime": round(self._now() - self._started, 3),
            "problems": self.troubles.look(),
            "sources": self.sources(),
            "phones": self.phones(),
            "sessions": [view.values(now) for view in views],
            "listening": self.listening(),
            "listeners": self._listeners(),
            "counters": self.counters(),
            "limits": self.limits(),
            "lateness": round(self.heartbeat.lateness, 3),
            **{name: ask() for name, ask in self.parts.items()},
        }

    def sources(self) -> list[dict[str, Any]]:
        """
        Where phones come from.
        """
        return [
            {
                "description": source.description,
                "running": bool(source.running),
                **asdict(healthOf(source)),
            }
            for source in self.service.sources
        ]

    def phones(self) -> list[dict[str, Any]]:
        """
        The phones, visible or not.
        """
        if not self.showsPhones:
            return []
        everything = self.service.registry.everything()
        self.details.keepOnly({attached.deviceID for attached in everything})
        return [self._phone(attached) for attached in everything]

    def _phone(self, attached: AttachedDevice) -> dict[str, Any]:
        registry, identity = self.service.registry, attached.device.identity
        values: dict[str, Any] = {
            "id": attached.deviceID,
            "udid": identity.udid,
            "kind": identity.name,
            "product": identity.productID,
            "portPath": identity.portPath,
            "connection": identity.connectionType,
            "speed": identity.speed,
            "simulated": identity.isSimulated,
            "listed": not registry.isHidden(attached.deviceID),
            "doubtful": registry.isDoubtful(attached.deviceID),
            "since": round(registry.since(attached.deviceID), 3),
            "trust": self.service.trustOf(attached.device),
            "labels": [
                name for name, some in self.service.labels.items() if some.hasDevice(identity)
            ],
            "host": identity.host,
            "name": "",
            "model": "",
            "version": "",
            **self.details.of(attached),
        }
        values["asking"] = self.details.isAsking(attached)
        if isinstance(attached.device, MuxedDevice):
            muxer = attached.device.muxer
            values["sessions"] = sum(1 for _ in muxer.sessions)
            values["mux"] = muxer.version
            values["counters"] = muxer.counters.values()
        return values

    def listening(self) -> list[dict[str, Any]]:
        """
        The places where clients connect.
        """
        return [
            {
                "place": place.description,
                "path": place.path,
                "exposed": place.isExposed,
                "view": "" if named is None or named.isOfPlace else named.name,
                "shows": "everything" if named is None else describeView(named.view),
            }
            for place, named in self.service.views
        ]

    def _listeners(self) -> list[dict[str, Any]]:
        return [
            {
                "number": listener.number,
                "program": listener.details.programName,
                "bundle": listener.details.bundleID,
                "library": listener.details.libraryVersion,
            }
            for listener in self.service.server.listeners()
        ]

    def counters(self) -> dict[str, Any]:
        """
        What clients have done, and what has been carried for them.
        """
        server = self.service.server
        counters: dict[str, Any] = {name: getattr(server.counters, name) for name in COUNTERS}
        counters["commands"] = dict(server.counters.commands)
        for view in self.sessions.look():
            if view.isClient:
                counters["bytesToPhones"] += view.session.bytesSent
                counters["bytesFromPhones"] += view.session.bytesReceived
        counters["acceptPauses"] = server.throttle.pauses
        counters["turnWaits"] = server.turns.waits
        return counters

    def limits(self) -> list[dict[str, Any]]:
        """
        What may be exceeded by nothing, and how near it is.
        """
        service, limits = self.service, self.service.limits
        sessions = (sum(1 for _ in muxer.sessions) for muxer in self.muxers())
        near: dict[str, tuple[int, int | None]] = {
            "file descriptors": (openFiles(), filesAllowed()),
            "sessions of one phone": (max(sessions, default=0), limits.sessionsPerPhone),
            "bytes that wait for clients": (service.server.unread.size, limits.unreadBytes),
            **self._quotas(),
            **self._watched(),
        }
        return [{"name": name, "used": used, "most": most} for name, (used, most) in near.items()]

    def _quotas(self) -> dict[str, tuple[int, int | None]]:
        """
        What the user has that has the most of it.
        """
        accounts, limits = self.service.server.accounts, self.service.limits
        connections, streams, listeners = accounts.largest()
        return {
            "connections of one user": (connections, limits.connectionsPerUser),
            "streams of one user": (streams, accounts.mostStreams),
            "listeners of one user": (listeners, accounts.mostListeners),
        }


def openFiles() -> int:
    """
    How many files this process has open; 0 where the system does not tell.
    """
    try:
        return len(os.listdir(FILES)) - 1
    except OSError:
        return 0
