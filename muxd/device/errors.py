# -*- test-case-name: tests.device -*-
"""
What can go wrong between a host and a phone, beyond Twisted's own exceptions.
"""

from __future__ import annotations

from twisted.internet.error import ConnectError, ConnectionLost


class HandshakeTimeout(Exception):
    """
    The phone did not answer VERSION in time (protocol 1.2).
    """


class UnsupportedVersion(Exception):
    """
    The phone chose a version of the mux protocol that is neither 1 nor 2
    (protocol 2.2).
    """


class NoFreePort(ConnectError):
    """
    The phone has as many sessions as it may have.
    """


class ProtocolViolation(ConnectionLost):
    """
    The phone broke the rules in a way that loses data: the session had to end.
    """
