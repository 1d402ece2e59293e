# -*- test-case-name: tests.netns.test_history -*-
"""
What the logs of hosts say must have been true all the time, whatever has failed.

A host writes its log in the order in which things happen there, so no clock is needed: which job
a phone was reserved by at any time, by which token, and whose bytes have reached the phone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Began:
    """
    From now on a phone is a job's.
    """

    udid: str
    job: str
    token: int


@dataclass(frozen=True, slots=True)
class Over:
    """
    It is so no longer.
    """

    udid: str
    job: str
    token: int


@dataclass(frozen=True, slots=True)
class Bytes:
    """
    A job's bytes have reached a phone.
    """

    udid: str
    job: str
    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """
    The host has begun; what it had let in before is gone.
    """


Event = Began | Over | Bytes | Started


def eventsOf(log: str) -> Iterator[Event]:
    """
    The events in a host's log, which is in JSON.
    """
    for line in log.splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            # A line that was cut when the host was killed, or that is of another program.
            continue
        event = _event(said.get("message", ""), said.get("fields", {}))
        if event is not None:
            yield event


def _event(message: str, fields: dict[str, Any]) -> Event | None:
    if "starting up" in message:
        return Started()
    if "number" in fields and "job" in fields:
        return Bytes(fields["udid"], fields["job"], fields["number"])
    if "token" in fields and "udid" in fields and "user" in fields:
        kind = Over if "count" in fields else Began
        return kind(fields["udid"], fields["user"], fields["token"])
    return None


@dataclass(slots=True)
class _Phone:
    """
    What has become of one phone so far.

    @ivar holder: The job that has it.
    @ivar before: The job that had it last: what it had sent may be on its way to the phone,
        until another job's bytes are there.
    @ivar highest: The highest token that there has been.
    @ivar isNew: Whether its host has just begun, and may hear of a token again.
    @ivar count: How many lines of each job have come.
    """

    holder: Began | None = None
    before: str = ""
    highest: int = 0
    isNew: bool = True
    count: dict[str, int] = field(default_factory=dict)


class History:
    """
    What has happened at one host.

    @ivar problems: What should not have been.
    @ivar tokens: By UDID, all tokens in their order.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.problems: list[str] = []
        self.tokens: dict[str, list[int]] = {}
        self._phones: dict[str, _Phone] = {}
        for event in events:
            self._add(event)

    def bytesOf(self, job: str) -> int:
        """
        How many lines of a job's have reached phones.
        """
        return sum(phone.count.get(job, 0) for phone in self._phones.values())

    def _add(self, event: Event) -> None:
        match event:
            case Started():
                for phone in self._phones.values():
                    phone.holder, phone.before, phone.isNew = None, "", True
            case Began(udid, job, token):
                phone = self._phones.setdefault(udid, _Phone())
                if phone.holder is not None:
                    self.problems.append(f"{event} while {phone.holder}")
                if token == phone.highest and not phone.isNew:
                    self.problems.append(f"{event} once more")
                if token < phone.highest:
                    self.problems.append(f"{event} after token {phone.highest}")
                phone.holder, phone.highest, phone.isNew = event, token, False
                self.tokens.setdefault(udid, []).append(token)
            case Over(udid, job, token):
                phone = self._phones.setdefault(udid, _Phone())
                if phone.holder is None or phone.holder.token != token:
                    self.problems.append(f"{event} while {phone.holder}")
                phone.holder, phone.before = None, job
            case Bytes(udid, job, _):
                phone = self._phones.setdefault(udid, _Phone())
                if phone.holder is not None and phone.holder.job == job:
                    phone.before = ""
                elif phone.before != job:
                    self.problems.append(f"{event} while {phone.holder}")
                phone.count[job] = phone.count.get(job, 0) + 1
