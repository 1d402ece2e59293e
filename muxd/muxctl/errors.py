# -*- test-case-name: tests.muxctl.test_statusclient,tests.muxctl.test_fleet -*-
"""
What C{muxctl} exits with, and what can go wrong with what it talks to besides a daemon: its status
socket, and hubs.

The errors are apart from the clients that raise them, which take their time to import: every
command tells such errors, and few meet one.
"""

from __future__ import annotations

from muxd.client import problems
from muxd.client.socketerrors import UsbmuxError

NOT_THERE = 1
"""What was asked for is not there, or has refused."""

WRONG_USAGE = 2

NO_DAEMON = 3
"""Or no hub, or no status socket: what would answer is not there."""

TIME_OUT = 4

FAILED = 5
"""All else."""

INTERRUPTED = 130
NO_READER = 141
"""As a shell shows programs that SIGINT and SIGPIPE end."""


class FleetProblem(UsbmuxError):
    """
    A hub does not do what was asked.

    @ivar status: What to exit with.
    """

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


class NoStatus(UsbmuxError, ConnectionError):
    """
    There is no status socket where we looked, or we may not connect to it.
    """


class StatusNonsense(UsbmuxError):
    """
    What came is no answer of a status socket.
    """


class StatusRefused(UsbmuxError):
    """
    The daemon has answered with an error.

    @ivar status: The number that HTTP has for it.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def statusOf(error: BaseException) -> int:
    """
    What C{muxctl} exits with because of an error, with a reactor or without.
    """
    match error:
        case FleetProblem(status=status):
            return status
        case NoStatus() | problems.NoDaemon():
            return NO_DAEMON
        case problems.TimedOut():
            return TIME_OUT
        case (
            StatusRefused()
            | problems.NoPhone()
            | problems.SeveralPhones()
            | problems.PortRefused()
            | problems.PhoneGone()
            | problems.DaemonRefused()
            | problems.PairRecordError()
        ):
            return NOT_THERE
        case _:
            return FAILED
