# -*- test-case-name: tests.muxctl.test_fleet -*-
"""
C{muxctl fleet}: what a hub knows; and what all commands have in common that speak to one.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Coroutine, Mapping
from getpass import getuser
from typing import TYPE_CHECKING, Any, TypeVar

from muxd.fleet.conversation import VARIABLE, hubPlace
from muxd.muxctl.columns import jsonLine, table
from muxd.muxctl.errors import (
    FAILED,
    INTERRUPTED,
    NO_DAEMON,
    NOT_THERE,
    TIME_OUT,
    WRONG_USAGE,
    FleetProblem,
)
from muxd.muxctl.quantities import counted, duration
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from muxd.fleet.client import FleetClient, FleetView

T = TypeVar("T")

_SPELLINGS = "tcp:HOST:PORT, unix:PATH or mutualtls:HOST:PORT:files=DIRECTORY"


def fleet(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl fleet}.

    @raise FleetProblem: It has not been done.
    """

    async def work(reactor: Any) -> int:
        session = await reached(clientFor(options, reactor).connect(), options)
        try:
            if options.action in ("drain", "undrain"):
                await session.drain(options.host, options.action == "drain")
                if await session.host(options.host) is None:
                    terminal.remark(
                        f"no host {options.host} is there now (see muxctl fleet status); it holds"
                        " when that one comes"
                    )
                return 0
            view = await session.fleet()
        finally:
            session.close()
        if options.action == "list":
            _showPhones(view, terminal)
        else:
            _showHosts(view, terminal)
        return 0

    return run(work)


def clientFor(
    options: Namespace, reactor: Any, environ: Mapping[str, str] = os.environ
) -> FleetClient:
    """
    The hub that the command line or the environment names.

    @raise FleetProblem: It is no endpoint.
    """
    from muxd.fleet.client import FleetClient

    try:
        return FleetClient(reactor, hubPlace(options.hub, environ), options.name or getuser())
    except ValueError as error:
        raise FleetProblem(f"{error}; write the hub as {_SPELLINGS}", WRONG_USAGE) from error


async def reached(
    asked: Deferred[T], options: Namespace, environ: Mapping[str, str] = os.environ
) -> T:
    """
    What a hub is asked for.

    @raise FleetProblem: It cannot be reached.
    """
    from twisted.internet.error import ConnectError
    from twisted.internet.error import TimeoutError as ConnectTimeout

    try:
        return await asked
    except (ConnectError, ConnectTimeout) as error:
        place, reason = hubPlace(options.hub, environ), str(error).rstrip(".")
        raise FleetProblem(
            f"no hub at {place} ({reason}): start twistd muxhub, or say with --hub or {VARIABLE}"
            " where it is",
            NO_DAEMON,
        ) from error


def run(work: Callable[[Any], Coroutine[Any, Any, int]]) -> int:
    """
    Do something on the reactor.  An interrupt cancels it, and what it does about that is
    waited for.

    @raise FleetProblem: It has failed.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    from muxd.tap.process import useSteadyTime

    anyReactor: Any = reactor
    # A reservation is renewed in time, also when the time of day is set meanwhile.
    useSteadyTime(reactor)
    outcome: list[Any] = []
    working: list[Deferred[None]] = []

    def done(result: Any) -> None:
        isStopping = bool(outcome)
        outcome[:] = [result]
        if not isStopping:
            anyReactor.stop()

    def begin() -> None:
        working.append(Deferred.fromCoroutine(work(anyReactor)).addBoth(done))

    def end() -> Deferred[None] | None:
        if outcome or not working:
            return None
        outcome.append(INTERRUPTED)
        working[0].cancel()
        return working[0]

    anyReactor.callWhenRunning(begin)
    anyReactor.addSystemEventTrigger("before", "shutdown", end)
    anyReactor.run()
    return outcomeOf(*outcome)


def outcomeOf(result: int | Failure) -> int:
    """
    The exit status for what has become of something.

    @raise FleetProblem: It has failed.
    """
    from twisted.internet.defer import CancelledError
    from twisted.internet.error import ConnectingCancelledError

    if isinstance(result, int):
        return result
    # An endpoint that is cancelled while it connects has an error of its own for that.
    if result.check(CancelledError, ConnectingCancelledError):
        return INTERRUPTED
    error: Any = result.value
    raise problemOf(error) from error


def problemOf(error: Exception) -> Exception:
    """
    What has gone wrong, with this program's exit status for it.
    """
    from twisted.internet.error import ConnectError
    from twisted.internet.error import TimeoutError as ConnectTimeout

    from muxd.fleet.client import HubLost
    from muxd.fleet.values import FleetError, Why

    match error:
        case FleetError(why=Why.NO_SUCH_PHONE | Why.TAKEN | Why.TOO_MANY | Why.NOT_ALLOWED):
            return FleetProblem(str(error), NOT_THERE)
        case FleetError(why=Why.WAITED):
            return FleetProblem(str(error), TIME_OUT)
        case HubLost() | ConnectError() | ConnectTimeout():
            return FleetProblem(f"no hub: {error}", NO_DAEMON)
        case FleetError() | ValueError():
            return FleetProblem(str(error), FAILED)
        case _:
            return error


def _showPhones(view: FleetView, terminal: Terminal) -> None:
    lines = view.phones
    if terminal.json:
        terminal.show(
            jsonLine(
                {
                    "udid": line.phone.udid,
                    "host": line.phone.host,
                    "labels": list(line.phone.labels),
                    "model": line.phone.model,
                    "version": line.phone.version,
                    "name": line.phone.name,
                    "user": line.user,
                    "reason": line.reason,
                }
            )
            for line in lines
        )
        return
    heading = ("UDID", "HOST", "NAME", "MODEL", "IOS", "LABELS", "RESERVED BY")
    rows = [
        (
            line.phone.udid,
            line.phone.host,
            *(part or "-" for part in (line.phone.name, line.phone.model, line.phone.version)),
            ",".join(line.phone.labels) or "-",
            f"{line.user}: {line.reason}" if line.reason else line.user or "-",
        )
        for line in lines
    ]
    terminal.show(table(heading, rows))
    if not rows:
        terminal.remark("no phone is in the fleet")


def _showHosts(view: FleetView, terminal: Terminal) -> None:
    reserved = sum(1 for line in view.phones if line.user)
    if terminal.json:
        terminal.show(
            [
                jsonLine(
                    {
                        "hosts": [
                            {
                                "name": host.name,
                                "door": host.door,
                                "phones": host.phones,
                                "draining": host.isDraining,
                            }
                            for host in view.hosts
                        ],
                        "phones": len(view.phones),
                        "reserved": reserved,
                        "waiting": [
                            {
                                "user": one.user,
                                "phone": one.phone,
                                "reason": one.reason,
                                "left": one.left,
                            }
                            for one in view.waiting
                        ],
                    }
                )
            ]
        )
        return
    rows = [
        (host.name, host.door, str(host.phones), "drained" if host.isDraining else "-")
        for host in view.hosts
    ]
    terminal.show(table(("HOST", "DOOR", "PHONES", "STATE"), rows))
    jobs = [
        (one.user, one.phone or "any", one.reason or "-", duration(one.left))
        for one in view.waiting
    ]
    terminal.show(table(("WAITING", "PHONE", "REASON", "FOR"), jobs))
    phones = f"{counted(len(view.phones), 'phone')}, {reserved} reserved"
    waiting = f"{counted(len(jobs), 'job')} waiting"
    terminal.show([f"{counted(len(rows), 'host')}, {phones}, {waiting}"])
