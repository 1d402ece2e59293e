# -*- test-case-name: tests.muxctl.test_fleet -*-
"""
C{muxctl reserve}: a command that has a phone of a fleet for itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from muxd.muxctl.errors import FAILED, WRONG_USAGE, FleetProblem
from muxd.muxctl.fleet import clientFor, reached, run
from muxd.muxctl.options import Usage
from muxd.muxctl.terminal import Terminal

if TYPE_CHECKING:
    from muxd.fleet.client import FleetClient, Holding
    from muxd.fleet.reserved import ReservedService

CANNOT_RUN = 127
SIGNALLED = 128
"""As a shell has it."""


def reserve(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl reserve}: wait for a phone, run the command, release the phone.

    @return: the command's exit status; 5 if it was fine and the phone was lost meanwhile.
    @raise FleetProblem: There is no phone.
    """
    if not options.arguments:
        raise Usage(
            WRONG_USAGE, "muxctl reserve: expected -- and a command (see muxctl reserve --help)\n"
        )
    directory = tempfile.mkdtemp(prefix="muxctl-")
    try:
        return run(lambda reactor: _work(reactor, options, terminal, directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _work(reactor: Any, options: Namespace, terminal: Terminal, directory: str) -> int:
    client = clientFor(options, reactor)
    try:
        return await _workBy(client, reactor, options, terminal, directory)
    finally:
        # One that gives up waiting is out of the queue at once, and not when it is missed.
        await client.settled()


async def _workBy(
    client: FleetClient, reactor: Any, options: Namespace, terminal: Terminal, directory: str
) -> int:
    from muxd.fleet.reserved import ReservedService

    holding = await reached(
        client.reserve(
            options.phone,
            reason=options.reason,
            term=options.term,
            wait=options.wait,
            take=options.take,
        ),
        options,
    )
    try:
        service = ReservedService(reactor, client.phone(holding.reserved), directory)
        try:
            await service.prepare()
        except OSError as error:
            raise FleetProblem(f"the phone's host does not answer: {error}") from error
        service.privilegedStartService()
        service.startService()
        try:
            return await _child(reactor, options, terminal, service, holding)
        finally:
            await service.stopService()
    finally:
        await holding.release()


async def _child(
    reactor: Any,
    options: Namespace,
    terminal: Terminal,
    service: ReservedService,
    holding: Holding,
) -> int:
    """
    Run the command.
    """
    environ = {**os.environ, "USBMUXD_SOCKET_ADDRESS": f"UNIX:{service.path}"}
    lost: list[str] = []

    def over(why: str) -> None:
        lost.append(why)
        terminal.remark(f"the phone is lost: {why}")
        service.lose()

    holding.over.addCallback(over)
    program = shutil.which(options.arguments[0])
    if program is None:
        terminal.remark(f"{options.arguments[0]}: command not found")
        return CANNOT_RUN
    status = await _run(reactor, program, options.arguments, environ)
    return FAILED if lost and not status else status


async def _run(reactor: Any, program: str, arguments: list[str], environ: dict[str, str]) -> int:
    """
    Run a process that has our standard input and output.  Cancelling it ends it, and waits.

    @return: its exit status.
    """
    from twisted.internet.defer import CancelledError, Deferred
    from twisted.internet.error import ProcessExitedAlready
    from twisted.internet.protocol import ProcessProtocol

    awaited: Deferred[int] = Deferred()
    ended: Deferred[int] = Deferred()

    class Protocol(ProcessProtocol):
        """
        Waits for its end.
        """

        def processEnded(self, reason: Any) -> None:
            """
            It has ended.
            """
            code, number = reason.value.exitCode, reason.value.signal
            status = SIGNALLED + number if code is None else code
            ended.callback(status)
            if not awaited.called:
                awaited.callback(status)

    sys.stdout.flush()
    process = reactor.spawnProcess(
        Protocol(), program, arguments, env=environ, childFDs={0: 0, 1: 1, 2: 2}
    )
    # A terminal interrupts the command as well, which decides what that means.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return await awaited
    except CancelledError:
        try:
            process.signalProcess("TERM")
        except ProcessExitedAlready:
            pass
        return await ended
