# -*- test-case-name: tests.client.test_errors -*-
"""
What can go wrong between a program and a phone, each with a text for the person
who can do something about it.

Those that end an attempt to connect are Twisted's C{ConnectError}s, the nearest
kind of it where there is one, so that code which knows nothing of phones treats
them rightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from twisted.internet import error

from muxd.client.answers import Device


class UsbmuxError(Exception):
    """
    Anything that this package's Twisted side fails with.
    """

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)

    def __str__(self) -> str:
        return str(self.args[0])


class _ConnectError(UsbmuxError, error.ConnectError):
    """
    One that a generic program knows.

    @ivar osError: As in Twisted's; always None here.
    """

    osError: int | None = None


class Stage(Enum):
    """
    What an attempt was doing when its time was over.
    """

    REACH = "reaching the daemon"
    ANSWER = "waiting for the daemon's answer"
    LOOK_UP = "looking for the phone"
    WAIT = "waiting for the phone to be plugged in"
    CONNECT = "waiting for the phone to accept the connection"


class NoDaemon(_ConnectError):
    """
    Nobody listens where we looked, or we may not talk to them.
    """

    def __init__(self, where: str, reason: object) -> None:
        super().__init__(
            f"no usbmuxd at {where} ({str(reason).rstrip('.')}): start usbmuxd, "
            "or set USBMUXD_SOCKET_ADDRESS to where it listens"
        )
        self.where = where


class DaemonLost(_ConnectError, error.ConnectionLost):
    """
    The daemon closed the connection instead of answering.
    """

    def __init__(self, where: str, command: str) -> None:
        super().__init__(
            f"the usbmuxd at {where} closed the connection without an answer to {command}: "
            "look into its log"
        )
        self.where = where


class DaemonNonsense(_ConnectError):
    """
    What came is not the protocol of a usbmuxd.
    """

    def __init__(self, where: str, command: str, reason: object) -> None:
        super().__init__(
            f"no usable answer to {command} from {where}: {reason}; is it really a usbmuxd?"
        )
        self.where = where


class DaemonRefused(_ConnectError):
    """
    The daemon answered a command with a Result that is not 0.

    @ivar number: The Result (protocol 4.4).
    """

    def __init__(self, where: str, command: str, number: int) -> None:
        super().__init__(f"the usbmuxd at {where} answered {command} with Result {number}")
        self.where = where
        self.number = number


class NotSupported(_ConnectError):
    """
    The daemon speaks only the old binary protocol, which cannot say this.
    """

    def __init__(self, where: str, command: str) -> None:
        super().__init__(
            f"the usbmuxd at {where} is too old for {command}: "
            "it speaks only the binary protocol; update it"
        )
        self.where = where


class NoPhone(_ConnectError):
    """
    No phone is there, or none of the wanted kind.
    """

    def __init__(self, where: str, kind: str = "phone") -> None:
        super().__init__(
            f"the usbmuxd at {where} knows no {kind}: plug it in, unlock it and trust this host"
        )


class UnknownUDID(NoPhone):
    """
    Not the phone that was asked for.

    @ivar devices: What is there instead.
    """

    def __init__(self, where: str, udid: str, kind: str, devices: Sequence[Device]) -> None:
        UsbmuxError.__init__(
            self,
            f"the usbmuxd at {where} knows no {kind} with the UDID {udid}; "
            f"there is {_listed(devices)}",
        )
        self.devices = tuple(devices)


class SeveralPhones(_ConnectError):
    """
    Nothing says which one.

    @ivar devices: Those it could be.
    """

    def __init__(self, where: str, devices: Sequence[Device]) -> None:
        super().__init__(
            f"the usbmuxd at {where} knows {len(devices)} phones: "
            f"choose one with udid=, of {_listed(devices)}"
        )
        self.devices = tuple(devices)


class PortRefused(_ConnectError, error.ConnectionRefusedError):
    """
    The phone is there and does not want this connection.
    """

    def __init__(self, udid: str, port: int) -> None:
        super().__init__(f"the phone {udid} refused port {port}: nothing listens there")
        self.udid = udid
        self.port = port


class PhoneGone(_ConnectError, error.ConnectionLost):
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


class TimedOut(_ConnectError, error.TimeoutError):
    """
    @ivar stage: What was being done.
    """

    def __init__(self, stage: Stage, seconds: float, subject: str) -> None:
        super().__init__(f"time-out after {seconds:g} s while {stage.value} ({subject})")
        self.stage = stage


class PairRecordError(UsbmuxError):
    """
    The daemon would not do something with a pair record.

    @ivar number: The C{errno} it answered with (protocol 4.4).
    """

    def __init__(self, where: str, command: str, udid: str, number: int, reason: str) -> None:
        super().__init__(f"{command} of {udid}: the usbmuxd at {where} says {reason}")
        self.number = number


class NoPairRecord(PairRecordError):
    """
    It has none of this phone: the phone does not trust this host yet.
    """


def _listed(devices: Sequence[Device]) -> str:
    """
    Devices for a sentence.
    """
    return ", ".join(f"{device.udid} ({device.connectionType})" for device in devices) or "none"
