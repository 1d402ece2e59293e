# -*- test-case-name: tests.muxctl.test_commandline -*-
"""
C{muxctl} itself: from the command line to an exit status.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TextIO

from muxd.client.address import InvalidAddress, daemonAddress
from muxd.muxctl.completion import showCompletion
from muxd.muxctl.errors import INTERRUPTED, NO_READER, WRONG_USAGE, statusOf
from muxd.muxctl.options import Usage, areForPrograms, parse
from muxd.muxctl.phones import listListeners, listPhones, showBUID, watchPhones
from muxd.muxctl.records import useRecord
from muxd.muxctl.stdio import connectPort
from muxd.muxctl.terminal import Terminal
from muxd.muxctl.waiting import waitForPhones

Command = Callable[[Namespace, Terminal], int]


def main(
    argv: Sequence[str] | None = None,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """
    Run one command.

    @param argv: The words behind the program's name; like all the others the
        process's own by default.
    @return: the exit status.
    """
    words = sys.argv[1:] if argv is None else argv
    terminal = Terminal(
        stdin=stdin or sys.stdin,
        stdout=stdout or sys.stdout,
        stderr=stderr or sys.stderr,
        json=areForPrograms(words),
    )
    try:
        try:
            options = parse(words)
            address = options.socket or daemonAddress(os.environ if environ is None else environ)
            return _command(options.command)(options, replace(terminal, address=address))
        except Usage as usage:
            if usage.status and terminal.json:
                terminal.error(usage, usage.status)
            else:
                (terminal.stderr if usage.status else terminal.stdout).write(usage.text)
            return usage.status
    except InvalidAddress as error:
        terminal.error(error, WRONG_USAGE)
        return WRONG_USAGE
    except BrokenPipeError:
        return NO_READER
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        status = statusOf(error)
        terminal.error(error, status)
        return status


def run() -> int:
    """
    Run one command in a process of its own.

    @return: the exit status.
    """
    status = main()
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes once more when it exits, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return NO_READER
        if not status:
            status = statusOf(error)
            Terminal(stdin=None, stdout=sys.stdout, stderr=sys.stderr).error(error, status)
    return status


def _command(name: str) -> Command:
    match name:
        case "list":
            return listPhones
        case "watch":
            return watchPhones
        case "wait":
            return waitForPhones
        case "completion":
            return showCompletion
        case "listeners":
            return listListeners
        case "buid":
            return showBUID
        case "record":
            return useRecord
        case "connect":
            return connectPort
        case "wifi":
            from muxd.muxctl.wireless import switchWireless

            return switchWireless
        case "cert":
            from muxd.muxctl.certificates import useCertificates

            return useCertificates
        case "capture":
            from muxd.muxctl.capture import capture

            return capture
        case "fleet":
            from muxd.muxctl.fleet import fleet

            return fleet
        case "reserve":
            from muxd.muxctl.reserve import reserve

            return reserve
        case "release":
            from muxd.muxctl.operations import release

            return release
        case "take":
            from muxd.muxctl.operations import take

            return take
        case "phone":
            from muxd.muxctl.operations import phone

            return phone
        case "reload":
            from muxd.muxctl.operations import reload

            return reload
        case "tunnel":
            from muxd.muxctl.tunnel import tunnel

            return tunnel
        case "status":
            from muxd.muxctl.status import showStatus

            return showStatus
        case "top":
            from muxd.muxctl.top import top

            return top
        case "log":
            from muxd.muxctl.daemonlog import showLog

            return showLog
        case _:
            from muxd.muxctl.relay import relay

            return relay
