# -*- test-case-name: tests.client.test_problems,tests.muxctl.test_commandline -*-
"""
The client side's errors for programs without a reactor.

All are C{OSError}s, with the C{errno} a program may go by; those that have a
relative among Python's own (C{ConnectionRefusedError}, C{TimeoutError},
C{FileNotFoundError}) are that as well, so that code which expects an ordinary
socket's exceptions works unchanged.  Their texts are those of
L{muxd.client.problems}.
"""

from __future__ import annotations

import errno as numbers

from muxd.client import problems

# Not given to OSError's own constructor: with a number it would print "[Errno 5] ...".


class UsbmuxError(problems.UsbmuxError, OSError):
    """
    Anything that L{muxd.client.blocking} raises.
    """

    errno: int | None = numbers.EIO


class NoDaemon(problems.NoDaemon, UsbmuxError, ConnectionError):
    """
    Nothing listens where we looked, or we may not connect there.
    """

    errno = numbers.ECONNREFUSED


class DaemonLost(problems.DaemonLost, UsbmuxError, ConnectionError):
    """
    The daemon closed the connection instead of answering.
    """

    errno = numbers.ECONNRESET


class DaemonNonsense(problems.DaemonNonsense, UsbmuxError, ConnectionError):
    """
    What came is not the protocol of a usbmuxd.
    """

    errno = numbers.EPROTO


class DaemonRefused(problems.DaemonRefused, UsbmuxError):
    """
    The daemon answered a command with a Result that is not 0.
    """

    errno = numbers.EREMOTEIO if hasattr(numbers, "EREMOTEIO") else numbers.EIO


class NotSupported(problems.NotSupported, UsbmuxError):
    """
    The daemon has no such command.
    """

    errno = numbers.EOPNOTSUPP


class NoPhone(problems.NoPhone, UsbmuxError):
    """
    No phone is there, or none of the wanted kind.
    """

    errno = numbers.ENODEV


class UnknownUDID(problems.UnknownUDID, NoPhone):
    """
    Not the phone that was asked for.
    """


class SeveralPhones(problems.SeveralPhones, UsbmuxError):
    """
    Nothing says which one.
    """

    errno = numbers.ENOTUNIQ if hasattr(numbers, "ENOTUNIQ") else numbers.EINVAL


class PortRefused(problems.PortRefused, UsbmuxError, ConnectionRefusedError):
    """
    The phone is there and does not want this connection.
    """

    errno = numbers.ECONNREFUSED


class PhoneGone(problems.PhoneGone, UsbmuxError, ConnectionError):
    """
    The phone was unplugged between being found and being connected to.
    """

    errno = numbers.ENODEV


class TimedOut(problems.TimedOut, UsbmuxError, TimeoutError):
    """
    The time given for the whole operation is over.
    """

    errno = numbers.ETIMEDOUT


class PairRecordError(problems.PairRecordError, UsbmuxError):
    """
    The daemon would not do something with a pair record.
    """

    errno = numbers.EINVAL


class NoPairRecord(problems.NoPairRecord, PairRecordError, FileNotFoundError):
    """
    It has none of this phone: the phone does not trust this host yet.
    """

    errno = numbers.ENOENT
