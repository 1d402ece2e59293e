# -*- test-case-name: tests.muxctl.test_status -*-
"""
C{muxctl status}: what a daemon is doing.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

from muxd.client.socketerrors import UsbmuxError
from muxd.identity import sameUDID
from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.errors import NOT_THERE
from muxd.muxctl.quantities import byteCount, counted, duration, nameOf, programOf
from muxd.muxctl.statusclient import StatusClient, statusAddress
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable

PATIENCE = 1.0
"""Seconds that phones have for saying what they are called."""

STEP = 0.1
"""Seconds between two looks meanwhile."""

NEAR = 0.5
"""The part of a limit from which on it is worth a line."""


def clientFor(options: Namespace, terminal: Terminal) -> StatusClient:
    """
    The client of the status socket that a command line means.

    @raise UsbmuxError: It means none.
    """
    return StatusClient(statusAddress(options.status, terminal.address), options.timeout)


def showStatus(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl status}.

    @return: 1 if a phone was named that is not there.
    """
    client = clientFor(options, terminal)
    seconds = PATIENCE if options.timeout is None else min(PATIENCE, options.timeout)
    try:
        values = settled(lambda: client.get("/api/status"), options.udid, seconds)
        phones = [phone for phone in values["phones"] if _isMeant(phone, options.udid)]
        if terminal.json:
            terminal.show([jsonLine(values)])
        else:
            terminal.show(_head(values))
            terminal.show(_phoneLines(phones))
            if options.sessions:
                numbers = {phone["id"] for phone in phones}
                terminal.show(_sessionLines(values, numbers))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsbmuxError(
            f"what came as the daemon's status makes no sense ({error!r}): is it as new as muxctl?"
        ) from error
    if options.udid is not None and not phones:
        terminal.remark(f"no phone {options.udid} is attached")
        return NOT_THERE
    return 0


def settled(
    ask: Callable[[], dict[str, Any]],
    udid: str | None = None,
    seconds: float = PATIENCE,
    sleep: Callable[[float], None] = sleep,
) -> dict[str, Any]:
    """
    What a daemon is doing, when phones have had a moment to say what they are called: they are
    asked at the first look.

    @param ask: Asks the daemon.
    @param udid: The only phone that matters, if that is so.
    @param seconds: How long to wait for them at most.
    """
    values = ask()
    for _ in range(int(seconds / STEP)):
        phones = (phone for phone in values["phones"] if _isMeant(phone, udid))
        if not any(phone.get("asking") for phone in phones):
            break
        sleep(STEP)
        values = ask()
    return values


def _isMeant(phone: dict[str, Any], udid: str | None) -> bool:
    return udid is None or sameUDID(phone["udid"], udid)


def _head(values: dict[str, Any]) -> Iterator[str]:
    """
    The daemon itself, and what is wrong.
    """
    sessions = len(values["sessions"])
    yield printable(
        f"usbmuxd {values['version']} ({values['build']}), process {values['pid']},"
        f" up {duration(values['uptime'])}: {counted(len(values['phones']), 'phone')},"
        f" {counted(sessions, 'session')}",
        None,
    )
    for problem in values["problems"]:
        yield printable(f"{problem['severity']}: {problem['text']}", None)
        if problem.get("remedy"):
            yield printable(f"  to do: {problem['remedy']}", None)
    for limit in values["limits"]:
        most = limit["most"]
        if most and limit["used"] >= NEAR * most:
            yield printable(f"near a limit: {limit['used']} of {most} {limit['name']}", None)


def _phoneLines(phones: list[dict[str, Any]]) -> Iterator[str]:
    heading = ("UDID", "NAME", "MODEL", "IOS", "TRUST", "PORT", "SESSIONS", "SENT", "RECEIVED")
    rows = []
    for phone in phones:
        counters = phone.get("counters") or {}
        rows.append(
            (
                phone["udid"],
                nameOf(phone) or "-",
                str(phone["model"] or "-"),
                str(phone["version"] or "-"),
                str(phone["trust"] or "-"),
                str(phone["portPath"] or phone["connection"]),
                str(phone.get("sessions", "-")),
                byteCount(counters.get("bytesSent", 0)),
                byteCount(counters.get("bytesReceived", 0)),
            )
        )
    return table(heading, rows)


def _sessionLines(values: dict[str, Any], phones: set[int]) -> Iterator[str]:
    heading = ("PROGRAM", "UDID", "PORT", "AGE", "SENT", "RECEIVED", "UNREAD", "STATE")
    rows = [
        (
            programOf(session["peer"]),
            session["udid"],
            str(session["port"]),
            duration(session["age"]),
            byteCount(session["toPhone"]),
            byteCount(session["fromPhone"]),
            byteCount(session["held"]) if session["held"] else "-",
            session["state"],
        )
        for session in values["sessions"]
        if session["phone"] in phones
    ]
    return table(heading, rows)
