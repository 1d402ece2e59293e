# -*- test-case-name: tests.client.test_problems -*-
"""
What can go wrong between a program and a phone, each with a text for the person
that can do something about it.

Programs with a reactor and those without get the same errors, with the same names
and texts: L{muxd.client.errors} makes Twisted's C{ConnectError}s of them, and
L{muxd.client.socketerrors} makes C{OSError}s.  Code that handles both catches these.

No Twisted in here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol as TypingProtocol

from muxd.client.answers import Device
from muxd.identity import namedInBrief
from muxd.wire.text import printable

START = "start usbmuxd, or set USBMUXD_SOCKET_ADDRESS to where it listens"
THERE = "start usbmuxd there, or name the place where it listens"
CERTIFY = "look at the certificates of both sides, which muxctl cert makes"
"""
What to do where a daemon cannot be reached: because it is not there, or not where a description
says, or because of TLS.
"""


class Stage(Enum):
    """
    What an attempt was doing when its time was over.
    """

    REACH = "reaching the daemon"
    ANSWER = "waiting for the daemon's answer"
    EVENT = "waiting for an event"
    WAIT = "waiting for the phone to be plugged in"
    CONNECT = "waiting for the phone to accept the connection"


class UsbmuxError(Exception):
    """
    Anything that the client side fails with.  Its text can be shown, whatever a daemon or a
    phone has said.
    """

    def __init__(self, text: str) -> None:
        # By name, since what else is inherited has other arguments.
        Exception.__init__(self, printable(text, None))

    def __str__(self) -> str:
        return str(self.args[0])


class NoDaemon(UsbmuxError):
    """
    Nothing listens where we looked, or we may not connect there.
    """

    def __init__(self, where: str, reason: object, remedy: str = START) -> None:
        """
        @param remedy: What to do about it.
        """
        super().__init__(f"no usbmuxd at {where} ({str(reason).rstrip('.')}): {remedy}")
        self.where = where


class DaemonLost(UsbmuxError):
    """
    The daemon closed the connection instead of answering.
    """

    def __init__(self, where: str, awaited: str, reason: str = "") -> None:
        """
        @param awaited: Such as C{"the answer to Listen"}.
        @param reason: Why, if it is known.
        """
        super().__init__(
            f"lost the usbmuxd at {where} while waiting for {awaited}:"
            f" {reason or 'look into its log'}"
        )
        self.where = where


class DaemonNonsense(UsbmuxError):
    """
    What came is not the protocol of a usbmuxd.
    """

    def __init__(self, where: str, awaited: str, reason: object) -> None:
        """
        @param awaited: Such as C{"the answer to Listen"}.
        """
        super().__init__(
            f"what came from {where} as {awaited} makes no sense: {reason}; is it really a usbmuxd?"
        )
        self.where = where


class DaemonRefused(UsbmuxError):
    """
    The daemon answered a command with a Result that is not 0.

    @ivar result: The Result (protocol 4.4).
    """

    def __init__(self, where: str, command: str, result: int) -> None:
        super().__init__(f"the usbmuxd at {where} answered {command} with Result {result}")
        self.where = where
        self.result = result


class NotSupported(UsbmuxError):
    """
    The daemon has no such command, as those that speak only the old binary
    protocol; or denies it here, which is answered in the same way (protocol 4.4).
    """

    def __init__(self, where: str, command: str) -> None:
        super().__init__(
            f"the usbmuxd at {where} is too old for {command}, or shows a view that does not allow"
            " it: update it, or see its configuration"
        )
        self.where = where


class NoPhone(UsbmuxError):
    """
    No phone is there, or none of the wanted kind.

    @ivar devices: What is there instead.
    """

    def __init__(self, where: str, kind: str = "phone", devices: Sequence[Device] = ()) -> None:
        """
        @param kind: Such as C{"phone on USB"}.
        """
        others = f" (there is {listed(devices)})" if devices else ""
        super().__init__(
            f"the usbmuxd at {where} knows no {kind}{others}: "
            "plug it in, unlock it and trust this host"
        )
        self.devices = tuple(devices)


class UnknownUDID(NoPhone):
    """
    Not the phone that was asked for.
    """

    def __init__(self, where: str, udid: str, kind: str, devices: Sequence[Device]) -> None:
        UsbmuxError.__init__(
            self,
            f"the usbmuxd at {where} knows no {kind} with the UDID {udid}; "
            f"there is {listed(devices)}",
        )
        self.devices = tuple(devices)


class SeveralPhones(UsbmuxError):
    """
    Nothing says which one.

    @ivar devices: Those it could be.
    """

    def __init__(self, where: str, devices: Sequence[Device]) -> None:
        udids = {device.udid for device in devices}
        if len(udids) == 1:
            text = (
                f"several devices say to the usbmuxd at {where} that they are {udids.pop()}, and"
                " none has proved it: unplug those that are not yours"
            )
        else:
            text = (
                f"the usbmuxd at {where} knows {len(devices)} phones: "
                f"choose one by its UDID, of {listed(devices)}"
            )
        super().__init__(text)
        self.devices = tuple(devices)


class PortRefused(UsbmuxError):
    """
    The phone is there and does not want this connection.
    """

    def __init__(self, udid: str, port: int) -> None:
        super().__init__(f"the phone {udid} refused port {port}: nothing listens there")
        self.udid = udid
        self.port = port


class PhoneGone(UsbmuxError):
    """
    The phone was unplugged between being found and being connected to.
    """

    def __init__(self, udid: str, port: int, reason: str) -> None:
        super().__init__(
            f"the phone {udid} went away while port {port} was being connected ({reason}): "
            "plug it in again"
        )
        self.udid = udid
        self.port = port


class TimedOut(UsbmuxError):
    """
    The time given for something is over.

    @ivar stage: What was being done.
    """

    def __init__(self, stage: Stage, seconds: float, subject: str) -> None:
        """
        @param seconds: How long it was given.
        @param subject: With or about what it was being done.
        """
        # What is left of a longer time is no round number.
        duration = f"{seconds:.0f}" if seconds >= 1000 else f"{seconds:.3g}"
        super().__init__(f"time-out after {duration} s while {stage.value} ({subject})")
        self.stage = stage


class PairRecordError(UsbmuxError):
    """
    The daemon would not do something with a pair record.

    @ivar result: The C{errno} it answered with (protocol 4.4).
    """

    def __init__(self, where: str, command: str, udid: str, result: int) -> None:
        super().__init__(f"{command} of {udid}: the usbmuxd at {where} says {_reason(result)}")
        self.where = where
        self.result = result


class NoPairRecord(PairRecordError):
    """
    It has none of this phone: the phone does not trust this host yet.
    """


class Errors(TypingProtocol):
    """
    The errors of one kind of client: the module L{muxd.client.errors} or
    L{muxd.client.socketerrors}.
    """

    @property
    def DaemonLost(self) -> Callable[[str, str, str], DaemonLost]:
        """
        The daemon closed the connection.
        """

    @property
    def DaemonNonsense(self) -> Callable[[str, str, object], DaemonNonsense]:
        """
        What came is not the protocol.
        """

    @property
    def DaemonRefused(self) -> Callable[[str, str, int], DaemonRefused]:
        """
        A Result that is not 0.
        """

    @property
    def NotSupported(self) -> Callable[[str, str], NotSupported]:
        """
        There is no such command.
        """

    @property
    def NoPhone(self) -> Callable[[str, str, Sequence[Device]], NoPhone]:
        """
        There is no phone.
        """

    @property
    def UnknownUDID(self) -> Callable[[str, str, str, Sequence[Device]], UnknownUDID]:
        """
        There are other phones.
        """

    @property
    def SeveralPhones(self) -> Callable[[str, Sequence[Device]], SeveralPhones]:
        """
        There are too many phones.
        """

    @property
    def PortRefused(self) -> Callable[[str, int], PortRefused]:
        """
        The phone does not want this connection.
        """

    @property
    def PhoneGone(self) -> Callable[[str, int, str], PhoneGone]:
        """
        The phone went away.
        """

    @property
    def PairRecordError(self) -> Callable[[str, str, str, int], PairRecordError]:
        """
        Something is wrong with a pair record.
        """

    @property
    def NoPairRecord(self) -> Callable[[str, str, str, int], NoPairRecord]:
        """
        There is no such pair record.
        """


def listed(devices: Sequence[Device]) -> str:
    """
    Devices for a sentence.
    """
    return namedInBrief(f"{device.udid} ({device.connectionType})" for device in devices) or "none"


def _reason(result: int) -> str:
    """
    What a Result of a pair-record command means (protocol 4.4).
    """
    if result == errno.ENOENT:
        return "that it has no such pair record"
    if result == errno.EPERM:
        # The Result of a daemon that does not know a command is the same number.
        return "Result 1: it may not do that, or is too old for it"
    return f"Result {result} ({errno.errorcode.get(result, 'unknown')})"
