# -*- test-case-name: tests.muxctl.test_commandline -*-
"""
What can go wrong in L{muxd.client.blocking}, each with a text for the person
who can do something about it.

All are C{OSError}s, with the C{errno} a program may go by; those that have a
relative among Python's own (C{ConnectionRefusedError}, C{TimeoutError},
C{FileNotFoundError}) are that as well, so that code which expects an ordinary
socket's exceptions works unchanged.
"""

from __future__ import annotations

import errno as numbers
from collections.abc import Sequence


class ClientError(OSError):
    """
    Anything that L{muxd.client.blocking} raises.

    @ivar number: The C{errno} of this kind of error.
    """

    number: int = numbers.EIO

    def __init__(self, text: str) -> None:
        super().__init__(text)
        # Not given to OSError: with a number it would print "[Errno 5] ...".
        self.errno = self.number


class NoDaemon(ClientError, ConnectionError):
    """
    No daemon listens where we looked, or we may not talk to it.
    """

    number = numbers.ECONNREFUSED


class DaemonGone(ClientError, ConnectionError):
    """
    The daemon closed the connection instead of answering.
    """

    number = numbers.ECONNRESET


class BadAnswer(ClientError, ConnectionError):
    """
    What came from the daemon is not the protocol.
    """

    number = numbers.EPROTO


class CommandFailed(ClientError):
    """
    The daemon answered a command with a Result other than 0.

    @ivar result: The Result number (protocol 4.4).
    """

    number = numbers.EREMOTEIO if hasattr(numbers, "EREMOTEIO") else numbers.EIO

    def __init__(self, text: str, result: int) -> None:
        super().__init__(text)
        self.result = result


class NotSupported(CommandFailed):
    """
    This daemon does not have the command.
    """

    number = numbers.EOPNOTSUPP


class NoRecord(CommandFailed, FileNotFoundError):
    """
    The daemon has no pair record of that name.
    """

    number = numbers.ENOENT


class NoPhone(ClientError):
    """
    No phone, or not the one that was asked for.
    """

    number = numbers.ENODEV


class SeveralPhones(ClientError):
    """
    More than one phone, and nothing says which.

    @ivar udids: All of them.
    """

    number = numbers.ENOTUNIQ if hasattr(numbers, "ENOTUNIQ") else numbers.EINVAL

    def __init__(self, text: str, udids: Sequence[str]) -> None:
        super().__init__(text)
        self.udids = tuple(udids)


class PhoneGone(ClientError, ConnectionError):
    """
    The phone was unplugged between being found and being connected to.
    """

    number = numbers.ENODEV


class PortRefused(ClientError, ConnectionRefusedError):
    """
    The phone refused the connection: nothing listens on that port.
    """

    number = numbers.ECONNREFUSED


class TimedOut(ClientError, TimeoutError):
    """
    The time given for the whole operation is over.

    @ivar stage: What was being done.
    """

    number = numbers.ETIMEDOUT

    def __init__(self, seconds: float, stage: str) -> None:
        super().__init__(f"time-out after {seconds:g} s while {stage}")
        self.stage = stage
