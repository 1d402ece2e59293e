# -*- test-case-name: tests.status.test_troubles -*-
"""
What is wrong with a daemon at present, and what to do about it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from muxd.interfaces import ISourceHealth
from muxd.service import MuxService
from muxd.status.heartbeat import Heartbeat

LATE = 1.0
"""Seconds by which the reactor may be late without anything being wrong."""

DISK = 2.0
"""Seconds that a look at the place of pair records may take."""

_TRUST = {
    "waiting": ("shows a dialog", "unlock it and tap Trust"),
    "locked": ("is locked", "unlock it, and tap Trust when it asks"),
    "denied": ("does not trust this computer", "plug it in again, and tap Trust"),
    "disputed": ("claims a UDID that another device claims, too", "unplug what is not yours"),
    "unproved": (
        "has not proved that it is the phone of its pair record",
        "unplug it if it is not yours; if it is, remove the record with: idevicepair unpair",
    ),
    "unsure": (
        "cannot say whether its pair record is good",
        "if programs cannot use it, remove the record with: idevicepair unpair",
    ),
    "resting": ("does not answer", "if this goes on, unplug it and plug it in again"),
}
"""By the stage of preflight."""


class Troubles:
    """
    Those of one service.
    """

    def __init__(self, service: MuxService, heartbeat: Heartbeat) -> None:
        self._service = service
        self._heartbeat = heartbeat

    def look(self) -> list[dict[str, str]]:
        """
        All that is wrong: each with a C{text}, perhaps a C{remedy}, and C{severity},
        which is C{error} for what keeps the daemon from its work and C{warning} for what
        concerns single phones.
        """
        found = [_problem("error", text) for text in self.obstacles()]
        if self._service.server.throttle.isClosed:
            found.append(
                _problem(
                    "error",
                    "no client is accepted at present, for want of file descriptors or because"
                    " pair records take long",
                    "see which program connects so often; raise the limit of open files",
                )
            )
        for source in self._service.sources:
            health = ISourceHealth(source, None)
            if health is not None:
                found += [_problem("warning", text) for text in health.health().troubles]
        for attached in self._service.registry.everything():
            told = _TRUST.get(self._service.trustOf(attached.device))
            if told is not None:
                text, remedy = told
                found.append(_problem("warning", f"{attached.device.identity.udid} {text}", remedy))
        return found

    def obstacles(self) -> list[str]:
        """
        What keeps the daemon from its work, as far as can be told at once.
        """
        found = []
        for source in self._service.sources:
            if not source.running:
                found.append(f"the source {source.description} did not start: see the log")
                continue
            health = ISourceHealth(source, None)
            if health is not None and (problem := health.health().problem):
                found.append(problem)
        lateness = self._heartbeat.lateness
        if lateness > LATE:
            found.append(
                f"the daemon was {lateness:.1f} s late within the last minute: see what else"
                " this machine is doing, and whether it swaps"
            )
        return found

    def whyNotReady(self, clock: IReactorTime) -> Deferred[list[str]]:
        """
        All that keeps the daemon from its work.

        @return: fires with one line for each; it never fails.
        """
        found = self.obstacles()
        if not self._service.running:
            found.insert(0, "the daemon is starting, or stopping")

        def looked(obstacle: str) -> list[str]:
            return [*found, obstacle] if obstacle else found

        def failed(_: Any) -> list[str]:
            return [*found, "the disk of the pair records does not answer: see whether it is well"]

        looking: Deferred[str] = maybeDeferred(self._service.recordsObstacle)
        return looking.addTimeout(DISK, clock).addCallbacks(looked, failed)


def _problem(severity: str, text: str, remedy: str = "") -> dict[str, str]:
    return {"severity": severity, "text": text, "remedy": remedy}
