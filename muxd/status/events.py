# -*- test-case-name: tests.status.test_events -*-
"""
C{/api/events}: everything once, and then each second what has changed, as server-sent
events.

 - C{state} is everything: what C{/api/status} tells, and the traffic of the last five
   minutes as C{history}.
 - C{phones}, C{problems}, C{sources}, C{listening}, C{limits}, and a hub's C{fleet} and
   C{fleetPhones}, come when they are other than before.
 - C{tick} comes each second: what each phone has carried, and which sessions were opened,
   closed and have moved.

Each is put together and encoded once for all that watch.  Nothing is kept for one that is
behind: it misses events, and gets a C{state} when it has caught up.  While there is none
nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.server import NOT_DONE_YET, Request

from muxd.device.device import MuxedDevice
from muxd.status.answers import StatusResource, encode
from muxd.status.overview import Overview
from muxd.status.sessions import heldBytes
from muxd.status.streaming import AnswerStream

PERIOD = 1.0
"""Seconds between two ticks."""

RARELY = 5
"""Ticks between two looks at what costs more: limits, and how sources are."""


def event(name: str, values: Any) -> bytes:
    """
    One event, as bytes.
    """
    return b"event: %s\ndata: %s\n" % (name.encode(), encode(values))


class Events:
    """
    What all that watch are told.
    """

    def __init__(self, overview: Overview, clock: IReactorTime) -> None:
        self._overview = overview
        self._clock = clock
        self._streams: set[AnswerStream] = set()
        self._behind: set[AnswerStream] = set()
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._ticks = 0
        self._before: dict[str, Any] = {}
        self._moved: dict[str, tuple[int, int, int, int]] = {}

    def add(self, request: Request) -> None:
        """
        One more that watches.

        @raise RequestError: There are too many.
        """

        def ended() -> None:
            self._streams.discard(stream)
            self._behind.discard(stream)
            if not self._streams and self._loop.running:
                self._loop.stop()
                self._overview.sessions.forget()

        def resumed() -> None:
            if stream in self._behind:
                self._behind.discard(stream)
                stream.write(self._state())

        state = self._state()
        stream = AnswerStream(request, b"text/event-stream", ended, resumed)
        if not self._streams:
            self._begin()
        stream.write(state)
        self._streams.add(stream)

    def _begin(self) -> None:
        self._ticks = 0
        self._before = dict(self._changing())
        self._moved = self._movements()
        self._loop.start(PERIOD, now=False)

    def _state(self) -> bytes:
        values = self._overview.values()
        values["history"] = [
            [round(beat.at, 1), beat.toPhones, beat.fromPhones, round(beat.late, 3)]
            for beat in self._overview.heartbeat.beats
        ]
        return event("state", values)

    def _tick(self) -> None:
        """
        Tell what has changed.
        """
        self._ticks += 1
        parts = []
        for name, values in self._changing():
            if self._before.get(name) != values:
                self._before[name] = values
                parts.append(event(name, values))
        parts.append(event("tick", self._changes()))
        data = b"".join(parts)
        for stream in tuple(self._streams):
            if stream.hasRoom and stream not in self._behind:
                stream.write(data)
            else:
                self._behind.add(stream)

    def _changing(self) -> Iterator[tuple[str, Any]]:
        """
        What is told when it changes.
        """
        overview = self._overview
        yield "phones", [_lasting(phone) for phone in overview.phones()]
        yield "problems", overview.troubles.look()
        for name, ask in overview.parts.items():
            yield name, ask()
        if self._ticks % RARELY == 0:
            yield "sources", overview.sources()
            yield "listening", overview.listening()
            yield "limits", overview.limits()

    def _movements(self) -> dict[str, tuple[int, int, int, int]]:
        return {
            view.name: (
                view.session.bytesSent,
                view.session.bytesReceived,
                heldBytes(view.session),
                view.session.stalls,
            )
            for view in self._overview.sessions.look()
        }

    def _changes(self) -> dict[str, Any]:
        """
        What has changed since the last tick.
        """
        overview, before = self._overview, self._moved
        now = self._clock.seconds()
        self._moved = moved = self._movements()
        views = overview.sessions.look()
        phones = {}
        for attached in overview.service.registry.everything():
            if isinstance(attached.device, MuxedDevice):
                counters = attached.device.muxer.counters
                phones[attached.deviceID] = [counters.bytesSent, counters.bytesReceived]
        return {
            "time": round(now, 1),
            "phones": phones,
            "opened": [view.values(now) for view in views if view.name not in before],
            "closed": [name for name in before if name not in moved],
            "moved": {
                name: values
                for name, values in moved.items()
                if name in before and before[name] != values
            },
            "lateness": round(overview.heartbeat.lateness, 3),
        }


def _lasting(phone: dict[str, Any]) -> dict[str, Any]:
    """
    What C{phones} tells of a phone: not what changes with each byte.
    """
    return {key: value for key, value in phone.items() if key not in ("counters", "sessions")}


class EventsResource(StatusResource):
    """
    The door to them.
    """

    isLeaf = True
    isStream = True

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def render_GET(self, request: Request) -> Any:
        """
        Begin to watch.
        """
        self._events.add(request)
        return NOT_DONE_YET
