# -*- test-case-name: tests.muxctl.test_tunnel -*-
"""
C{muxctl tunnel}: the services in a phone's tunnel, and the tunnel for other programs.

It needs a reactor and the extra C{tunnel}, so it alone imports them, when it is used.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from muxd.importing.extras import installing
from muxd.muxctl.columns import jsonLine
from muxd.muxctl.errors import INTERRUPTED, WRONG_USAGE
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

    from muxd.muxctl.phoneerrors import statusOfPhone, textOfPhone

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
            assert reason.value is not None
            status = statusOfPhone(reason.value)
            text = textOfPhone(reason.value, "opening the tunnel")
            terminal.error(reason.value, status, text)

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
