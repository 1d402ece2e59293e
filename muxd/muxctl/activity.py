# -*- test-case-name: tests.muxctl.test_activity -*-
"""
What a daemon is doing from second to second, put together from its events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

_EVENT, _DATA = b"event: ", b"data: "


def eventsOf(lines: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """
    The events that a status socket sends, each with its name.

    @raise ValueError: They make no sense.
    """
    name = ""
    for line in lines:
        if line.startswith(_EVENT):
            name = line[len(_EVENT) :].strip().decode("ascii", "replace")
        elif line.startswith(_DATA):
            yield name, json.loads(line[len(_DATA) :])


@dataclass(slots=True)
class Use:
    """
    A phone or a session, and what it carries.

    @ivar values: What the daemon has told of it.
    @ivar up: Bytes to the phone, per second.
    @ivar down: Bytes from the phone, per second.
    @ivar since: For a session: when it began, by the monotonic clock.
    """

    values: dict[str, Any]
    up: float = 0.0
    down: float = 0.0
    since: float = 0.0

    @property
    def rate(self) -> float:
        """
        Both together.
        """
        return self.up + self.down


@dataclass(slots=True)
class Activity:
    """
    The state of one daemon.

    @ivar daemon: What it has told of itself.
    @ivar phones: By number.
    @ivar sessions: By name.
    """

    daemon: dict[str, Any] = field(default_factory=dict)
    phones: dict[int, Use] = field(default_factory=dict)
    sessions: dict[str, Use] = field(default_factory=dict)
    _carried: dict[int, tuple[int, int]] = field(default_factory=dict)
    _time: float | None = None

    def take(self, name: str, values: Any) -> None:
        """
        Something has happened.

        @raise ValueError: It makes no sense.
        """
        try:
            match name:
                case "state":
                    self._state(values)
                case "tick":
                    self._tick(values)
                case "phones":
                    self._phones(values)
                case _:
                    self.daemon[name] = values
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"the event {name!r} makes no sense: {error!r}") from error

    def sessionsOf(self, phone: int) -> list[Use]:
        """
        A phone's sessions, the busiest first.
        """
        found = [use for use in self.sessions.values() if use.values["phone"] == phone]
        return sorted(found, key=lambda use: (-use.rate, use.since))

    def _state(self, values: dict[str, Any]) -> None:
        self.daemon = {
            key: value for key, value in values.items() if key not in ("phones", "sessions")
        }
        self.sessions.clear()
        self._carried.clear()
        self._time = None
        for phone in values["phones"]:
            counters = phone.get("counters") or {}
            self._carried[phone["id"]] = (
                counters.get("bytesSent", 0),
                counters.get("bytesReceived", 0),
            )
        self._phones(values["phones"])
        self._opened(values["sessions"])

    def _phones(self, phones: list[dict[str, Any]]) -> None:
        before, self.phones = self.phones, {}
        for phone in phones:
            use = before.get(phone["id"]) or Use(phone)
            use.values = phone
            self.phones[phone["id"]] = use

    def _opened(self, sessions: list[dict[str, Any]]) -> None:
        for session in sessions:
            began = monotonic() - session["age"]
            self.sessions[session["name"]] = Use(session, since=began)

    def _tick(self, values: dict[str, Any]) -> None:
        time = float(values["time"])
        passed = 1.0 if self._time is None else max(time - self._time, 0.1)
        self._time = time
        self.daemon["lateness"] = values["lateness"]
        for number, use in self.phones.items():
            carried = values["phones"].get(str(number))
            if carried is None:
                continue
            sent, received = carried
            sentBefore, receivedBefore = self._carried.get(number, (0, 0))
            use.up, use.down = (sent - sentBefore) / passed, (received - receivedBefore) / passed
            self._carried[number] = sent, received
        for name in values["closed"]:
            self.sessions.pop(name, None)
        for use in self.sessions.values():
            use.up = use.down = 0.0
        self._opened(values["opened"])
        for name, (sent, received, held, stalls) in values["moved"].items():
            moved = self.sessions.get(name)
            if moved is None:
                continue
            moved.up = (sent - moved.values["toPhone"]) / passed
            moved.down = (received - moved.values["fromPhone"]) / passed
            moved.values |= {
                "toPhone": sent,
                "fromPhone": received,
                "held": held,
                "stalls": stalls,
            }
