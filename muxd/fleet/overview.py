# -*- test-case-name: tests.fleet.test_overview -*-
"""
What an operator sees of a fleet: parts of C{/api/status} and of the page.

Ten thousand phones are a megabyte, so these are a part of their own, which is made again when
phones have come or gone, and then not more often than every few seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from muxd.fleet.hub import Hub
from muxd.fleet.values import Waiting

MANY = 500
"""Phones, of which the list is not made for each one that comes or goes."""

PAUSE = 5.0
"""Seconds between two lists of so many."""


class FleetOverview:
    """
    The state of one fleet, as its hub knows it.
    """

    def __init__(self, hub: Hub, now: Callable[[], float] = time.time) -> None:
        """
        @param now: Seconds since 1970.
        """
        self._hub = hub
        self._now = now
        self._waiting: list[dict[str, Any]] = []
        self._asking = False
        self._phones: list[list[Any]] = []
        self._listed: Mapping[str, Any] = {}
        self._listedAt = -PAUSE

    def values(self) -> dict[str, Any]:
        """
        Hosts, reservations and the queue.
        """
        hub = self._hub
        self._ask()
        phones = Counter(phone.host for phone in hub.phones.values())
        held = Counter(one.host for one in hub.holders.values())
        return {
            "fresh": hub.isFresh,
            "phones": len(hub.phones),
            "reserved": len(hub.holders),
            "jobs": len(hub.jobs),
            "hosts": [
                {
                    "name": name,
                    "door": str(door),
                    "phones": phones[name],
                    "reserved": held[name],
                    "draining": name in hub.draining,
                    "here": name in hub.hosts,
                }
                for name, door in sorted(hub.doors.items())
            ],
            "reservations": [
                {
                    "udid": one.udid,
                    "host": one.host,
                    "user": one.user,
                    "reason": one.reason,
                    "term": one.term,
                }
                for one in sorted(hub.holders.values(), key=lambda one: one.token)
            ],
            "waiting": self._waiting,
        }

    def phones(self) -> list[list[Any]]:
        """
        The phones, of each its UDID, host, name, model, version, and what its host calls it.
        """
        hub, now = self._hub, self._hub.clock.seconds()
        isDue = len(hub.phones) < MANY or now >= self._listedAt + PAUSE
        if isDue and self._listed != hub.phones:
            self._listed, self._listedAt = dict(hub.phones), now
            self._phones = [
                [one.udid, one.host, one.name, one.model, one.version, list(one.labels)]
                for one in map(hub.phones.__getitem__, hub.order())
            ]
        return self._phones

    def _ask(self) -> None:
        """
        Ask for the queue, which is shown at the next look if it is not at hand.
        """
        if not self._asking:
            self._asking = True
            asked: Deferred[list[Waiting]] = self._hub.registry.waiting()
            asked.addCallbacks(self._answered, self._failed)

    def _answered(self, waiting: list[Waiting]) -> None:
        self._asking = False
        now = self._now()
        self._waiting = [
            {
                "user": one.user,
                "wants": one.requirement,
                "reason": one.reason,
                "until": round(now + one.left),
            }
            for one in waiting
        ]

    def _failed(self, _: object) -> None:
        # It is not to be had at present, which the hub says.
        self._asking = False
