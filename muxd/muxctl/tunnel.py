# -*- test-case-name: tests.muxctl.test_tunnel -*-
"""
C{muxctl tunnel}: the services in a phone's tunnel, and the tunnel for other programs.

It needs a reactor and the extra C{tunnel}, so it alone imports them, when it is used.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from muxd.client.problems import NoDaemon, TimedOut, UsbmuxError
from muxd.importing.extras import installing
from muxd.muxctl.columns import jsonLine
from muxd.muxctl.errors import FAILED, INTERRUPTED, NO_DAEMON, NOT_THERE, TIME_OUT, WRONG_USAGE
from muxd.muxctl.options import Usage
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from muxd.tunnel.host import Tunnel


def tunnel(options: Namespace, terminal: Terminal) -> int:
    """
    Show the services, and with C{--serve} go on until interrupted.

    @raise Usage: The extra is not installed.
    """
    try:
        from muxd.client.access import accessAt
        from muxd.tap.tunnels import TunnelDoors
        from muxd.tunnel.opening import SharedTunnel, openTunnel
    except ImportError as missing:
        raise Usage(WRONG_USAGE, f"muxctl tunnel: {missing}; {installing('tunnel')}\n") from missing
    from twisted.internet import reactor

    timeout = 30.0 if options.timeout is None else options.timeout

    def open() -> Deferred[Tunnel]:
        access = accessAt(reactor, terminal.address)
        opening = openTunnel(reactor, options.udid, access)
        return opening.addTimeout(timeout, reactor)

    shared = SharedTunnel(open)
    doors = None if options.serve is None else TunnelDoors(reactor, shared, options.serve)
    return _run(reactor, lambda: _show(shared, doors, terminal), terminal)


async def _show(shared: Any, doors: Any, terminal: Terminal) -> None:
    from twisted.internet.defer import CancelledError, Deferred

    tunnel = await shared.get()
    terminal.show(_lines(tunnel, terminal.json))
    if doors is None:
        await shared.stop()
        return
    doors.startService()
    terminal.remark(
        f"the list is at http://127.0.0.1:{doors.listPort}/, the door at port {doors.doorPort}"
    )
    try:
        await Deferred()
    except CancelledError:
        pass  # It was kept until interrupted, as it was asked for.
    finally:
        await doors.stopService()


def _lines(tunnel: Tunnel, isJSON: bool) -> list[str]:
    services = sorted(tunnel.services.values(), key=lambda each: each.name)
    if isJSON:
        return [
            jsonLine({"name": each.name, "port": each.port, "remotexpc": each.isRemoteXPC})
            for each in services
        ]
    return [f"{each.port:5}  {printable(each.name)}" for each in services]


def _run(reactor: Any, work: Callable[[], Any], terminal: Terminal) -> int:
    """
    Run a coroutine on the reactor.
    """
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    status, isEnding = 0, False
    running: list[Deferred[None]] = []
    unread: list[BrokenPipeError] = []

    def failed(reason: Failure) -> None:
        nonlocal status
        if isinstance(reason.value, BrokenPipeError):
            unread.append(reason.value)
        elif isEnding:
            # Whatever has become of it, when it was cancelled.
            status = INTERRUPTED
        else:
            status = _status(reason.value)
            terminal.error(Exception(_complaint(reason.value)), status)

    def begin() -> None:
        done = Deferred.fromCoroutine(work()).addErrback(failed)
        running.append(done)
        done.addBoth(lambda _: stop())

    def stop() -> None:
        if not isEnding:
            reactor.stop()

    def end() -> Deferred[None]:
        nonlocal isEnding
        isEnding = True
        running[0].cancel()
        return running[0]

    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", end)
    reactor.run()
    if unread:
        raise unread[0]
    return status


def _hasNone(error: BaseException | None) -> bool:
    """
    Whether the phone does not know the service that opens a tunnel.
    """
    from muxd.lockdown.errors import LockdownError

    return isinstance(error, LockdownError) and error.code == "InvalidService"


def _complaint(error: BaseException | None) -> str:
    from twisted.internet.defer import TimeoutError
    from twisted.internet.error import CannotListenError

    from muxd.net.socketfile import explain

    if _hasNone(error):
        return "the phone has no tunnel (InvalidService): phones have one from iOS 17.4 on"
    if isinstance(error, CannotListenError):
        return explain(f"{error.interface}:{error.port}", error)
    # What Twisted says of its own time-out is a pair, of the time and of what was cancelled.
    if isinstance(error, TimeoutError) and len(error.args) == 2:
        return f"time-out after {error.args[0]:g} s while opening the tunnel"
    return str(error)


def _status(error: BaseException | None) -> int:
    from twisted.internet.defer import TimeoutError

    match error:
        case NoDaemon():
            return NO_DAEMON
        case TimedOut() | TimeoutError():
            return TIME_OUT
        case UsbmuxError():
            return NOT_THERE
        case _ if _hasNone(error):
            return NOT_THERE
        case _:
            return FAILED
