# -*- test-case-name: tests.muxctl.test_phoneerrors -*-
"""
What C{muxctl} says and exits with where it has talked to a phone's own services, on a reactor.
"""

from __future__ import annotations

from twisted.internet.defer import TimeoutError
from twisted.internet.error import CannotListenError
from twisted.internet.error import TimeoutError as ConnectionTimeout

from muxd.lockdown.errors import (
    DialogPending,
    LockdownError,
    PairingDenied,
    PhoneLocked,
    UnknownHost,
)
from muxd.muxctl.errors import NOT_THERE, TIME_OUT, statusOf
from muxd.net.socketfile import explain


def statusOfPhone(error: BaseException) -> int:
    """
    What to exit with because of an error.
    """
    match error:
        case TimeoutError() | ConnectionTimeout():
            return TIME_OUT
        case DialogPending() | PairingDenied() | PhoneLocked() | UnknownHost():
            return NOT_THERE
        case _ if hasNoTunnel(error):
            return NOT_THERE
        case _:
            return statusOf(error)


def textOfPhone(error: BaseException, doing: str) -> str:
    """
    What to say of an error.

    @param doing: What has taken too long, if something has.
    """
    if hasNoTunnel(error):
        return "the phone has no tunnel (InvalidService): phones have one from iOS 17.4 on"
    if isinstance(error, CannotListenError):
        return explain(f"{error.interface}:{error.port}", error)
    # What Twisted says of its own time-out is a pair, of the time and of what was cancelled.
    if isinstance(error, TimeoutError) and len(error.args) == 2:
        return f"time-out after {error.args[0]:g} s while {doing}"
    return str(error) or type(error).__name__


def hasNoTunnel(error: BaseException) -> bool:
    """
    Whether the phone does not know the service that opens a tunnel.
    """
    return isinstance(error, LockdownError) and error.code == "InvalidService"
