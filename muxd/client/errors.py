# -*- test-case-name: tests.client.test_errors -*-
"""
The client side's errors for programs with a reactor.

Those that end an attempt to connect are Twisted's C{ConnectError}s, the nearest
kind of it where there is one, so that code which knows nothing of phones treats
them rightly.  Their texts are those of L{muxd.client.problems}.
"""

from __future__ import annotations

from twisted.internet import error

from muxd.client import problems
from muxd.client.problems import NoPairRecord, PairRecordError, Stage, UsbmuxError

__all__ = [
    "DaemonLost",
    "DaemonNonsense",
    "DaemonRefused",
    "NoDaemon",
    "NoPairRecord",
    "NoPhone",
    "NotSupported",
    "PairRecordError",
    "PhoneGone",
    "PortRefused",
    "SeveralPhones",
    "Stage",
    "TimedOut",
    "UnknownUDID",
    "UsbmuxError",
]


class _ConnectError(UsbmuxError, error.ConnectError):
    """
    One that a generic program knows.

    @ivar osError: As in Twisted's; always None here.
    """

    osError: int | None = None


class NoDaemon(problems.NoDaemon, _ConnectError):
    """
    Nothing listens where we looked, or we may not connect there.
    """


class DaemonLost(problems.DaemonLost, _ConnectError, error.ConnectionLost):
    """
    The daemon closed the connection instead of answering.
    """


class DaemonNonsense(problems.DaemonNonsense, _ConnectError):
    """
    What came is not the protocol of a usbmuxd.
    """


class DaemonRefused(problems.DaemonRefused, _ConnectError):
    """
    The daemon answered a command with a Result that is not 0.
    """


class NotSupported(problems.NotSupported, _ConnectError):
    """
    The daemon has no such command.
    """


class NoPhone(problems.NoPhone, _ConnectError):
    """
    No phone is there, or none of the wanted kind.
    """


class UnknownUDID(problems.UnknownUDID, NoPhone):
    """
    Not the phone that was asked for.
    """


class SeveralPhones(problems.SeveralPhones, _ConnectError):
    """
    Nothing says which one.
    """


class PortRefused(problems.PortRefused, _ConnectError, error.ConnectionRefusedError):
    """
    The phone is there and does not want this connection.
    """


class PhoneGone(problems.PhoneGone, _ConnectError, error.ConnectionLost):
    """
    The phone was unplugged between being found and being connected to.
    """


class TimedOut(problems.TimedOut, _ConnectError, error.TimeoutError):
    """
    The time given for something is over.
    """
