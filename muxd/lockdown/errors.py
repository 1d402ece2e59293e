# -*- test-case-name: tests.lockdown.test_errors -*-
"""
What lockdownd says no with, and what else can go wrong (protocol 5.3).
"""

from __future__ import annotations

from muxd.wire.text import printable


class LockdownError(Exception):
    """
    The phone has refused a request.

    @ivar request: Which.
    @ivar code: The phone's word for why.
    """

    def __init__(self, request: str, code: str) -> None:
        super().__init__(f"the phone answered {code} to {request}")
        self.request = request
        self.code = code


class DialogPending(LockdownError):
    """
    The phone's owner has to tap Trust on its screen.
    """


class PairingDenied(LockdownError):
    """
    The phone's owner has tapped Don't Trust.
    """


class PhoneLocked(LockdownError):
    """
    The phone's owner has to unlock it first.
    """


class UnknownHost(LockdownError):
    """
    The phone does not know this pairing, or not any more.
    """


class LockdownUnavailable(Exception):
    """
    There is no conversation with lockdownd, or it has ended too early; the text
    says why.
    """


class LockdownTLSError(LockdownUnavailable):
    """
    TLS did not come about.  That says nothing of whether the phone trusts this
    host (protocol 9, edge 70).
    """


class UnprovedPhone(LockdownUnavailable):
    """
    A device has started a session, and has not proved that it is the phone that the record
    is of.
    """


_KINDS: dict[str, type[LockdownError]] = {
    "PairingDialogResponsePending": DialogPending,
    "UserDeniedPairing": PairingDenied,
    "PasswordProtected": PhoneLocked,
    "InvalidHostID": UnknownHost,
}


def refusal(request: str, code: str) -> LockdownError:
    """
    The exception for an answer that is an error.
    """
    return _KINDS.get(code, LockdownError)(request, printable(code))
