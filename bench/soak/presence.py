# -*- test-case-name: tests.bench.test_soakpresence -*-
"""
Presence of phones, as a listener is told of it, and whether that can be true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from bench.soak.connection import Wrong


class Presence:
    """
    Presence adds up the events that one listener has been told.

    @ivar present: Phones by their number: UDIDs.
    @ivar attached: How often each phone has come.
    @ivar detached: How often it has gone.
    @ivar pulled: How often it has been pulled out, counted by the plugger before it
        does so; None: unplugging is not checked.
    """

    def __init__(self, pulled: Counter[str] | None = None) -> None:
        self.present: dict[int, str] = {}
        self.attached: Counter[str] = Counter()
        self.detached: Counter[str] = Counter()
        self.pulled = pulled
        self._gone: set[int] = set()
        self._waiting: dict[int, list[Deferred[bool]]] = {}

    def told(self, event: Mapping[str, Any]) -> None:
        """
        Take the next event.

        @raise Wrong: It cannot follow those before it.
        """
        kind, deviceID = event.get("MessageType"), event.get("DeviceID")
        if not isinstance(deviceID, int):
            raise Wrong(f"an event without a device: {event}")
        if kind == "Attached":
            if deviceID in self.present or deviceID in self._gone:
                raise Wrong(f"device {deviceID} is attached a second time")
            udid = str(event["Properties"]["SerialNumber"])
            if udid in self.present.values():
                raise Wrong(f"{udid} is attached as {deviceID} and is here already")
            self.present[deviceID] = udid
            self.attached[udid] += 1
        elif kind == "Detached":
            left = self.present.pop(deviceID, None)
            if left is None:
                raise Wrong(f"device {deviceID} is detached and was not here")
            self.detached[left] += 1
            self._gone.add(deviceID)
            for waiting in self._waiting.pop(deviceID, ()):
                waiting.callback(True)
            if self.pulled is not None and self.detached[left] > self.pulled[left]:
                raise Wrong(f"{left} is detached and has not been pulled out")
        elif kind != "Paired":
            raise Wrong(f"an event of no known kind: {event}")

    def hasGone(self, deviceID: int, clock: Any, patience: float) -> Deferred[bool]:
        """
        Fire with whether a phone has gone, or goes within C{patience} seconds.
        """
        answer: Deferred[bool] = Deferred()
        if deviceID in self._gone:
            answer.callback(True)
            return answer
        waiting = self._waiting.setdefault(deviceID, [])
        waiting.append(answer)

        def giveUp() -> None:
            waiting.remove(answer)
            answer.callback(False)

        timer = clock.callLater(patience, giveUp)

        def cancel(gone: bool) -> bool:
            if timer.active():
                timer.cancel()
            return gone

        return answer.addCallback(cancel)
